use std::fmt;
use std::sync::Arc;

use http::{Extensions, Method};
use reqwest::{IntoUrl, Request, Response};

use crate::builder::CachedClientBuilder;
use crate::controls::Controls;
use crate::error::Error;
use crate::hop::{Hop, HopRequest};
use crate::layers::Layers;
use crate::redact::HeaderNames;
use crate::request::{RequestBuilder, open};
use crate::response::HopResponse;

/// An HTTP client like [`reqwest::Client`], with a cache.
///
/// It is cheap to clone: clones share the connections and the cache. Its responses are [`reqwest::Response`]s.
///
/// ```
/// # async fn example() -> client_reqwest::Result<()> {
/// use client_reqwest::CachedClient;
///
/// let client = CachedClient::builder().build().await?;
/// let response = client.get("https://example.com/").send().await?;
/// println!("{} {}", response.status(), response.text().await?);
/// client.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CachedClient {
    inner: Arc<Inner>,
}

struct Inner {
    wire: reqwest::Client,
    cache: Cache,
    layers: Layers,
}

/// What answers the hops of a client.
pub(crate) enum Cache {
    /// Nothing is cached.
    Disabled,
}

impl CachedClient {
    pub(crate) fn new(wire: reqwest::Client, cache: Cache, layers: Layers) -> Self {
        Self { inner: Arc::new(Inner { wire, cache, layers }) }
    }

    /// A builder, which starts in RFC 9111 mode with a private cache in memory.
    pub fn builder() -> CachedClientBuilder {
        CachedClientBuilder::new()
    }

    /// A client for one user's application, in one line.
    ///
    /// It keeps a SQLite file in the platform's user cache directory, `<cache directory>/<name>/http.sqlite`.
    /// What responses say of their freshness holds; those that say nothing are kept for ten minutes (GET and
    /// HEAD, 2xx), so that APIs without cache fields are cached too. For all else there is
    /// [`CachedClient::builder`].
    ///
    /// # Errors
    /// Where `name` is not a plain file name, the user has no home directory, or the file cannot be opened.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    pub async fn for_app(name: &str) -> Result<Self, Error> {
        let file = crate::app::cache_file(name)?;
        Self::builder().storage_url(format!("sqlite://{}", file.display())).build().await
    }

    /// Starts a `GET` request.
    pub fn get<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Starts a `HEAD` request.
    pub fn head<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Starts a `POST` request.
    pub fn post<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Starts a `PUT` request.
    pub fn put<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Starts a `PATCH` request.
    pub fn patch<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Starts a `DELETE` request.
    pub fn delete<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Starts a request. Credentials in the URL become basic authentication and leave the URL. A URL that is
    /// not valid is the error of [`RequestBuilder::send`].
    pub fn request<U: IntoUrl>(&self, method: Method, url: U) -> RequestBuilder {
        let request = self.inner.wire.request(method, url).build().map_err(Error::from);
        RequestBuilder::new(self.clone(), request)
    }

    /// Sends a request that was built before.
    ///
    /// # Errors
    /// Where the request could not be sent or answered in time, or where following a redirect failed.
    pub fn execute(&self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
        let client = self.clone();
        async move {
            let (request, controls, extensions) = open(client.wire(), request)?;
            client.dispatch(request, controls, extensions).await
        }
    }

    /// Waits for the cache's work in the background: refreshes and writes. The client stays usable; dropping it
    /// without closing is safe, and loses at most such work.
    pub async fn close(&self) {
        match &self.inner.cache {
            Cache::Disabled => {}
        }
    }

    pub(crate) fn wire(&self) -> &reqwest::Client {
        &self.inner.wire
    }

    pub(crate) async fn dispatch(
        &self,
        request: Request,
        controls: Controls,
        extensions: Extensions,
    ) -> Result<Response, Error> {
        self.inner.layers.send(&*self.inner, request, controls, extensions).await
    }
}

impl Hop for Inner {
    async fn send(&self, request: HopRequest) -> Result<HopResponse, Error> {
        match &self.cache {
            Cache::Disabled => self.wire.send(request).await,
        }
    }
}

impl fmt::Debug for CachedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = &self.inner.layers;
        f.debug_struct("CachedClient")
            .field("cache", &self.inner.cache)
            .field("default_headers", &HeaderNames(&layers.headers))
            .field("redirect", &layers.follow.policy)
            .field("timeout", &layers.timeout)
            .field("read_timeout", &layers.read_timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("Disabled"),
        }
    }
}
