use std::fmt;
use std::sync::Arc;

use cache_api::Storage;
use cache_engine::{Explanation, Stats};
use http::{Extensions, Method};
use reqwest::{IntoUrl, Request, Response};

use crate::builder::CachedClientBuilder;
use crate::cache::Cache;
use crate::controls::Steering;
use crate::error::Error;
use crate::layers::Layers;
use crate::redact::HeaderNames;
use crate::request::{Caller, RequestBuilder, open};

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
    cache: Cache,
    layers: Layers,
}

impl CachedClient {
    pub(crate) fn new(cache: Cache, layers: Layers) -> Self {
        Self { inner: Arc::new(Inner { cache, layers }) }
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
        Self::builder().app(name).build().await
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
        let request = self.wire().request(method, url).build().map_err(Error::from);
        RequestBuilder::new(self.clone(), request)
    }

    /// Sends a request that was built before.
    ///
    /// # Errors
    /// Where the request could not be sent or answered in time, or where following a redirect failed.
    pub fn execute(&self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
        let client = self.clone();
        async move {
            let (mut request, steering, extensions) = open(client.wire(), request)?;
            client.dispatch(&mut request, steering, extensions).await
        }
    }

    /// Waits for what is being stored and refreshed in the background, and closes the storage, for all who share
    /// it. A failure of the storage is a `tracing` event.
    ///
    /// The client stays usable, without its cache. Dropping it without closing is safe, and loses at most such work;
    /// a second `close` does nothing.
    pub async fn close(&self) {
        if let Cache::Enabled(engine, _) = &self.inner.cache
            && let Err(error) = engine.close().await
        {
            tracing::warn!(%error, "the cache's storage did not close");
        }
    }

    /// Waits for what is being stored, and leaves the storage open.
    #[cfg(feature = "blocking")]
    pub(crate) async fn settle(&self, patience: std::time::Duration) {
        if let Cache::Enabled(engine, _) = &self.inner.cache {
            engine.settle(patience).await;
        }
    }

    /// Removes what is stored under any of these tags, for all who share the storage, and returns how many entries went.
    /// What is being fetched at the time is not stored under them either.
    ///
    /// An answer's tags are those that it names in `Cache-Tag` or `Surrogate-Key`
    /// ([`CachedClientBuilder::tag_fields`]), and those given by [`RequestBuilder::tag`]. Of a client whose cache is
    /// disabled nothing goes.
    ///
    /// ```
    /// # async fn example(client: client_reqwest::CachedClient) -> client_reqwest::Result<()> {
    /// client.get("https://shop.example/products/7").tag("product-7").send().await?;
    /// let entries = client.purge_tags(["product-7"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Where the storage has no tags, or failed: some entries may be gone then, purge again.
    pub async fn purge_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T> + Send,
    ) -> Result<u64, Error> {
        match &self.inner.cache {
            Cache::Disabled(_) => Ok(0),
            Cache::Enabled(engine, _) => engine.purge_tags(tags).await.map_err(Error::storage),
        }
    }

    /// Where the answers are kept; `None` of a client whose cache is disabled.
    #[must_use]
    pub fn storage(&self) -> Option<&Arc<dyn Storage>> {
        match &self.inner.cache {
            Cache::Disabled(_) => None,
            Cache::Enabled(engine, _) => engine.storage(),
        }
    }

    /// What this client and its clones counted since it was built: requests by what they came to, what was stored and what
    /// not, the storage's operations and errors. Each hop of a chain of redirects is a request. `None` of a client whose
    /// cache is disabled.
    ///
    /// ```
    /// # fn example(client: client_reqwest::CachedClient) {
    /// if let Some(stats) = client.stats() {
    ///     println!("{:?} of the answers came out of the store\n{stats}", stats.hit_ratio());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match &self.inner.cache {
            Cache::Disabled(_) => None,
            Cache::Enabled(engine, _) => Some(engine.stats()),
        }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    pub(crate) async fn explain(
        &self,
        request: Request,
        steering: Steering,
    ) -> Result<Option<Explanation>, Error> {
        match &self.inner.cache {
            Cache::Disabled(_) => Ok(None),
            Cache::Enabled(engine, _) => {
                let request = self.inner.layers.first_hop(request, steering);
                engine.explain(&request).await.map(Some).map_err(Error::storage)
            }
        }
    }

    pub(crate) async fn dispatch(
        &self,
        request: &mut Request,
        steering: Steering,
        extensions: Extensions,
    ) -> Result<Response, Error> {
        // A client without a cache refuses what one with it does.
        if let Some(controls) = &steering.controls {
            controls.check().map_err(|invalid| Error::builder(invalid).with_url(request.url().clone()))?;
        }
        self.inner.layers.send(&self.inner.cache, request, steering, extensions).await
    }
}

impl Caller for CachedClient {
    fn wire(&self) -> &reqwest::Client {
        self.inner.cache.wire()
    }
}

impl fmt::Debug for CachedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = &self.inner.layers;
        f.debug_struct("CachedClient")
            .field("storage", &self.storage().map(ToString::to_string))
            .field("default_headers", &HeaderNames(&layers.headers))
            .field("redirect", &layers.follow.policy)
            .field("timeout", &layers.timeout)
            .field("read_timeout", &layers.read_timeout)
            .finish_non_exhaustive()
    }
}
