use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_api::Storage;
use http::header::{HeaderMap, HeaderValue, USER_AGENT};

use crate::client::{Cache, CachedClient};
use crate::cookies::Jar;
use crate::decode::{Codings, Decoding};
use crate::error::Error;
use crate::follow::Follow;
use crate::layers::Layers;
use crate::redact::HeaderNames;
use crate::redirect::Policy;
use crate::storage_url::storage_from_url;
use crate::wire::Wire;

/// Configures a [`CachedClient`].
///
/// What [`reqwest::ClientBuilder`] does above the wire is here under the same name and done above the cache, so
/// that the cache sees each field that is sent. What belongs to the wire (TLS, proxies, DNS, connections) is
/// configured with [`CachedClientBuilder::wire`].
#[must_use = "a builder does nothing until it is built"]
pub struct CachedClientBuilder {
    wire: Wire,
    storage: StorageChoice,
    headers: HeaderMap,
    policy: Policy,
    referer: bool,
    https_only: bool,
    timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    jar: Jar,
    codings: Codings,
    error: Option<Error>,
}

impl CachedClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            wire: Wire::default(),
            storage: StorageChoice::Default,
            headers: HeaderMap::new(),
            policy: Policy::default(),
            referer: true,
            https_only: false,
            timeout: None,
            read_timeout: None,
            jar: Jar::default(),
            codings: Codings::default(),
            error: None,
        }
    }

    /// Builds the client; connects to the storage first.
    ///
    /// # Errors
    /// Where an option is not valid, the storage cannot be opened, TLS or DNS cannot be set up, or the wire was
    /// given something that the cache would have to see (see [`CachedClientBuilder::wire`]).
    pub async fn build(self) -> Result<CachedClient, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let wire = self.wire.build()?;
        let cache = self.storage.open().await?;
        let layers = Layers {
            headers: self.headers,
            follow: Follow {
                policy: self.policy,
                referer: self.referer,
                https_only: self.https_only,
                jar: self.jar,
            },
            timeout: self.timeout,
            read_timeout: self.read_timeout,
            decoding: Decoding::new(self.codings),
        };
        Ok(CachedClient::new(wire, cache, layers))
    }
}

/// Where answers are kept.
enum StorageChoice {
    Default,
    Url(String),
    Given(Arc<dyn Storage>),
    Disabled,
}

impl StorageChoice {
    async fn open(self) -> Result<Cache, Error> {
        let _storage = match self {
            Self::Disabled | Self::Default => return Ok(Cache::Disabled),
            Self::Url(url) => storage_from_url(&url).await?,
            Self::Given(storage) => storage,
        };
        Ok(Cache::Disabled)
    }
}

/// Whether and where answers are kept.
impl CachedClientBuilder {
    /// Keeps answers in this storage.
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = StorageChoice::Given(storage);
        self
    }

    /// Keeps answers in the storage that this URL names; [`storage_from_url`] lists them. It is opened by
    /// [`CachedClientBuilder::build`].
    pub fn storage_url(mut self, url: impl Into<String>) -> Self {
        self.storage = StorageChoice::Url(url.into());
        self
    }

    /// Caches nothing. The client has the same type and behaves the same in all else.
    pub fn disabled(mut self) -> Self {
        self.storage = StorageChoice::Disabled;
        self
    }
}

/// What is done above the cache.
impl CachedClientBuilder {
    /// The `User-Agent` of each request that has none of its own.
    pub fn user_agent<V>(mut self, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        match value.try_into() {
            Ok(value) => {
                self.headers.insert(USER_AGENT, value);
            }
            Err(error) => self.error = Some(Error::builder(error.into())),
        }
        self
    }

