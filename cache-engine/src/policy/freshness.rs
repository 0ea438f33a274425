use std::time::{Duration, SystemTime};

use cache_api::{Head, SetBy};
use http::{HeaderMap, Method, StatusCode, header};

use super::age::{corrected_initial_age, date_value, plus, since};
use super::{CacheControl, Options, Reason, Setting, early, parse_date, targeted};

/// All that time does to a stored response: a small value that is computed once and asked often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freshness {
    /// How old the response may get before it is stale (RFC 9111 §4.2.1).
    pub lifetime: Duration,
    /// Where the lifetime comes from.
    pub source: Source,
    /// How old it was when it arrived (RFC 9111 §4.2.3).
    pub initial_age: Duration,
    /// Its `Date`, or when it arrived where it has none.
    pub date: SystemTime,
    /// When it arrived.
    pub responded_at: SystemTime,
    /// How long past its freshness it may be served while it is refreshed (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long past its freshness it may stand in for a failing origin (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// It is used only after validation: `no-cache`.
    pub no_cache: bool,
    /// The directive that forbids every use of it when stale (RFC 9111 §4.2.4).
    pub never_stale: Option<Reason>,
    /// A reload does not validate it while it is fresh (RFC 8246).
    pub immutable: bool,
    /// It has an `ETag` or a valid `Last-Modified`.
    pub has_validator: bool,
    /// Header fields forbid that it is stored or reused, and whose setting overrides them.
    pub overridden: Option<SetBy>,
}

/// Where a lifetime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// `s-maxage`, in a shared cache.
    SMaxAge,
    /// `max-age`.
    MaxAge,
    /// `Expires`.
    Expires,
    /// A part of the time since `Last-Modified` (RFC 9111 §4.2.2).
    Heuristic,
    /// The options' fallback.
    Fallback,
    /// A setting, when the response was stored.
    Setting(SetBy),
    /// Nowhere: the lifetime is zero.
    Nothing,
}

impl Source {
    /// Whose word that is in the order of precedence.
    pub(super) fn setting(self) -> Setting {
        match self {
            Self::Setting(SetBy::Request) => Setting::Request,
            Self::Setting(SetBy::Rule) => Setting::Rule,
            Self::Setting(_) => Setting::Client,
            _ => Setting::ResponseHeaders,
        }
    }
}

impl Freshness {
    /// The freshness of a stored response under these options.
    #[must_use]
    pub fn of(head: &Head, options: &Options) -> Self {
        let control = targeted::control(&head.headers, options);
        Self::with(head, &control, options)
    }

    pub(super) fn with(head: &Head, control: &targeted::Control, options: &Options) -> Self {
        let date = date_value(&head.headers, head.responded_at);
        let last_modified = last_modified(&head.headers, head.responded_at);
        let cc = &control.directives;
        let initial_age = corrected_initial_age(&head.headers, date, head.requested_at, head.responded_at);
        let set = head.terms.and_then(|terms| Some((terms.by, terms.fresh_until?)));
        let (lifetime, source) = match set {
            // A setting counts from the arrival, whatever age the response had then.
            Some((by, until)) => {
                let kept = early::jittered(since(until, head.responded_at), head, options);
                (kept.saturating_add(initial_age), Source::Setting(by))
            }
            None => {
                let (lifetime, source) = explicit(&head.headers, control, date, head.responded_at, options)
                    .or_else(|| {
                        let (method, status) = (&head.method, head.status);
                        assumed(method, status, &head.headers, control, date, last_modified, options)
                    })
                    .unwrap_or((Duration::ZERO, Source::Nothing));
                (early::jittered(lifetime, head, options), source)
            }
        };
        let overrides = head.terms.filter(|terms| terms.overrides).map(|terms| terms.by);
        let holds = overrides.is_none();
        let (no_cache, never_stale) = (cc.no_cache.is_whole(), never_stale(cc, options));
        let forbids = no_cache || never_stale.is_some() || cc.no_store || cc.must_understand;
        // Where settings take the fields' place, so do they in how long a stale response is good for.
        let windows = holds || set.is_none();
        Self {
            lifetime,
            source,
            initial_age,
            date,
            responded_at: head.responded_at,
            stale_while_revalidate: cc.stale_while_revalidate.filter(|_| windows),
            stale_if_error: cc.stale_if_error.filter(|_| windows),
            no_cache: no_cache && holds,
            never_stale: never_stale.filter(|_| holds),
            immutable: cc.immutable,
            has_validator: head.headers.contains_key(header::ETAG) || last_modified.is_some(),
            overridden: overrides.filter(|_| forbids),
        }
    }

