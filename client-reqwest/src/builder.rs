mod above;
mod lifetimes;
mod live;
mod storing;
mod wire;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use cache_engine::EngineBuilder;
use cache_engine::policy::Options;
use http::header::HeaderMap;

use crate::cache::{Cache, Origin};
use crate::client::CachedClient;
use crate::cookies::Jar;
use crate::decode::{Codings, Decoding};
use crate::error::Error;
use crate::follow::Follow;
use crate::layers::Layers;
use crate::redact::HeaderNames;
use crate::redirect::Policy;
use crate::storage::StorageChoice;
use crate::wire::Wire;

/// Configures a [`CachedClient`].
///
/// What [`reqwest::ClientBuilder`] does above the wire is here under the same name and done above the cache, so
/// that the cache sees each field that is sent. What belongs to the wire (TLS, proxies, DNS, connections) is
/// configured with [`CachedClientBuilder::wire`].
///
/// `C` is the client that it builds: [`CachedClient`], or that of `blocking`.
#[must_use = "a builder does nothing until it is built"]
pub struct CachedClientBuilder<C = CachedClient> {
    wire: Wire,
    storage: StorageChoice,
    engine: EngineBuilder,
    options: Options,
    cache_status: Option<Box<str>>,
    tenant: Option<Arc<str>>,
    headers: HeaderMap,
    policy: Policy,
    referer: bool,
    https_only: bool,
    timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    jar: Jar,
    codings: Codings,
    error: Option<Error>,
    client: PhantomData<fn() -> C>,
}

impl<C> CachedClientBuilder<C> {
    pub(crate) fn new() -> Self {
        Self {
            wire: Wire::default(),
            storage: StorageChoice::Default,
            engine: EngineBuilder::new(),
            options: Options::new(),
            cache_status: Some("http-cache".into()),
            tenant: None,
            headers: HeaderMap::new(),
            policy: Policy::default(),
            referer: true,
            https_only: false,
            timeout: None,
            read_timeout: None,
            jar: Jar::default(),
            codings: Codings::default(),
            error: None,
            client: PhantomData,
        }
    }

    pub(crate) async fn open(self) -> Result<CachedClient, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.options.check().map_err(Error::builder)?;
        self.engine.check().map_err(Error::builder)?;
        let wire = self.wire.build()?;
        let engine = self.engine.options(self.options);
        let cache = match self.storage.open().await? {
            Some(storage) => Cache::Enabled(engine.storage(storage).build(Origin(wire)), self.cache_status),
            None => Cache::Disabled(engine.build(Origin(wire))),
        };
        let layers = Layers {
            headers: self.headers,
            tenant: self.tenant,
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
        Ok(CachedClient::new(cache, layers))
    }
}

impl CachedClientBuilder {
    /// Builds the client; connects to the storage first.
    ///
    /// # Errors
    /// Where a setting cannot be used or contradicts another (the source names it), the storage cannot be opened, TLS or DNS cannot be set up, or the wire was
    /// given something that the cache would have to see (see [`CachedClientBuilder::wire`]).
    pub async fn build(self) -> Result<CachedClient, Error> {
        self.open().await
    }
}

impl Default for CachedClientBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for CachedClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedClientBuilder")
            .field("storage", &self.storage)
            .field("options", &self.options)
            .field("cache_status", &self.cache_status)
            .field("default_headers", &HeaderNames(&self.headers))
            .field("redirect", &self.policy)
            .field("referer", &self.referer)
            .field("https_only", &self.https_only)
            .field("timeout", &self.timeout)
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}
