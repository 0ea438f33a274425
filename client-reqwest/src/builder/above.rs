//! What the builder configures above the cache.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, USER_AGENT};

use super::CachedClientBuilder;
use crate::error::Error;
use crate::redirect::Policy;

/// What is done above the cache.
impl<C> CachedClientBuilder<C> {
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
        self.jar.0 = if enable { Some(std::sync::Arc::new(reqwest::cookie::Jar::default())) } else { None };
        self
    }

    /// Keeps cookies between requests, in this jar.
    #[cfg(feature = "cookies")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
    pub fn cookie_provider<J>(mut self, jar: std::sync::Arc<J>) -> Self
    where
        J: reqwest::cookie::CookieStore + 'static,
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