    /// Header fields for each request that has none of the same name. The cache sees them: a default
    /// `Authorization` makes each request an authorised one.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        let mut current = None;
        for (name, value) in headers {
            current = name.or(current);
            // As in reqwest, the last value of a name is the one that counts.
            if let Some(name) = &current {
                self.headers.insert(name, value);
            }
        }
        self
    }

    /// Keeps cookies between requests, in a jar of the client's own. Off by default.
    ///
    /// The cache sees the `Cookie` field. A response's cookies enter the jar when they come from the network,
    /// never when the response was stored.
    #[cfg(feature = "cookies")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
    pub fn cookie_store(mut self, enable: bool) -> Self {
        self.jar.0 = if enable { Some(Arc::new(reqwest::cookie::Jar::default())) } else { None };
        self
    }

    /// Keeps cookies between requests, in this jar.
    #[cfg(feature = "cookies")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
    pub fn cookie_provider<C>(mut self, jar: Arc<C>) -> Self
    where
        C: reqwest::cookie::CookieStore + 'static,
    {
        self.jar.0 = Some(jar);
        self
    }

    /// Asks for gzip and decodes it. On by default.
    #[cfg(feature = "decompression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "decompression")))]
    pub fn gzip(mut self, enable: bool) -> Self {
        self.codings.gzip = enable;
        self
    }

    /// Asks for brotli and decodes it. On by default.
    #[cfg(feature = "decompression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "decompression")))]
    pub fn brotli(mut self, enable: bool) -> Self {
        self.codings.brotli = enable;
        self
    }

    /// Asks for zstd and decodes it. On by default.
    #[cfg(feature = "decompression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "decompression")))]
    pub fn zstd(mut self, enable: bool) -> Self {
        self.codings.zstd = enable;
        self
    }

    /// Asks for deflate and decodes it. On by default.
    #[cfg(feature = "decompression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "decompression")))]
    pub fn deflate(mut self, enable: bool) -> Self {
        self.codings.deflate = enable;
        self
    }

    /// Neither asks for gzip nor decodes it, whatever features are on.
    pub fn no_gzip(self) -> Self {
        #[cfg(feature = "decompression")]
        return self.gzip(false);
        #[cfg(not(feature = "decompression"))]
        self
    }

    /// Neither asks for brotli nor decodes it, whatever features are on.
    pub fn no_brotli(self) -> Self {
        #[cfg(feature = "decompression")]
        return self.brotli(false);
        #[cfg(not(feature = "decompression"))]
        self
    }

    /// Neither asks for zstd nor decodes it, whatever features are on.
    pub fn no_zstd(self) -> Self {
        #[cfg(feature = "decompression")]
        return self.zstd(false);
        #[cfg(not(feature = "decompression"))]
        self
    }

    /// Neither asks for deflate nor decodes it, whatever features are on.
    pub fn no_deflate(self) -> Self {
        #[cfg(feature = "decompression")]
        return self.deflate(false);
        #[cfg(not(feature = "decompression"))]
        self
    }

    /// Which redirects are followed: ten in a row by default. Each hop is cached under its own rules.
    pub fn redirect(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Whether a redirected request says where it comes from. On by default.
    pub fn referer(mut self, enable: bool) -> Self {
        self.referer = enable;
        self
    }

    /// Refuses all but `https`, for redirects and stored responses too.
    pub fn https_only(mut self, enable: bool) -> Self {
        self.https_only = enable;
        self
    }

    /// Bounds each request, from sending it to the end of the body: the cache, waiting for another caller's
    /// fetch and redirects included, on hits too. It bounds the caller; a fetch that others share goes on.
    /// None by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Bounds the wait for the head and then each read of the body. None by default.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = Some(timeout);
        self
    }

    /// Bounds connecting to an origin. None by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.wire.connect_timeout = Some(timeout);
        self
    }
}

/// What is done on the wire.
impl CachedClientBuilder {
    /// Configures the wire: TLS, proxies, DNS, connections.
    ///
    /// What this builder owns is done above the cache and overridden on the wire: redirects, `Referer`, cookies
    /// and decompression. A timeout set here bounds the fetch itself, for all callers who share it.
    ///
    /// Header fields added on the wire would be unseen by the cache, which could then serve one user's answer to
    /// another; so [`CachedClientBuilder::build`] fails where `default_headers` or `user_agent` is set here. Set
    /// them on this builder.
    ///
    /// ```
    /// # async fn example() -> client_reqwest::Result<()> {
    /// let client = client_reqwest::CachedClient::builder()
    ///     .wire(|wire| wire.no_proxy().pool_max_idle_per_host(8))
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn wire(mut self, configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        self.wire.builder = configure(self.wire.builder);
        self
    }

    /// Uses a client that exists already as the wire, in place of one configured with
    /// [`CachedClientBuilder::wire`].
    ///
    /// The cache sees what it is asked and what it answers, and cannot see what the client does in between: a
    /// default `Authorization` or a cookie that it adds, a redirect that it follows. In a store that users
    /// share, that would serve one user's answer to another. So [`CachedClientBuilder::build`] refuses a client
    /// that has default headers, a user agent, a cookie store, or follows redirects. The safe way is to give
    /// these to this builder:
    ///
    /// ```
    /// # async fn example(headers: http::HeaderMap) -> Result<(), Box<dyn std::error::Error>> {
    /// let wire = reqwest::Client::builder()
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .build()?;
    /// let client = client_reqwest::CachedClient::builder()
    ///     .wire_client(wire)
    ///     .default_headers(headers)
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// A client that decompresses works, and what is stored is then decompressed too. Its timeouts bound the
    /// fetch itself, for all callers who share it.
    pub fn wire_client(mut self, client: reqwest::Client) -> Self {
        self.wire.client = Some(client);
        self
    }
}

impl Default for CachedClientBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CachedClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedClientBuilder")
            .field("default_headers", &HeaderNames(&self.headers))
            .field("redirect", &self.policy)
            .field("referer", &self.referer)
            .field("https_only", &self.https_only)
            .field("timeout", &self.timeout)
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}
