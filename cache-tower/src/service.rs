use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_api::Storage;
use cache_engine::{
    Answer, Answered, Engine, EngineBuilder, LiveSettings, Network, OwnKey, Request, Stats, Suspended, Tags,
    Tenant,
    policy::{Controls, InvalidSetting},
};
use futures_util::future::BoxFuture;
use http::{Extensions, Response, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use sync_wrapper::SyncWrapper;
use tower_service::Service;

use crate::{
    body::{ResponseBody, whole},
    error::{BoxError, Error},
    network::{Below, Payload, Target},
    target::target,
};

/// A cache in front of a service of [`http::Request`]s with bodies `B`, whose answers have bodies `R`.
///
/// Made by [`CacheLayer`](crate::CacheLayer). It needs a tokio runtime, in which fetches and what is stored go on without
/// the caller that began them. Clones share the cache.
///
/// It is always ready. The service below is made ready for what it is asked, and for nothing else: an answer out of the
/// store waits for no permit of a [`ConcurrencyLimit`], and takes none. A request that the service has to answer waits in
/// its future until the service is ready, and an error of its readiness is an error of the fetch: a stale response may
/// stand in. To shed load, put the layer for it below the cache.
///
/// Each answer has a [`CacheInfo`](crate::CacheInfo) among its extensions. Those of a request may have [`Controls`],
/// a [`Tenant`], [`Tags`] and an [`OwnKey`], which are taken out; all others go to the service below, once for each fetch.
///
/// [`ConcurrencyLimit`]: https://docs.rs/tower/latest/tower/limit/concurrency/struct.ConcurrencyLimit.html
pub struct Cache<B, R>(Arc<dyn Answers<B, R>>);

/// An answer to come.
#[must_use = "a future does nothing until it is polled"]
pub struct ResponseFuture<R>(BoxFuture<'static, Outcome<R>>);

type Outcome<R> = Result<Response<ResponseBody<R>>, Error>;

/// What a request meets before the cache.
pub(crate) struct Front<B> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) scheme: Scheme,
    pub(crate) buffered: Option<Buffered<B>>,
}

/// How large a body may be to be collected, and how it is made again.
pub(crate) type Buffered<B> = (usize, fn(Bytes) -> B);

/// A cache over a service of some type.
trait Answers<B, R>: Send + Sync {
    fn answer(self: Arc<Self>, request: http::Request<B>) -> BoxFuture<'static, Outcome<R>>;

    fn close(&self) -> BoxFuture<'_, cache_api::Result<()>>;

    fn purge(&self, tags: Vec<String>) -> BoxFuture<'_, cache_api::Result<u64>>;

    fn storage(&self) -> Option<&Arc<dyn Storage>>;

    fn stats(&self) -> Stats;

    fn suspend(&self) -> Suspended;

    fn reconfigure(&self, change: Box<Change<'_>>) -> Result<(), InvalidSetting>;

    fn live_settings(&self) -> LiveSettings;
}

type Change<'a> = dyn FnOnce(&mut LiveSettings) + 'a;

struct Over<S, B>
where
    Below<S, B>: Network,
{
    engine: Engine<Below<S, B>>,
    front: Front<B>,
}

impl<B, R> Cache<B, R> {
    pub(crate) fn new<S>(engine: EngineBuilder, front: Front<B>, service: S) -> Self
    where
        S: Service<http::Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Default + Send + 'static,
        B::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        Self(Arc::new(Over { engine: engine.build(Below::new(service)), front }))
    }

    /// Waits for what is being stored and refreshed in the background, and closes the storage, for all who share it.
    /// Requests that come later go past the cache.
    ///
    /// # Errors
    /// When the storage could not flush what it held back.
    pub async fn close(&self) -> cache_api::Result<()> {
        self.0.close().await
    }

    /// Removes what is stored under any of these tags, for all who share the storage, and returns how many entries went.
    /// What is being fetched at the time is not stored under them either.
    ///
    /// # Errors
    /// When the storage has no tags, or failed: some entries may be gone then, purge again.
    pub async fn purge_tags<T: Into<String>>(
        &self,
        tags: impl IntoIterator<Item = T> + Send,
    ) -> cache_api::Result<u64> {
        let tags = tags.into_iter().map(Into::into).collect();
        self.0.purge(tags).await
    }

    /// Suspends the cache until what is returned is dropped: requests that begin meanwhile go past it, as
    /// [`Engine::suspend`] says.
    pub fn suspend(&self) -> Suspended {
        self.0.suspend()
    }

