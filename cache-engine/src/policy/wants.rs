use std::time::Duration;

use http::header;

use super::freshness::pragma_no_cache;
use super::{CacheControl, Reason, RequestView};

/// What a request asks of the cache: its directives and its controls, as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    pub(super) only_if_cached: bool,
    /// Nothing stored may be used.
    pub(super) fetch: Option<Reason>,
    /// What is stored must be validated first.
    pub(super) validate: Option<Reason>,
    /// The answer may not be stored.
    pub(super) no_store: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) min_fresh: Option<Duration>,
    pub(super) max_stale: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
}

impl Wants {
    pub(super) fn of(request: &RequestView<'_>) -> Self {
        let mut wants = if request.headers.contains_key(header::CACHE_CONTROL) {
            Self::directives(&CacheControl::of(request.headers))
        } else if request.headers.contains_key(header::PRAGMA) && pragma_no_cache(request.headers) {
            // RFC 9111 §5.4
            Self { validate: Some(Reason::RequestPragma), ..Self::default() }
        } else {
            Self::default()
        };
        let controls = request.controls;
        wants.only_if_cached |= controls.only_if_cached;
        wants.no_store |= controls.no_store;
        if controls.revalidate {
            wants.validate = Some(Reason::Revalidate);
        }
        if controls.reload {
            wants.fetch = Some(Reason::Reload);
        }
        if controls.stale_ok {
            wants.max_stale = Some(Duration::MAX);
        }
        wants
    }

    fn directives(cc: &CacheControl) -> Self {
        Self {
            only_if_cached: cc.only_if_cached,
            // §5.2.1.5 lets a cache answer such a request; whoever sends it means a request end to end.
            fetch: cc.no_store.then_some(Reason::RequestNoStore),
            validate: (cc.no_cache != super::Scope::Absent).then_some(Reason::RequestNoCache),
            no_store: cc.no_store,
            max_age: cc.max_age,
            min_fresh: cc.min_fresh,
            max_stale: cc.max_stale,
            stale_if_error: cc.stale_if_error,
        }
    }

    /// Whether the origin is to be asked for this very request: its answer may not be one that others began.
    pub(super) fn end_to_end(&self) -> bool {
        self.fetch.is_some()
            || self.validate.is_some()
            || self.no_store
            || self.max_age == Some(Duration::ZERO)
    }
}
