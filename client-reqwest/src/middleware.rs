mod caller;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use cache_api::Storage;
use cache_engine::{Engine, EngineBuilder, LiveSettings, Stats, Suspended};
use http::Extensions;
use http::response::Parts;
use reqwest::{Body, Client, Request, Response};
use reqwest_middleware::{Middleware, Next};
use tokio::sync::mpsc;

use crate::cache::deliver;
use crate::controls::Steering;
use crate::error::Error;
use crate::follow::without_fragment;
use crate::hop::HopRequest;
use crate::payload::Payload;
use crate::request::open;
use crate::response::HopResponse;
use crate::timeout::Patience;
use crate::wire::{Hidden, hidden};

use caller::{Caller, Callers, Courier};

/// The cache as a middleware of [`reqwest_middleware`].
///
/// Where the choice is free, take [`CachedClient`](crate::CachedClient): it is the safe place for a cache. A middleware
/// sees what is asked of it, and not what is added below it:
///
/// - **Default headers, user agent and cookies of the [`reqwest::Client`]** are merged into a request when it is sent. Two
///   clients over one storage, each with a default `Authorization`, would be served each other's answers. So
///   [`CacheMiddleware::new`] wants the client that lies below, and refuses one that has any of these.
/// - **Fields that another middleware adds below it**, the same. Add the cache last, directly over the client, so that
///   there is none.
/// - **Redirects that the client follows**: their answers are passed on and never stored. Nor is a hop.
/// - **What the client decodes** is stored decoded.
///
/// `CachedClient` has all of these above its cache, and caches each hop.
///
/// What the cache asks of the origin is sent by the request that is there to be answered, through the rest of the stack; so
/// nothing is refreshed in the background, and what may be served stale while it is refreshed is validated first. A fetch
/// whose caller goes away is begun anew by those who wait for it. A timeout of a request bounds its caller, on stored
/// answers too, and is not handed down.
///
/// What steers the cache for one request are its extensions, [`Controls`](crate::Controls), [`Tenant`](crate::Tenant),
/// [`Tags`](crate::Tags) and [`OwnKey`](crate::OwnKey). None of them is sent or seen below.
///
/// ```
/// # #[cfg(feature = "memory")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use client_reqwest::{CacheMiddleware, EngineBuilder, MemoryStorage, ResponseExt, Tenant};
///
/// let wire = reqwest::Client::new();
/// let engine = EngineBuilder::new().storage(Arc::new(MemoryStorage::new()));
/// let cache = CacheMiddleware::new(engine, &wire)?;
/// let client = reqwest_middleware::ClientBuilder::new(wire)
///     // What retries, traces or authenticates comes before the cache.
///     .with(cache)
///     .build();
///
/// let response = client.get("https://example.com/").with_extension(Tenant::new("acme")).send().await?;
/// println!("{:?}", response.cache_info().map(|info| info.source));
/// # Ok(()) }
/// ```
///
/// The request that fetches gets an error of the stack below as it came. Those who waited for the same fetch get it as a
/// [`struct@crate::Error`] inside [`reqwest_middleware::Error::Middleware`]; so does the request itself, if they are
/// quicker.
pub struct CacheMiddleware {
    engine: Engine<Callers>,
    wire: Client,
    name: Option<Box<str>>,
    tenant: Option<Arc<str>>,
}

impl CacheMiddleware {
    /// A cache over that client, which is to be the one below the middleware. Where answers are kept, and all that the
    /// cache goes by, is set on the engine's builder.
    ///
    /// # Errors
    /// Where the client has default headers, a user agent or a cookie store, or a setting cannot be used or contradicts
    /// another (the source names it).
    pub fn new(engine: EngineBuilder, client: &Client) -> Result<Self, Error> {
        engine.check().map_err(Error::builder)?;
        match hidden(&format!("{client:?}")) {
            None => {}
            Some(Hidden::Fields) => {
                return Err(Error::builder(
                    "the client has default headers (or a user agent), which it adds below the cache: one user's answer \
                     could be served to another. Use `CachedClient`, or set them on each request",
                ));
            }
            Some(Hidden::Cookies) => {
                return Err(Error::builder(
                    "the client has a cookie store, whose cookies it adds below the cache: one user's answer could be \
                     served to another. Use `CachedClient`, or set them on each request",
                ));
            }
        }
        engine.check().map_err(Error::builder)?;
        let engine = engine.build(Callers);
        Ok(Self { engine, wire: client.clone(), name: Some("http-cache".into()), tenant: None })
    }

