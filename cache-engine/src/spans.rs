//! The spans of the engine, with their fields. Where nobody listens, one costs the look at a level.

use cache_api::CacheKey;
use tracing::{Span, debug_span, field::Empty, trace_span};

use crate::{
    network::Request,
    observer::Observer,
    stats::{Operation, Purpose},
};

/// The target of every span.
const TARGET: &str = "cache_engine";

/// A request, from its arrival to its answer. No path and no query: they may hold secrets.
pub(crate) fn request<B>(request: &Request<B>) -> Span {
    debug_span!(
        target: TARGET,
        "http_cache.request",
        method = request.method.as_str(),
        host = request.url.host_str(),
        key = Empty,
        outcome = Empty,
        reason = Empty,
        status = Empty,
    )
}

/// A request to the origin, up to the head of its response.
pub(crate) fn fetch(purpose: Purpose) -> Span {
    debug_span!(target: TARGET, "http_cache.fetch", purpose = purpose.as_str(), status = Empty)
}

/// A refresh in the background.
pub(crate) fn refresh(key: &CacheKey) -> Span {
    debug_span!(target: TARGET, "http_cache.refresh", %key)
}

/// An operation of the storage.
pub(crate) fn storage(observer: &Observer, operation: Operation) -> Span {
    trace_span!(
        target: TARGET,
        "http_cache.storage",
        backend = observer.backend.as_deref(),
        operation = operation.as_str(),
        result = Empty,
    )
}