    /// Changes settings while the cache runs, for the requests that begin later, as [`Engine::reconfigure`] says.
    ///
    /// # Errors
    /// When the settings cannot be used together, or one cannot change; what was in force then stays in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut LiveSettings)) -> Result<(), InvalidSetting> {
        self.0.reconfigure(Box::new(change))
    }

    /// A copy of the settings in force that can be changed.
    #[must_use]
    pub fn live_settings(&self) -> LiveSettings {
        self.0.live_settings()
    }

    /// Where the answers are kept; `None` where nothing is.
    #[must_use]
    pub fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.0.storage()
    }

    /// What was counted since the layer was put over the service, by all clones. What has no URL is not among it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl<B, R> Service<http::Request<B>> for Cache<B, R> {
    type Response = Response<ResponseBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ResponseFuture<R> {
        ResponseFuture(Arc::clone(&self.0).answer(request))
    }
}

impl<S, B, R> Answers<B, R> for Over<S, B>
where
    S: Service<http::Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Default + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn answer(self: Arc<Self>, mut request: http::Request<B>) -> BoxFuture<'static, Outcome<R>> {
        let target = target(request.uri(), request.headers(), &self.front.scheme);
        Box::pin(async move {
            let Some((url, uri)) = target else {
                if let Some(refused) = self.engine.refused_offline() {
                    return Ok(self.front.deliver(refused));
                }
                strip(request.extensions_mut());
                let response = self.engine.network().call(request).await?;
                return Ok(response.map(ResponseBody::service));
            };
            let (parts, body) = request.into_parts();
            let mut asked = Request::new(parts.method, url).with_extensions(parts.extensions);
            asked.version = parts.version;
            asked.headers = parts.headers;
            asked.extensions.insert(Target(uri));
            asked.tenant = asked.tenant.or_else(|| self.front.tenant.clone());
            let is_keyed = self.engine.options_for(&asked.url).methods.contains(&asked.method);
            asked.body = self.front.payload(body, is_keyed).await?;
            let answered = self.engine.handle(asked).await.map_err(Error::of_engine)?;
            Ok(self.front.deliver(answered))
        })
    }

    fn close(&self) -> BoxFuture<'_, cache_api::Result<()>> {
        Box::pin(self.engine.close())
    }

    fn purge(&self, tags: Vec<String>) -> BoxFuture<'_, cache_api::Result<u64>> {
        Box::pin(self.engine.purge_tags(tags))
    }

    fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.engine.storage()
    }

    fn stats(&self) -> Stats {
        self.engine.stats()
    }

    fn suspend(&self) -> Suspended {
        self.engine.suspend()
    }

    fn reconfigure(&self, change: Box<Change<'_>>) -> Result<(), InvalidSetting> {
        self.engine.reconfigure(change)
    }

    fn live_settings(&self) -> LiveSettings {
        self.engine.live_settings()
    }
}

impl<B> Front<B> {
    /// The body as the cache takes it; none where it is empty.
    async fn payload(&self, body: B, is_keyed: bool) -> Result<Option<Payload<B>>, Error>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(None);
        }
        let most = body.size_hint().upper().and_then(|upper| usize::try_from(upper).ok());
        match (self.buffered, most) {
            (Some((limit, again)), Some(most)) if is_keyed && most <= limit => {
                let body = body.map_frame(|frame| frame.map_data(whole));
                let bytes = body.collect().await.map_err(Error::body)?.to_bytes();
                Ok(Some(Payload::Bytes(bytes, again)))
            }
            _ => Ok(Some(Payload::Stream(SyncWrapper::new(body)))),
        }
    }

    fn deliver<R>(&self, answered: Answered<Response<R>>) -> Response<ResponseBody<R>> {
        let Answered { answer, info, .. } = answered;
        let mut response = match answer {
            Answer::Wire(response) => response.map(ResponseBody::service),
            Answer::Cached(response) => response.map(ResponseBody::cached),
        };
        if let Some(name) = &self.name {
            info.append_cache_status(name, response.headers_mut());
        }
        response.extensions_mut().insert(info);
        response
    }
}

/// What steers a cache, and concerns nobody below it.
fn strip(extensions: &mut Extensions) {
    extensions.remove::<Controls>();
    extensions.remove::<Tenant>();
    extensions.remove::<Tags>();
    extensions.remove::<OwnKey>();
}

impl<B> Clone for Front<B> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            scheme: self.scheme.clone(),
            buffered: self.buffered,
        }
    }
}

impl<B, R> Clone for Cache<B, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B, R> fmt::Debug for Cache<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("storage", &self.0.storage().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

impl<R> Future for ResponseFuture<R> {
    type Output = Outcome<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R> fmt::Debug for ResponseFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
