use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_engine::Explanation;
use cache_engine::policy::Expiry;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Version};
use reqwest::{Body, Client, Request, Response};

use crate::client::CachedClient;
use crate::controls::{Controls, Steering};
use crate::error::Error;
use crate::redact::{HeaderNames, RedactedUrl};

/// Builds a request and sends it through the cache.
///
/// It has every method of [`reqwest::RequestBuilder`], with the same meaning, and those that steer the cache for
/// one request. What steers the cache never reaches the origin.
///
/// ```
/// # async fn example(client: client_reqwest::CachedClient) -> client_reqwest::Result<()> {
/// let response = client
///     .get("https://example.com/data")
///     .header("accept-language", "de")
///     .timeout(std::time::Duration::from_secs(5))
///     .send()
///     .await?;
/// # Ok(()) }
/// ```
///
/// `C` is the client that sends it: [`CachedClient`], or that of `blocking`.
#[must_use = "a RequestBuilder does nothing until it is sent"]
pub struct RequestBuilder<C = CachedClient> {
    client: C,
    request: Result<Request, Error>,
    steering: Steering,
    /// The request was made elsewhere and may carry extensions, which only `http::Request` can show.
    sealed: bool,
}

/// A client that a [`RequestBuilder`] may belong to. Nobody else can name it.
pub trait Caller {
    /// The client below its cache.
    fn wire(&self) -> &Client;
}

impl<C: Caller> RequestBuilder<C> {
    pub(crate) fn new(client: C, request: Result<Request, Error>) -> Self {
        Self { client, request, steering: Steering::default(), sealed: false }
    }

    /// Goes on building a request that exists already.
    pub fn from_parts(client: C, request: Request) -> Self {
        Self { client, request: Ok(request), steering: Steering::default(), sealed: true }
    }

    /// Hands the request to reqwest's own builder, so that each method means what it means there.
    pub(crate) fn with(
        mut self,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Self {
        self.request = self.request.and_then(|request| {
            let builder = reqwest::RequestBuilder::from_parts(self.client.wire().clone(), request);
            change(builder).build().map_err(Error::from)
        });
        self
    }

    /// The first change that is not valid is the error.
    fn try_change(&mut self, change: impl FnOnce(&mut Request) -> Result<(), http::Error>) {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            self.request = Err(Error::builder(error));
        }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Request)) -> Self {
        if let Ok(request) = &mut self.request {
            change(request);
        }
        self
    }

    /// The same request of another client, and the client that it had.
    #[cfg(feature = "blocking")]
    pub(crate) fn with_client<D>(self, other: impl FnOnce(&C) -> D) -> (C, RequestBuilder<D>) {
        let Self { client, request, steering, sealed } = self;
        let other = other(&client);
        (client, RequestBuilder { client: other, request, steering, sealed })
    }

    #[cfg(all(feature = "blocking", feature = "multipart"))]
    pub(crate) fn fail(mut self, error: Error) -> Self {
        self.request = self.request.and(Err(error));
        self
    }

    /// Adds a header field, besides any of the same name.
    pub fn header<K, V>(mut self, key: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        // As reqwest's builder does it, without taking the request apart and putting it together for each field.
        let field = HeaderName::try_from(key)
            .map_err(Into::into)
            .and_then(|name| Ok((name, HeaderValue::try_from(value).map_err(Into::into)?)));
        self.try_change(|request| {
            let (name, value) = field?;
            request.headers_mut().try_append(name, value)?;
            Ok(())
        });
        self
    }

    /// Adds header fields; each replaces those of the same name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|builder| builder.headers(headers))
    }

    /// Authenticates with a name and a password.
    pub fn basic_auth<U, P>(self, username: U, password: Option<P>) -> Self
    where
        U: fmt::Display,
        P: fmt::Display,
    {
        self.with(|builder| builder.basic_auth(username, password))
    }

    /// Authenticates with a bearer token.
    pub fn bearer_auth<T>(self, token: T) -> Self
    where
        T: fmt::Display,
    {
        self.with(|builder| builder.bearer_auth(token))
    }

    /// Bounds this request, from sending it to the end of the response's body, redirects and the cache included.
    /// It overrides the client's own timeout, and never cuts off a fetch that other callers share.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|request| *request.timeout_mut() = Some(timeout))
    }

    /// Adds to the URL's query.
    #[cfg(feature = "query")]
    #[cfg_attr(docsrs, doc(cfg(feature = "query")))]
    pub fn query<T: serde::Serialize + ?Sized>(self, query: &T) -> Self {
        self.with(|builder| builder.query(query))
    }

    /// Sets the HTTP version.
    pub fn version(self, version: Version) -> Self {
        self.change(|request| *request.version_mut() = version)
    }

    /// Sends a URL-encoded form as the body.
    #[cfg(feature = "form")]
    #[cfg_attr(docsrs, doc(cfg(feature = "form")))]
    pub fn form<T: serde::Serialize + ?Sized>(self, form: &T) -> Self {
        self.with(|builder| builder.form(form))
    }

    /// Sends JSON as the body.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(self, json: &T) -> Self {
        self.with(|builder| builder.json(json))
    }

    /// The request, which [`CachedClient::execute`] sends. The cache controls travel in it, unseen by the origin.
    ///
    /// # Errors
    /// Where a URL, a header field or a body given to this builder was not valid.
    pub fn build(self) -> Result<Request, Error> {
        self.build_split().1
    }

    /// As [`RequestBuilder::build`], and the client with it.
    pub fn build_split(self) -> (C, Result<Request, Error>) {
        let request = match self.request {
            Ok(request) if !self.steering.is_default() => seal(request, self.steering),
            request => request,
        };
        (self.client, request)
    }

    /// A copy, unless the body is a stream or the request is not valid.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self>
    where
        C: Clone,
    {
        Some(Self {
            client: self.client.clone(),
            request: Ok(self.request.as_ref().ok()?.try_clone()?),
            steering: self.steering.clone(),
            sealed: self.sealed,
        })
    }
}

