//! Which redirects are followed.
//!
//! The same choices as [`reqwest::redirect`], whose own types can be made by reqwest alone.

use std::fmt;
use std::sync::Arc;

use reqwest::{StatusCode, Url};

use crate::error::BoxError;

/// Decides which redirects are followed; the default follows ten.
///
/// ```
/// use client_reqwest::redirect::Policy;
///
/// let policy = Policy::custom(|attempt| {
///     if attempt.previous().len() > 5 {
///         attempt.error("too many redirects")
///     } else if attempt.url().host_str() == Some("example.org") {
///         attempt.stop()
///     } else {
///         attempt.follow()
///     }
/// });
/// # drop(policy);
/// ```
#[derive(Clone)]
pub struct Policy {
    inner: PolicyKind,
}

#[derive(Clone)]
enum PolicyKind {
    Limited(usize),
    None,
    Custom(Arc<dyn Fn(Attempt<'_>) -> Action + Send + Sync>),
}

impl Policy {
    /// Follows at most `max` redirects in a row; one more is an error.
    #[must_use]
    pub fn limited(max: usize) -> Self {
        Self { inner: PolicyKind::Limited(max) }
    }

    /// Follows none: a redirect is returned as it came.
    #[must_use]
    pub fn none() -> Self {
        Self { inner: PolicyKind::None }
    }

    /// Asks `policy` each time.
    #[must_use]
    pub fn custom<F>(policy: F) -> Self
    where
        F: Fn(Attempt<'_>) -> Action + Send + Sync + 'static,
    {
        Self { inner: PolicyKind::Custom(Arc::new(policy)) }
    }

    /// What this policy says about an attempt; for a custom policy that extends another.
    #[must_use]
    pub fn redirect(&self, attempt: Attempt<'_>) -> Action {
        match &self.inner {
            PolicyKind::Custom(custom) => custom(attempt),
            // The first previous URL is the one asked for, not a redirect.
            PolicyKind::Limited(max) if attempt.previous.len() > *max => attempt.error(TooManyRedirects),
            PolicyKind::Limited(_) => attempt.follow(),
            PolicyKind::None => attempt.stop(),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.inner, PolicyKind::None)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::limited(10)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            PolicyKind::Limited(max) => write!(f, "Policy(Limited({max}))"),
            PolicyKind::None => f.write_str("Policy(None)"),
            PolicyKind::Custom(_) => f.write_str("Policy(Custom)"),
        }
    }
}

/// A redirect that may be followed.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub(crate) status: StatusCode,
    pub(crate) next: &'a Url,
    pub(crate) previous: &'a [Url],
}

impl Attempt<'_> {
    /// The status of the redirecting response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Where it leads.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.next
    }

    /// The URLs already asked, the first one included.
    #[must_use]
    pub fn previous(&self) -> &[Url] {
        self.previous
    }

    /// Follow it.
    #[must_use]
    pub fn follow(self) -> Action {
        Action::Follow
    }

    /// Return the redirecting response to the caller.
    #[must_use]
    pub fn stop(self) -> Action {
        Action::Stop
    }

    /// Fail the request.
    #[must_use]
    pub fn error<E: Into<BoxError>>(self, error: E) -> Action {
        Action::Error(error.into())
    }
}

/// What to do about an [`Attempt`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Follow it.
    Follow,
    /// Return the redirecting response.
    Stop,
    /// Fail the request with this.
    Error(BoxError),
}

#[derive(Debug)]
struct TooManyRedirects;

impl fmt::Display for TooManyRedirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many redirects")
    }
}

impl std::error::Error for TooManyRedirects {}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(policy: &Policy, redirects: usize) -> bool {
        let next = Url::parse("http://x.y/z").unwrap();
        let previous = vec![next.clone(); redirects];
        let attempt = Attempt { status: StatusCode::FOUND, next: &next, previous: &previous };
        matches!(policy.redirect(attempt), Action::Follow)
    }

    #[test]
    fn ten_are_followed_and_no_more() {
        assert!(follows(&Policy::default(), 10));
        assert!(!follows(&Policy::default(), 11));
        assert!(!follows(&Policy::limited(0), 1));
        assert!(!follows(&Policy::none(), 1));
        assert!(follows(&Policy::custom(|attempt| Policy::limited(99).redirect(attempt)), 99));
    }
}
