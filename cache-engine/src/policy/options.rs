use std::borrow::Cow;
use std::time::Duration;

use cache_api::Redactor;
use http::{HeaderName, Method, StatusCode};

use super::rule::RuleSettings;
use super::{Controls, Expiry, ExpiryMode, InvalidSetting, Precedence, Sliding, slide, store};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of the policy.
///
/// ```
/// use cache_engine::policy::{Fallback, Mode, Options};
///
/// let shared = Options::new().mode(Mode::Shared);
/// let for_app = Options::new().fallback(Fallback::ten_minutes());
/// # let _ = (shared, for_app);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Whether one user or several are behind this cache. Default: [`Mode::Private`].
    pub mode: Mode,
    /// What is assumed where a response says nothing of its freshness. Default: none.
    pub fallback: Option<Fallback>,
    /// How long responses are fresh, where the order of precedence lets the client say it. It is for responses to the
    /// [methods](Options::methods) that are cached with a status of 2xx, 300, 301 or 308, or one of those in
    /// [`Options::statuses`]. Default: none.
    pub expiry: Option<Expiry>,
    /// The same for errors: 404, 405, 410, 414, 501 and those of 400 to 599 in [`Options::statuses`]. It stands in for
    /// [`Options::expiry`], which says nothing of errors that are not listed there. Default: none.
    pub negative: Option<Expiry>,
    /// Who may say how long a response is fresh, and who is asked first. Default: that of
    /// [`ExpiryMode::Rfc9111`](super::ExpiryMode::Rfc9111).
    pub precedence: Precedence,
    /// Whether a lifetime that a setting gave begins anew with each use. The end is moved beside the answer, at most ten
    /// times in a lifetime, and by compare-and-set. What header fields dated does not slide, nor does a
    /// [fallback](Options::fallback). Default: no.
    pub sliding: Option<Sliding>,
    /// Whether responses are stored and reused although their header fields forbid it: `no-store`, `no-cache`,
    /// `must-revalidate`, `proxy-revalidate`, `must-understand`, and `s-maxage` where it forbids a stale response. Default: no.
    ///
    /// It says nothing of how long: where the fields state no lifetime, an [expiry](Options::expiry) has to.
    ///
    /// What says *whose* a response is, it does not lift. `Vary` counts. In a shared cache `private` and `Set-Cookie` are
    /// judged as ever; and without a tenant, settings that would lengthen do not count for the answer to a request with
    /// `Authorization` (RFC 9111 §3.5 alone does), nor does this one for a request with `Cookie`.
    pub always_cache: bool,
    /// The statuses that are stored, whatever header fields say. Default: none are listed, and a status is stored where
    /// the response states a lifetime, or as RFC 9110 §15.1 has it.
    pub statuses: Option<Vec<StatusCode>>,
    /// The part of the time since `Last-Modified` that a response without explicit freshness is fresh for
    /// (RFC 9111 §4.2.2). Default: 0.1; 0 turns heuristics off.
    pub heuristic_fraction: f32,
    /// The most that a heuristic may give. Default: one day.
    pub heuristic_cap: Duration,
    /// The methods whose responses are stored and answered from the store. Default: GET and HEAD.
    pub methods: Vec<Method>,
    /// Whether the answer to a POST is stored for later GETs where it says that it is one (RFC 9110 §9.3.3).
    /// Default: yes. Nothing is guessed: the origin must state explicit freshness and name the target itself in
    /// `Content-Location`, which says that a GET would bring the same.
    pub reuse_posts: bool,
    /// How long past its freshness a response may stand in for a failing origin, beside what the response and
    /// the request allow (RFC 5861 §4). Default: none.
    pub stale_if_error: Option<Duration>,
    /// The statuses that count as a failing origin, in whose place a stale response may be served. Default: 500, 502, 503
    /// and 504 (RFC 5861 §4).
    pub stale_if_error_statuses: Vec<StatusCode>,
    /// How long past its freshness a response with a validator is kept, so that it can be revalidated.
    /// Default: seven days.
    pub retention: Duration,
    /// How long past its freshness a response without a validator is kept, for callers that accept stale ones.
    /// Default: one hour.
    pub stale_retention: Duration,
    /// How eagerly fresh responses are refreshed in the background before they go stale, so that a hot resource does
    /// not expire for everyone at once: the β of XFetch (Vattani et al. 2015), 1 as in the paper. The refresh comes
    /// about β times the duration of a fetch before the end, sooner or later by chance, and by one process alone where
    /// the storage has leases. Default: none.
    pub early_refresh: Option<f32>,
    /// Whether anything is refreshed in the background: `stale-while-revalidate` (RFC 5861 §3) and
    /// [early refresh](Self::early_refresh). Without, what is stale is validated before it is served. Default: yes.
    pub background_refresh: bool,
    /// The most that is taken off a lifetime, as a part of it from 0 to 1: how much differs from entry to entry, so that
    /// what was stored together does not expire together. Default: 0.
    pub ttl_jitter: f32,
    /// Whether the key is partitioned by tenant: a shared cache then may store responses to requests with
    /// `Authorization`. Default: no.
    pub tenant_scoped: bool,
    /// When a shared cache stores a response with `Set-Cookie`. Default: [`SetCookie::MarkedShared`].
    pub set_cookie: SetCookie,
    /// The targeted fields that are obeyed instead of `Cache-Control`, most specific first (RFC 9213).
    /// Default: none.
    pub targeted: Vec<HeaderName>,
    /// Whether nothing is written to the storage: what is stored is served, a 304 freshens it for its caller alone, and
    /// nothing is stored, removed, refreshed in the background or marked as used; no lease is taken. Default: no.
    pub read_only: bool,
    /// Whether the network is never asked, whatever a request says. What is stored is served, of any age, and where the
    /// request or its origin want it validated, too; in a shared cache without a tenant the latter holds, as it keeps users
    /// apart. All else is answered with 504. Nothing is written either, as with [`Options::read_only`]. Default: no.
    pub offline: bool,
    /// What of requests leaves no trace in the store, and what of that does not count in the key. Default: nothing is named.
    /// A rule has no other: the key has to be known before the rule is.
    pub redactor: Redactor,
    /// What the rule says that the request matches.
    pub(crate) rule: RuleSettings,
}