    /// `current_age` (RFC 9111 §4.2.3).
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        self.initial_age.saturating_add(since(now, self.responded_at))
    }

    /// Whether its lifetime exceeds its age (RFC 9111 §4.2).
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.lifetime > self.age(now)
    }

    /// How long it will still be fresh.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.lifetime.saturating_sub(self.age(now))
    }

    /// How long it has been stale.
    #[must_use]
    pub fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// The remaining freshness in whole seconds; negative where it is stale (RFC 9211 §2.4).
    #[must_use]
    pub fn ttl(&self, now: SystemTime) -> i64 {
        self.ttl_at(self.age(now))
    }

    /// The same at an age.
    pub(super) fn ttl_at(&self, age: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match age.saturating_sub(self.lifetime) {
            Duration::ZERO => seconds(self.lifetime.saturating_sub(age)),
            stale => -seconds(stale),
        }
    }

    /// When it stops, or stopped, being fresh.
    #[must_use]
    pub fn fresh_until(&self) -> SystemTime {
        plus(self.responded_at, self.lifetime.saturating_sub(self.initial_age))
    }

    /// Whether it may be used stale at all (RFC 9111 §4.2.4).
    #[must_use]
    pub fn may_be_stale(&self) -> bool {
        !self.no_cache && self.never_stale.is_none()
    }

    /// When the store may drop it: the end of its freshness and whatever window makes it of use afterwards.
    #[must_use]
    pub fn keep_until(&self, options: &Options) -> SystemTime {
        let windows = if self.may_be_stale() {
            // What a setting makes stale at once was never fresh either, whatever age it came with.
            let set = matches!(self.source, Source::Setting(_));
            let never = self.lifetime.is_zero() || (set && self.lifetime <= self.initial_age);
            let kept = if never { Duration::ZERO } else { options.stale_retention };
            let error = self.stale_if_error.max(options.stale_if_error).unwrap_or_default();
            kept.max(error).max(self.stale_while_revalidate.unwrap_or_default())
        } else {
            Duration::ZERO
        };
        let validation = if self.has_validator { options.retention } else { Duration::ZERO };
        // `no-cache` without a validator is of no use at any age.
        if self.no_cache && !self.has_validator {
            return self.responded_at;
        }
        // What arrives stale was fresh until it got too old, not until it arrived.
        let early = self.initial_age.saturating_sub(self.lifetime);
        let after = validation.max(windows.saturating_sub(early));
        plus(self.fresh_until(), after)
    }
}

/// The lifetime that the response states, in the order of RFC 9111 §4.2.1.
fn explicit(
    headers: &HeaderMap,
    control: &targeted::Control,
    date: SystemTime,
    responded_at: SystemTime,
    options: &Options,
) -> Option<(Duration, Source)> {
    let shared = control.directives.s_maxage.filter(|_| options.is_shared());
    shared
        .map(|lifetime| (lifetime, Source::SMaxAge))
        .or_else(|| control.directives.max_age.map(|lifetime| (lifetime, Source::MaxAge)))
        .or_else(|| {
            // RFC 9213 §2.1: a targeted field also takes the place of Expires.
            let lines = headers.get_all(header::EXPIRES);
            let first = lines.iter().next().filter(|_| !control.targeted)?;
            // RFC 9111 §5.3: an invalid date, "0" above all, lies in the past; so do dates that contradict.
            let alone = lines.iter().all(|line| line == first);
            let expires = parse_date(first.as_bytes(), responded_at).filter(|_| alone);
            Some((expires.map_or(Duration::ZERO, |expires| since(expires, date)), Source::Expires))
        })
}

/// Whether the response's header fields say how long it is fresh: by a lifetime, or by a `Pragma` that wants none.
pub(super) fn states_lifetime(headers: &HeaderMap, control: &targeted::Control, options: &Options) -> bool {
    let cc = &control.directives;
    cc.max_age.is_some()
        || (cc.s_maxage.is_some() && options.is_shared())
        || (!control.targeted && headers.contains_key(header::EXPIRES))
        || (!headers.contains_key(header::CACHE_CONTROL) && pragma_no_cache(headers))
}

/// The lifetime of a response that states none: the fallback, or a heuristic (RFC 9111 §4.2.2).
fn assumed(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    control: &targeted::Control,
    date: SystemTime,
    last_modified: Option<SystemTime>,
    options: &Options,
) -> Option<(Duration, Source)> {
    // RFC 9111 §5.4: no meaning is defined for it in a response, but it is surely no wish to be cached.
    if !headers.contains_key(header::CACHE_CONTROL) && pragma_no_cache(headers) {
        return None;
    }
    if let Some(ttl) = options.fallback_for(method, status) {
        return Some((ttl, Source::Fallback));
    }
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let allowed = safe && (control.directives.public || is_heuristically_cacheable(status));
    let unchanged = since(date, last_modified.filter(|_| allowed)?);
    // `max` makes zero of what is no number.
    let fraction = options.heuristic_fraction.max(0.0).clamp(0.0, 1.0);
    let lifetime = unchanged.mul_f32(fraction).min(options.heuristic_cap);
    Some((lifetime, Source::Heuristic))
}

/// RFC 9110 §15.1.
pub(super) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

pub(super) fn pragma_no_cache(headers: &HeaderMap) -> bool {
    headers.get_all(header::PRAGMA).iter().any(|line| {
        super::cache_control::split(line.as_bytes()).any(|member| member.eq_ignore_ascii_case(b"no-cache"))
    })
}

/// The `Last-Modified` date, where it is valid.
pub(super) fn last_modified(headers: &HeaderMap, now: SystemTime) -> Option<SystemTime> {
    headers.get(header::LAST_MODIFIED).and_then(|value| parse_date(value.as_bytes(), now))
}

/// RFC 9111 §4.2.4: the directives that forbid stale responses, each in the caches it is meant for.
fn never_stale(cc: &CacheControl, options: &Options) -> Option<Reason> {
    if cc.must_revalidate {
        Some(Reason::MustRevalidate)
    } else if cc.proxy_revalidate && options.is_shared() {
        Some(Reason::ProxyRevalidate)
    } else if cc.s_maxage.is_some() && options.is_shared() {
        Some(Reason::SharedMaxAge)
    } else {
        None
    }
}
