use std::fmt;
use std::time::Duration;

use http::header::{self, HeaderMap};

use super::{Form, Reason, Reasons};

/// What a request gets before the origin is asked, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Before {
    /// What is to be done.
    pub decision: Decision,
    /// The rules that led to it, the deciding one first.
    pub reasons: Reasons,
    /// The age of the stored response that was selected (RFC 9111 §4.2.3).
    pub age: Option<Duration>,
    /// The selected response's remaining freshness in seconds; negative where it is stale.
    pub ttl: Option<i64>,
    /// Why the request goes to the origin, in the words of RFC 9211; `None` for a hit.
    pub forward: Option<Forward>,
}

/// What is to be done with a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Decision {
    /// Serve this stored response. (A stale one where the caller accepts it: `ttl` is negative then.)
    Serve {
        /// Which of the stored responses.
        index: usize,
        /// In which form.
        form: Form,
    },
    /// Serve this fresh response now and refresh it in the background, before it goes stale for everyone at once.
    ServeEarly {
        /// Which of the stored responses.
        index: usize,
        /// In which form.
        form: Form,
        /// What the background request asks.
        refresh: Ask,
    },
    /// Serve this stale response now and refresh it in the background (RFC 5861 §3).
    ServeStale {
        /// Which of the stored responses.
        index: usize,
        /// In which form.
        form: Form,
        /// What the background request asks.
        refresh: Ask,
    },
    /// `only-if-cached` cannot be met: 504 (RFC 9111 §5.2.1.7).
    Unsatisfiable,
    /// Ask the origin whether what is stored is still good.
    Revalidate(Ask),
    /// Ask the origin for the response.
    Fetch(Ask),
    /// Ask the origin, past the cache. [`super::after`] is asked all the same: it knows what is invalidated.
    Bypass(Ask),
}

/// What is asked of the origin beyond the caller's own request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ask {
    /// The fields to set, in place of the caller's of the same kind; empty where the request goes out as it is.
    pub conditions: HeaderMap,
    /// The stored responses that a 304 may name. Empty where the conditions, if any, are the caller's alone.
    pub candidates: Vec<usize>,
    /// The stored response that would answer this request if it were fresh: the only one that may stand in for
    /// a failing origin.
    pub selected: Option<usize>,
    /// Whether the answer may be shared with other callers that wait for the same resource.
    pub coalesce: bool,
    /// Whether the caller's own conditions and `Range` are left out: a refresh in the background asks for the
    /// whole.
    pub whole: bool,
}

/// Why a request was forwarded: the `fwd` parameter of `Cache-Status` (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forward {
    /// The cache was told not to handle the request.
    Bypass,
    /// The method's semantics require it.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// What is stored was selected by other request fields.
    VaryMiss,
    /// Nothing that is stored can be used.
    Miss,
    /// What is stored is fresh, but the request's directives do not accept it.
    Request,
    /// What is stored is stale, or must be validated.
    Stale,
    /// Only a part is stored.
    Partial,
}

impl Before {
    /// The request goes past the cache.
    pub(crate) fn bypass(reason: Reason, forward: Forward) -> Self {
        let decision = Decision::Bypass(Ask::default());
        Self { decision, reasons: reason.into(), age: None, ttl: None, forward: Some(forward) }
    }

    /// Says that a stored response was left out for that reason.
    pub(crate) fn leave_out(&mut self, reason: Reason) {
        if self.forward.is_some() {
            self.reasons = Reasons::from(reason).and(self.reason());
            self.forward = Some(Forward::Miss);
        } else {
            self.reasons = self.reasons.and(reason);
        }
    }

    /// The same for a request that is not looked up, for a reason that the policy does not see. Who wants nothing sent is
    /// `heard` or, as of a cache that is no cache, not.
    pub(crate) fn detoured(mut self, why: Reason, heard: bool) -> Self {
        match self.decision {
            Decision::Bypass(_) => self,
            Decision::Unsatisfiable if heard => {
                if self.reasons.contains(Reason::NothingStored) {
                    self.reasons = Reasons::from(self.reason()).and(why);
                }
                self
            }
            _ => Self::bypass(why, Forward::Bypass),
        }
    }

    /// The stored response on which the decision rests.
    pub(crate) fn chosen(&self) -> Option<usize> {
        match &self.decision {
            Decision::Serve { index, .. }
            | Decision::ServeEarly { index, .. }
            | Decision::ServeStale { index, .. } => Some(*index),
            Decision::Unsatisfiable => None,
            Decision::Revalidate(ask) | Decision::Fetch(ask) | Decision::Bypass(ask) => ask.selected,
        }
    }

    /// The reason that decided.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reasons.first()
    }

    /// What is asked of the origin, at once or in the background; `None` where nothing is.
    #[must_use]
    pub fn ask(&self) -> Option<&Ask> {
        match &self.decision {
            Decision::Serve { .. } | Decision::Unsatisfiable => None,
            Decision::ServeEarly { refresh: ask, .. }
            | Decision::ServeStale { refresh: ask, .. }
            | Decision::Revalidate(ask)
            | Decision::Fetch(ask)
            | Decision::Bypass(ask) => Some(ask),
        }
    }
}

impl Ask {
    /// Turns the caller's request fields into those that are sent.
    pub fn apply(&self, request: &mut HeaderMap) {
        if self.whole {
            for name in [header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_RANGE, header::RANGE] {
                request.remove(name);
            }
        }
        if self.whole || !self.conditions.is_empty() {
            request.remove(header::IF_NONE_MATCH);
            request.remove(header::IF_MODIFIED_SINCE);
        }
        for (name, value) in &self.conditions {
            request.append(name, value.clone());
        }
    }

    /// The same question without conditions of the cache's own: what follows [`super::Outcome::Refetch`].
    #[must_use]
    pub fn unconditional(&self) -> Self {
        Self { conditions: HeaderMap::new(), candidates: Vec::new(), ..self.clone() }
    }

    /// The same question as if nothing were stored.
    pub(crate) fn anew(&self) -> Self {
        Self { selected: None, ..self.unconditional() }
    }
}

impl Forward {
    /// The token of RFC 9211.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
