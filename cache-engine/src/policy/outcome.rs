use std::time::{Duration, SystemTime};

use cache_api::Head;
use http::StatusCode;
use url::Url;

use super::{Ask, Form, Freshness, Reason, Reasons};

/// What becomes of the origin's answer, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct After {
    /// What is to be done with it.
    pub outcome: Outcome,
    /// The rules that led to it, the deciding one first.
    pub reasons: Reasons,
    /// Stored responses of this resource that must not be used any more.
    pub forget: Vec<usize>,
    /// URIs whose stored responses are invalid now (RFC 9111 §4.4).
    pub invalidates: Vec<Url>,
    /// The freshness of what is stored or freshened, or of the stale response that is served.
    pub freshness: Option<Freshness>,
}

impl After {
    /// The same for the answer to a redirect that was followed unseen: it says nothing of what is stored, even where
    /// it meets the conditions that were sent along.
    pub(crate) fn redirected(self, status: StatusCode, ask: &Ask) -> Self {
        let is_cryptic = status == StatusCode::NOT_MODIFIED && !ask.conditions.is_empty();
        Self {
            outcome: if is_cryptic { Outcome::Refetch } else { Outcome::Pass },
            reasons: Reason::UnseenRedirect.into(),
            forget: Vec::new(),
            invalidates: self.invalidates,
            freshness: None,
        }
    }

    /// The same where the store is left as it is: what is stored already is freshened for its caller alone.
    pub(super) fn unwritten(mut self) -> Self {
        match &mut self.outcome {
            Outcome::Store { .. } => {
                (self.outcome, self.reasons, self.freshness) = (Outcome::Pass, Reason::ReadOnly.into(), None);
            }
            Outcome::Freshen { keep, .. } => *keep = Keep::Untouched,
            Outcome::Refetch | Outcome::Pass | Outcome::ServeStale { .. } => {}
        }
        self.forget.clear();
        self
    }
}

/// What is to be done with an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Hand it to the caller and store it. (The answer to a HEAD has no body to store.)
    ///
    /// It is stored as an answer to `head.method`: to a GET where that to a POST is reused, under the GET's key and
    /// after the removal that the POST calls for.
    Store {
        /// What is stored beside the body.
        head: Box<Head>,
        /// When the store may drop it.
        keep_until: SystemTime,
    },
    /// Serve the stored body under this head (RFC 9111 §4.3.4, §4.3.5).
    Freshen {
        /// Which of the stored responses.
        index: usize,
        /// The head that takes the stored one's place.
        head: Box<Head>,
        /// What becomes of the stored response.
        keep: Keep,
        /// In which form it is served.
        form: Form,
        /// Whether the selectors changed, and with them the variant that the response is.
        reselected: bool,
    },
    /// A 304 that names nothing stored: ask again with [`super::Ask::unconditional`].
    Refetch,
    /// Hand it to the caller as it is; it is not stored.
    Pass,
    /// Serve this stale response instead (RFC 5861 §4).
    ServeStale {
        /// Which of the stored responses.
        index: usize,
        /// In which form.
        form: Form,
        /// Its age.
        age: Duration,
    },
}

/// What becomes of a stored response that was freshened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// Its head is replaced, and it lives until then.
    Until(SystemTime),
    /// It is served this once and removed: the answer forbids keeping it.
    Remove(Reason),
    /// It stays as it was: nothing of this answer may be stored, which is no word on what is.
    Untouched,
}

/// What a failure to reach the origin comes to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OnError {
    /// Serve this stale response (RFC 5861 §4).
    ServeStale {
        /// Which of the stored responses.
        index: usize,
        /// In which form.
        form: Form,
        /// Its age.
        age: Duration,
        /// Its freshness.
        freshness: Freshness,
        /// The rule that allows it.
        reason: Reason,
    },
    /// The failure is the caller's.
    Fail(Reason),
}

impl After {
    /// The reason that decided.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reasons.first()
    }
}