impl RequestBuilder {
    /// Sets the body.
    pub fn body<T: Into<Body>>(self, body: T) -> Self {
        self.change(|request| *request.body_mut() = Some(body.into()))
    }

    /// Sends a `multipart/form-data` body.
    #[cfg(feature = "multipart")]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn multipart(self, multipart: reqwest::multipart::Form) -> Self {
        self.with(|builder| builder.multipart(multipart))
    }

    /// Sends the request and returns the response, from wherever the cache decides.
    ///
    /// # Errors
    /// Where the request could not be built, sent or answered in time, where following a redirect failed, or where what
    /// steers the cache contradicts itself, such as [`only_if_cached`](Self::only_if_cached) with [`reload`](Self::reload).
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
        let Self { client, request, steering, sealed } = self;
        async move {
            if sealed {
                let (mut request, inner, extensions) = open(client.wire(), request?)?;
                client.dispatch(&mut request, steering.or(inner), extensions).await
            } else {
                client.dispatch(&mut request?, steering, Extensions::new()).await
            }
        }
    }

    /// Tells what the cache would do with the request as it is now, and why: nothing is sent and nothing is written.
    /// `None` of a client whose cache is disabled. Where redirects would follow, it is about the first hop.
    ///
    /// # Errors
    /// Where the request could not be built, or the storage cannot be read.
    pub async fn explain(self) -> Result<Option<Explanation>, Error> {
        let Self { client, request, steering, sealed } = self;
        let mut request = request?;
        let mut steering = steering;
        if sealed {
            let (opened, inner, _) = open(client.wire(), request)?;
            (request, steering) = (opened, steering.or(inner));
        }
        client.explain(request, steering).await
    }
}

/// What steers the cache for this request alone. None of it is sent.
impl<C> RequestBuilder<C> {
    /// Sets all cache controls at once, in place of those set before.
    pub fn cache(mut self, controls: Controls) -> Self {
        self.steering.controls = Some(controls);
        self
    }

    /// Answers from the store, or with 504 where nothing there will do; the origin is not asked.
    pub fn only_if_cached(self) -> Self {
        self.control(|controls| controls.only_if_cached = true)
    }

    /// Validates what is stored with the origin before it is used: never a plain hit.
    pub fn revalidate(self) -> Self {
        self.control(|controls| controls.revalidate = true)
    }

    /// Fetches anew, and replaces what is stored.
    pub fn reload(self) -> Self {
        self.control(|controls| controls.reload = true)
    }

    /// Does not store the answer; what is stored already may be served.
    pub fn no_store(self) -> Self {
        self.control(|controls| controls.no_store = true)
    }

    /// Neither reads nor writes the cache.
    pub fn bypass(self) -> Self {
        self.control(|controls| controls.bypass = true)
    }

    /// Leaves what is stored as it is: it may be served, and nothing is stored, freshened or removed.
    pub fn read_only(self) -> Self {
        self.control(|controls| controls.read_only = true)
    }

    /// Takes what is stored however old it is, unless its origin forbids that.
    pub fn stale_ok(self) -> Self {
        self.control(|controls| controls.stale_ok = true)
    }

