use std::{fmt, sync::Arc};

use bytes::Bytes;
use cache_engine::EngineBuilder;
use http::{Response, uri::Scheme};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::BoxError,
    service::{Cache, Front},
};

/// Puts a [`Cache`] in front of a service.
///
/// `B` is the type of the requests' bodies, which the compiler finds by how the service is used.
///
/// Where what is cached is kept, and all that the cache goes by, is set on the [`EngineBuilder`]; one without a storage
/// passes every request on. By default the cache is private, for one user: in front of a service that has many,
/// [`Mode::Shared`](crate::Mode::Shared) is the mode.
///
/// Each service that the layer is put over has an engine of its own. They share the storage and what is in it, and
/// wait for each other's fetches only where the storage has leases.
///
/// ```
/// # fn example<S: tower::Service<http::Request<axum::body::Body>>>(service: S) {
/// use std::sync::Arc;
///
/// use cache_backend_memory::MemoryStorage;
/// use cache_tower::{CacheLayer, EngineBuilder, Mode, Options};
///
/// let engine = EngineBuilder::new()
///     .storage(Arc::new(MemoryStorage::new()))
///     .options(Options::new().mode(Mode::Shared));
/// let layer = CacheLayer::new(engine).cache_status("edge");
/// # let _: CacheLayer<axum::body::Body> = layer;
/// # }
/// ```
#[must_use = "a layer does nothing until it is put over a service"]
pub struct CacheLayer<B> {
    engine: EngineBuilder,
    front: Front<B>,
}

impl<B> CacheLayer<B> {
    /// A layer whose caches go by these settings. They are taken as they are: [`EngineBuilder::check`] tells whether they
    /// make sense.
    pub fn new(engine: EngineBuilder) -> Self {
        let front =
            Front { name: Some("http-cache".into()), tenant: None, scheme: Scheme::HTTP, buffered: None };
        Self { engine, front }
    }

    /// The name under which the cache speaks in the `Cache-Status` field (RFC 9211) of each answer, `http-cache` by
    /// default; `None` turns the field off.
    pub fn cache_status<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.front.name = name.into().map(Into::into);
        self
    }

    /// The tenant of requests that name none of their own ([`Tenant`](crate::Tenant)): what is stored for one tenant is
    /// never served to another. None by default.
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.front.tenant = Some(tenant.into());
        self
    }

    /// The scheme of requests whose target is a path alone, as servers see them; `http` by default. A server that is
    /// reached over TLS says `https`, so that what its answers name in `Location` is recognised as its own.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.front.scheme = scheme;
        self
    }

    /// Collects the body of a request, if it has at most that many bytes, where the request's method is one that is
    /// cached ([`Options::methods`](crate::Options::methods), or those of a [`Rule`](crate::Rule)): it then is part of the key, so that answers to QUERY or
    /// POST can be served out of the store. Trailers of a request that is collected are dropped.
    ///
    /// Without it, and beyond that size, a request that has a body goes past the cache.
    pub fn buffer_bodies(mut self, limit: usize) -> Self
    where
        B: From<Bytes>,
    {
        self.front.buffered = Some((limit, B::from));
        self
    }
}

impl<S, B, R> Layer<S> for CacheLayer<B>
where
    S: Service<http::Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Default + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Service = Cache<B, R>;

    fn layer(&self, service: S) -> Cache<B, R> {
        Cache::new(self.engine.clone(), self.front.clone(), service)
    }
}

impl<B> Clone for CacheLayer<B> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), front: self.front.clone() }
    }
}

impl<B> fmt::Debug for CacheLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("engine", &self.engine)
            .field("cache_status", &self.front.name)
            .field("tenant", &self.front.tenant)
            .field("scheme", &self.front.scheme)
            .field("buffer_bodies", &self.front.buffered.map(|(limit, _)| limit))
            .finish()
    }
}
