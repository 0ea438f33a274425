use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cache_api::{CacheKey, VariantId};
use http::{HeaderMap, StatusCode};

use crate::found::Found;
use crate::policy::{Before, CacheStatus, Forward, Freshness, Reason, Reasons};

/// How the cache handled a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheInfo {
    /// Where the answer came from.
    pub source: Source,
    /// The rules that decided, the deciding one first.
    pub reasons: Reasons,
    /// Why the origin was asked; `None` where it was not.
    pub forward: Option<Forward>,
    /// The rules for which the origin was asked; `None` where it was not.
    pub asked: Option<Reasons>,
    /// The origin's status, where it is not the answer's.
    pub forward_status: Option<StatusCode>,
    /// Whether the answer is being stored, or what is stored was freshened by it. An entry becomes visible at
    /// the end of its body.
    pub stored: bool,
    /// Whether another caller's fetch brought what is served.
    pub collapsed: bool,
    /// The resource's key; `None` where none was made.
    pub key: Option<CacheKey>,
    /// The stored variant that is served.
    pub variant: Option<VariantId>,
    /// When the origin's response arrived.
    pub created: Option<SystemTime>,
    /// The age of what is served (RFC 9111 §4.2.3).
    pub age: Option<Duration>,
    /// The remaining freshness in seconds; negative where it is stale.
    pub ttl: Option<i64>,
    /// The name of the rule that the URL matches; it says all that the reasons attribute to a rule.
    pub rule: Option<Arc<str>>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The origin.
    Origin,
    /// The store, without asking the origin.
    Store,
    /// The store, confirmed by the origin.
    Revalidated,
    /// The store, stale.
    Stale,
    /// Nowhere: the 504 of `only-if-cached`, or of a cache that is offline.
    Nowhere,
}

impl CacheInfo {
    pub(crate) fn new(source: Source, reasons: Reasons) -> Self {
        Self {
            source,
            reasons,
            forward: None,
            asked: None,
            forward_status: None,
            stored: false,
            collapsed: false,
            key: None,
            variant: None,
            created: None,
            age: None,
            ttl: None,
            rule: None,
        }
    }

    /// Takes age and remaining freshness over.
    pub(crate) fn with_freshness(mut self, freshness: Option<&Freshness>, now: SystemTime) -> Self {
        self.age = freshness.map(|freshness| freshness.age(now));
        self.ttl = freshness.map(|freshness| freshness.ttl(now));
        self
    }

    /// Names the stored response that is served.
    pub(crate) fn about(mut self, key: CacheKey, found: &Found, index: usize) -> Self {
        self.key = Some(key);
        if let Some(variant) = found.variant(index) {
            self.variant = Some(variant.id);
            self.created = variant.head.value().map(|head| head.responded_at);
        }
        self
    }

    /// Whether the answer was served without waiting for the origin.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.forward.is_none() && matches!(self.source, Source::Store | Source::Stale)
    }

    /// When what is served turns (or turned) stale, given the time of the answer.
    #[must_use]
    pub fn expires(&self, now: SystemTime) -> Option<SystemTime> {
        let ttl = self.ttl?;
        let by = Duration::from_secs(ttl.unsigned_abs());
        if ttl < 0 { now.checked_sub(by) } else { now.checked_add(by) }
    }

    /// The rules that decided, in words, one a line, each with where it is written: first those for which the origin
    /// was asked, if it was, then those by which its answer, or what is stored, was served. Last is the rule that the URL
    /// matches, where there are such.
    #[must_use]
    pub fn explain(&self) -> impl fmt::Display + '_ {
        let asked = self.asked.as_ref().filter(|asked| **asked != self.reasons);
        fmt::from_fn(move |f| {
            if let Some(asked) = asked {
                writeln!(f, "{}", asked.lines())?;
            }
            write!(f, "{}", self.reasons.lines())?;
            match &self.rule {
                Some(rule) => write!(f, "\nthe URL matches the rule `{rule}`"),
                None => Ok(()),
            }
        })
    }

    /// Says why the origin was asked.
    pub(crate) fn forwarded(mut self, before: &Before) -> Self {
        self.forward = before.forward;
        self.asked = before.forward.map(|_| before.reasons);
        self
    }

    /// Appends the `Cache-Status` of the cache of that name (RFC 9211).
    pub fn append_cache_status(&self, name: &str, headers: &mut HeaderMap) {
        let mut status = CacheStatus::new(name);
        status.hit = self.is_hit();
        status.forward = self.forward;
        status.forward_status = self.forward_status;
        status.stored = self.stored && self.forward.is_some();
        status.collapsed = self.collapsed;
        status.ttl = self.ttl;
        status.detail = self.detail();
        status.append(headers);
    }

    /// What the other parameters of `Cache-Status` have no word for.
    fn detail(&self) -> Option<&'static str> {
        let told = |reason: Reason| match reason {
            Reason::Offline => Some("offline"),
            Reason::Suspended => Some("suspended"),
            Reason::ReadOnly => Some("read-only"),
            Reason::RejectedOnRead | Reason::RejectedOnWrite => Some("filtered"),
            Reason::FilterFailed => Some("filter-failed"),
            _ => None,
        };
        self.reasons.iter().chain(self.asked.iter().flat_map(Reasons::iter)).find_map(told)
    }
}