    /// Takes whatever is stored, of any age, and where its origin wants it validated, too; the origin is asked only where
    /// nothing is stored. In a shared cache without a tenant it is as [`RequestBuilder::stale_ok`].
    pub fn force_cache(self) -> Self {
        self.control(|controls| controls.force_cache = true)
    }

    /// How long the answer is fresh, for all who get it out of the store, where the client's
    /// [order of precedence](crate::CachedClientBuilder::precedence) lets the request say it: by default in place of what the
    /// answer says. It does not lift what forbids storing; and what the origin answers later, to a request that says nothing
    /// of it, is dated anew.
    ///
    /// ```
    /// # async fn example(client: client_reqwest::CachedClient) -> client_reqwest::Result<()> {
    /// use client_reqwest::Expiry;
    ///
    /// client.get("https://example.com/rates").expiry(Expiry::after_secs(300)).send().await?;
    /// # Ok(()) }
    /// ```
    pub fn expiry(self, expiry: impl Into<Expiry>) -> Self {
        let expiry = expiry.into();
        self.control(|controls| controls.expiry = Some(expiry))
    }

    /// Stores the answer although its header fields forbid it, as
    /// [`Options::always_cache`](crate::Options::always_cache) says.
    pub fn always_cache(self) -> Self {
        self.control(|controls| controls.always_cache = true)
    }

    /// Looks the request up, and stores its answer, under a key of its own, in place of that of URL and body. Requests with
    /// one key are one resource: what differs in their answers has to be in it. The tenant, and in a private cache
    /// `Authorization` and `Cookie`, keep resources apart all the same. Where a redirect leads, it does not count; and unsafe
    /// requests to the URL remove nothing that is stored under it.
    pub fn cache_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.steering.key = Some(key.into());
        self
    }

    /// Takes what is stored where the origin fails, up to `window` after it went stale; zero turns that off.
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.control(|controls| controls.stale_if_error = Some(window))
    }

    /// Makes the request on behalf of a tenant, instead of the client's own: what is stored for one tenant is never
    /// served to another, nor to requests without one. The origin does not learn of it.
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.steering.tenant = Some(tenant.into());
        self
    }

    /// Stores the answer under this tag, beside those that it names itself, so that
    /// [`CachedClient::purge_tags`] can remove it. The origin does not learn of it; an answer that is stored already does
    /// not get it. May be called several times.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.steering.tags.push(tag.into());
        self
    }

    fn control(mut self, change: impl FnOnce(&mut Controls)) -> Self {
        change(self.steering.controls.get_or_insert_default());
        self
    }
}

impl<C> fmt::Debug for RequestBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RequestBuilder");
        match &self.request {
            Ok(request) => {
                out.field("method", request.method());
                out.field("url", &format_args!("{}", RedactedUrl(request.url())));
                out.field("headers", &HeaderNames(request.headers()));
            }
            Err(error) => {
                out.field("error", error);
            }
        }
        out.field("controls", &self.steering.controls).finish_non_exhaustive()
    }
}

/// Puts what steers the cache into the request's extensions, which reqwest lets nobody else touch.
fn seal(request: Request, steering: Steering) -> Result<Request, Error> {
    let (request, ()) = through_http(request, |extensions| steering.put_into(extensions))?;
    Ok(request)
}

/// The reverse of [`seal`], for a request made elsewhere. Credentials in its URL become a header field, as they
/// do for a request that a builder makes.
pub(crate) fn open(wire: &Client, request: Request) -> Result<(Request, Steering, Extensions), Error> {
    let (mut request, (steering, kept)) = through_http(request, |extensions| {
        let steering = Steering::take_from(extensions);
        (steering, std::mem::take(extensions))
    })?;
    if !request.url().username().is_empty() || request.url().password().is_some() {
        let mut lifted = wire.get(request.url().clone()).build()?;
        if let Some(credentials) = lifted.headers_mut().remove(AUTHORIZATION) {
            request.headers_mut().entry(AUTHORIZATION).or_insert(credentials);
        }
        *request.url_mut() = lifted.url().clone();
    }
    Ok((request, steering, kept))
}

fn through_http<T>(
    mut request: Request,
    change: impl FnOnce(&mut Extensions) -> T,
) -> Result<(Request, T), Error> {
    // `http::Uri` has no fragment, and a body that is absent would come back empty.
    let url = request.url().clone();
    let timeout = request.timeout().copied();
    let body = request.body_mut().take();
    let mut http =
        http::Request::<Body>::try_from(request).map_err(|error| Error::from(error).or_url(&url))?;
    let changed = change(http.extensions_mut());
    let mut request = Request::try_from(http)?;
    *request.url_mut() = url;
    *request.timeout_mut() = timeout;
    *request.body_mut() = body;
    Ok((request, changed))
}
