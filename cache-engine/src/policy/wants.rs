use std::time::Duration;

use cache_api::Terms;
use http::header;

use super::freshness::pragma_no_cache;
use super::{CacheControl, Options, Reason, RequestView, Setting, Source, conditions};

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
    /// Anything that is stored will do.
    pub(super) force: bool,
}

impl Wants {
    /// What a request asks of a cache with these options: offline it gets what is there, whatever it asks.
    pub(super) fn under(options: &Options, request: &RequestView<'_>) -> Self {
        if options.offline {
            return Self { only_if_cached: true, force: true, ..Self::default() };
        }
        Self::of(request)
    }

    pub(super) fn of(request: &RequestView<'_>) -> Self {
        let mut wants = if conditions::is_plain(request.headers) {
            Self::default()
        } else if request.headers.contains_key(header::CACHE_CONTROL) {
            Self::directives(&CacheControl::of(request.headers))
        } else if request.headers.contains_key(header::PRAGMA) && pragma_no_cache(request.headers) {
            // RFC 9111 §5.4
            Self { validate: Some(Reason::RequestPragma), ..Self::default() }
        } else {
            Self::default()
        };
        wants.control(request);
        wants
    }

    /// What the caller asks beside the header fields.
    fn control(&mut self, request: &RequestView<'_>) {
        let controls = request.controls;
        self.only_if_cached |= controls.only_if_cached;
        self.no_store |= controls.no_store;
        if controls.revalidate {
            self.validate = Some(Reason::Revalidate);
        }
        if controls.reload {
            self.fetch = Some(Reason::Reload);
        }
        if controls.stale_ok {
            self.max_stale = Some(Duration::MAX);
        }
        self.force |= controls.force_cache;
    }

    /// The same for a response that was, or would be, stored on these terms: without the request's header fields where
    /// they do not count for it. What is not to go to the origin does not go there, though.
    pub(super) fn counting(
        &self,
        options: &Options,
        request: &RequestView<'_>,
        terms: Option<Terms>,
    ) -> Self {
        let set = terms.filter(|terms| terms.fresh_until.is_some());
        self.for_source(options, request, set.map_or(Source::Nothing, |terms| Source::Setting(terms.by)))
    }

    /// The same for a stored response whose lifetime comes from there.
    pub(super) fn for_source(&self, options: &Options, request: &RequestView<'_>, source: Source) -> Self {
        if options.offline || options.precedence.is_before(Setting::RequestHeaders, source.setting()) {
            return *self;
        }
        let mut wants = Self { only_if_cached: self.only_if_cached, ..Self::default() };
        wants.control(request);
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
            force: false,
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