/// Who is behind a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One user: `private` responses are stored, `s-maxage` and `proxy-revalidate` do not apply.
    #[default]
    Private,
    /// Several users.
    Shared,
}

/// A time to live for responses without explicit freshness; it takes the place of heuristics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// How long such a response is fresh.
    pub ttl: Duration,
}

/// When a shared cache stores a response that has `Set-Cookie`. A private cache always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetCookie {
    /// Only where the response says `public` or `s-maxage`.
    #[default]
    MarkedShared,
    /// Wherever its freshness is explicit, which is what RFC 9111 §7.3 leaves open.
    Explicit,
    /// Never.
    Never,
}

impl Options {
    /// The defaults: a private cache as RFC 9111 describes it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mode: Mode::Private,
            fallback: None,
            expiry: None,
            negative: None,
            precedence: Precedence::default(),
            sliding: None,
            always_cache: false,
            statuses: None,
            heuristic_fraction: 0.1,
            heuristic_cap: DAY,
            methods: vec![Method::GET, Method::HEAD],
            reuse_posts: true,
            stale_if_error: None,
            stale_if_error_statuses: vec![
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            retention: 7 * DAY,
            stale_retention: HOUR,
            early_refresh: None,
            background_refresh: true,
            ttl_jitter: 0.0,
            tenant_scoped: false,
            set_cookie: SetCookie::default(),
            targeted: Vec::new(),
            read_only: false,
            offline: false,
            redactor: Redactor::new(),
            rule: RuleSettings::default(),
        }
    }

    /// Sets [`Options::mode`].
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets [`Options::fallback`].
    #[must_use]
    pub fn fallback(mut self, fallback: impl Into<Option<Fallback>>) -> Self {
        self.fallback = fallback.into();
        self
    }

    /// Sets [`Options::expiry`].
    #[must_use]
    pub fn expiry(mut self, expiry: impl Into<Option<Expiry>>) -> Self {
        self.expiry = expiry.into();
        self
    }

    /// Sets [`Options::negative`].
    #[must_use]
    pub fn negative(mut self, expiry: impl Into<Option<Expiry>>) -> Self {
        self.negative = expiry.into();
        self
    }

    /// Sets [`Options::precedence`]: an order, or an [`ExpiryMode`](super::ExpiryMode), which is the name of one.
    #[must_use]
    pub fn precedence(mut self, order: impl Into<Precedence>) -> Self {
        self.precedence = order.into();
        self
    }

    /// Sets [`Options::sliding`].
    #[must_use]
    pub fn sliding(mut self, sliding: impl Into<Option<Sliding>>) -> Self {
        self.sliding = sliding.into();
        self
    }

    /// Time to live decides, header fields of the response do not count: [`ExpiryMode::Ttl`] with this expiry.
    #[must_use]
    pub fn ttl(self, expiry: impl Into<Expiry>) -> Self {
        self.precedence(ExpiryMode::Ttl).expiry(expiry.into())
    }

    /// Sets [`Options::always_cache`].
    #[must_use]
    pub fn always_cache(mut self, always: bool) -> Self {
        self.always_cache = always;
        self
    }

    /// Sets [`Options::statuses`].
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = Some(statuses.into_iter().collect());
        self
    }

    /// Sets [`Options::stale_if_error_statuses`].
    #[must_use]
    pub fn stale_if_error_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.stale_if_error_statuses = statuses.into_iter().collect();
        self
    }

    /// Sets [`Options::heuristic_fraction`] and [`Options::heuristic_cap`].
    #[must_use]
    pub fn heuristic(mut self, fraction: f32, cap: Duration) -> Self {
        self.heuristic_fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        self.heuristic_cap = cap;
        self
    }

    /// Sets [`Options::methods`].
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Sets [`Options::reuse_posts`].
    #[must_use]
    pub fn reuse_posts(mut self, reuse: bool) -> Self {
        self.reuse_posts = reuse;
        self
    }

    /// Sets [`Options::stale_if_error`].
    #[must_use]
    pub fn stale_if_error(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.stale_if_error = window.into();
        self
    }

    /// Sets [`Options::retention`].
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets [`Options::stale_retention`].
    #[must_use]
    pub fn stale_retention(mut self, retention: Duration) -> Self {
        self.stale_retention = retention;
        self
    }

    /// Sets [`Options::early_refresh`].
    #[must_use]
    pub fn early_refresh(mut self, beta: impl Into<Option<f32>>) -> Self {
        self.early_refresh = beta.into();
        self
    }

    /// Sets [`Options::background_refresh`].
    #[must_use]
    pub fn background_refresh(mut self, allowed: bool) -> Self {
        self.background_refresh = allowed;
        self
    }

    /// Sets [`Options::ttl_jitter`].
    #[must_use]
    pub fn ttl_jitter(mut self, most: f32) -> Self {
        self.ttl_jitter = if most.is_finite() { most.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Sets [`Options::tenant_scoped`].
    #[must_use]
    pub fn tenant_scoped(mut self, scoped: bool) -> Self {
        self.tenant_scoped = scoped;
        self
    }

    /// Sets [`Options::set_cookie`].
    #[must_use]
    pub fn set_cookie(mut self, rule: SetCookie) -> Self {
        self.set_cookie = rule;
        self
    }

    /// Sets [`Options::targeted`].
    #[must_use]
    pub fn targeted(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.targeted = fields.into_iter().collect();
        self
    }

    /// Sets [`Options::redactor`].
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Sets [`Options::read_only`].
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets [`Options::offline`].
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Whether the settings can be used together.
    ///
    /// # Errors
    /// The first that cannot, by name: a method whose answers are never cached, a status that is never stored, a success
    /// among the errors of [`Options::stale_if_error_statuses`], a name that is none in [`Options::redactor`],
    /// [`Options::sliding`] where nothing can slide.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        check_methods("methods", &self.methods)?;
        slide::check(self)?;
        check_statuses("statuses", self.statuses.as_deref().unwrap_or_default())?;
        self.redactor.check().map_err(|error| {
            InvalidSetting::new("redactor", "not all names can be used").with_source(error)
        })?;
        match self.stale_if_error_statuses.iter().find(|status| !is_error(**status)) {
            Some(status) => {
                let problem = format!("{} is no error", status.as_str());
                Err(InvalidSetting::new("stale_if_error_statuses", problem))
            }
            None => Ok(()),
        }
    }

    /// Whether the storage is left as it is, by these settings or by what a request asks.
    pub(crate) fn keep_out_writes(&self, controls: &Controls) -> bool {
        self.read_only || self.offline || controls.read_only
    }

    pub(super) fn is_shared(&self) -> bool {
        self.mode == Mode::Shared
    }

    /// The fallback, where it applies: GET and HEAD answered with 2xx.
    pub(super) fn fallback_for(&self, method: &Method, status: StatusCode) -> Option<Duration> {
        let applies = matches!(*method, Method::GET | Method::HEAD) && status.is_success();
        self.fallback.filter(|_| applies).map(|fallback| fallback.ttl)
    }
}

/// Refuses methods that change what they name, or carry something else than a resource.
pub(super) fn check_methods(
    setting: impl Into<Cow<'static, str>>,
    methods: &[Method],
) -> Result<(), InvalidSetting> {
    let never = [Method::PUT, Method::PATCH, Method::DELETE, Method::CONNECT, Method::TRACE];
    match methods.iter().find(|method| never.contains(method)) {
        Some(method) => Err(InvalidSetting::new(setting, format!("answers to {method} are never cached"))),
        None => Ok(()),
    }
}

/// Refuses statuses that answer conditions, ranges or a hop, not the resource.
pub(super) fn check_statuses(
    setting: impl Into<Cow<'static, str>>,
    statuses: &[StatusCode],
) -> Result<(), InvalidSetting> {
    match statuses.iter().find(|status| store::is_never_stored(**status)) {
        Some(status) => {
            Err(InvalidSetting::new(setting, format!("a response with {} is never stored", status.as_str())))
        }
        None => Ok(()),
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Fallback {
    /// Fresh for `ttl`.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self { ttl }
    }

    /// Fresh for ten minutes.
    #[must_use]
    pub const fn ten_minutes() -> Self {
        Self::new(Duration::from_secs(10 * MINUTE.as_secs()))
    }
}