    /// The name under which the cache speaks in the `Cache-Status` field (RFC 9211) of each answer, `http-cache` by
    /// default; `None` turns the field off.
    #[must_use]
    pub fn cache_status<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.name = name.into().map(Into::into);
        self
    }

    /// The tenant of requests that name none of their own: what is stored for one tenant is never served to another. None
    /// by default.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Waits for what is being stored, and closes the storage, for all who share it. Requests that come later go past the
    /// cache. (Keep the middleware in an `Arc`, and add it with `with_arc`.)
    ///
    /// # Errors
    /// When the storage could not flush what it held back.
    pub async fn close(&self) -> cache_api::Result<()> {
        self.engine.close().await
    }

    /// Removes what is stored under any of these tags, for all who share the storage, and returns how many entries went.
    ///
    /// # Errors
    /// When the storage has no tags, or failed: some entries may be gone then, purge again.
    pub async fn purge_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T> + Send,
    ) -> cache_api::Result<u64> {
        self.engine.purge_tags(tags).await
    }

    /// Suspends the cache until what is returned is dropped: requests that begin meanwhile go past it.
    pub fn suspend(&self) -> Suspended {
        self.engine.suspend()
    }

    /// Changes settings while the cache runs, for the requests that begin later, as [`Engine::reconfigure`] says.
    ///
    /// # Errors
    /// When the settings cannot be used together, or one cannot change; what was in force then stays in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut LiveSettings)) -> Result<(), Error> {
        self.engine.reconfigure(change).map_err(Error::builder)
    }

    /// A copy of the settings in force that can be changed.
    #[must_use]
    pub fn live_settings(&self) -> LiveSettings {
        self.engine.live_settings()
    }

    /// Where the answers are kept; `None` where nothing is.
    #[must_use]
    pub fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.engine.storage()
    }

    /// What was counted since the middleware was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// The answer, whatever the engine asks for on the way to it being sent by this caller.
    async fn answer(
        &self,
        mut asked: HopRequest,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<HopResponse> {
        let (courier, mut errands) = mpsc::channel(1);
        asked.extensions.insert(Courier(courier));
        let mut caller = Caller::default();
        let mut engine = pin!(self.engine.handle(asked));
        let answered = loop {
            let errand = tokio::select! {
                biased;
                answered = &mut engine => break answered,
                Some(errand) = errands.recv() => errand,
            };
            let sent = next.clone().run(errand.request, extensions);
            let reply = tokio::select! {
                biased;
                // It does not wait for this any more.
                answered = &mut engine => break answered,
                reply = sent => reply,
            };
            // A receiver that is gone wants no answer.
            let _ = errand.reply.send(reply.map_err(|error| caller.share(error)));
        };
        match answered {
            Ok(answered) => Ok(deliver(answered, self.name.as_deref())),
            Err(error) => Err(caller.error(Error::of_engine(error))),
        }
    }
}

#[async_trait]
impl Middleware for CacheMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let steering = Steering::take_from(extensions);
        let (mut request, own, rest) =
            open(&self.wire, request).map_err(reqwest_middleware::Error::middleware)?;
        let default = Steering { tenant: self.tenant.clone(), ..Steering::default() };

        let url = request.url().clone();
        let headers = std::mem::take(request.headers_mut());
        let mut asked = HopRequest::new(request.method().clone(), url.clone()).with_headers(headers);
        without_fragment(&mut asked.url);
        asked.version = request.version();
        asked.body = Payload::new(request.body_mut().take()).take();
        asked.extensions = rest;
        own.or(steering).or(default).tell(&mut asked);

        let mut patience = Patience::start(request.timeout().copied(), None);
        let answering = pin!(async { Ok(self.answer(asked, extensions, next).await) });
        let response = match patience.bound(answering).await {
            Ok(answer) => answer?,
            Err(timed_out) => return Err(reqwest_middleware::Error::middleware(timed_out.or_url(&url))),
        };
        let url = match &response {
            HopResponse::Wire(response) => response.url().clone(),
            HopResponse::Cached { .. } => url,
        };
        let is_bounded = !patience.is_endless();
        let bound = |_: &mut Parts, body: Body| patience.body(body);
        Ok(response.finish(url, is_bounded.then_some(bound)))
    }
}

impl fmt::Debug for CacheMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheMiddleware")
            .field("storage", &self.storage().map(ToString::to_string))
            .field("cache_status", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
