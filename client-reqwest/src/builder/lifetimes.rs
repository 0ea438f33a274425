//! What the builder configures of what is cached, and for how long.

use std::time::Duration;

use cache_engine::policy::{Expiry, ExpiryMode, Precedence, Rule, Rules, Sliding};
use http::{Method, StatusCode};

use super::CachedClientBuilder;
use crate::error::Error;

/// For how long answers are fresh, and which are cached at all. By default header fields decide (RFC 9111).
///
/// ```
/// # #[cfg(feature = "memory")]
/// # async fn example() -> client_reqwest::Result<()> {
/// use client_reqwest::{CachedClient, Expiry, Rule};
///
/// // Header fields do not count: ten minutes, an hour for images, nothing of what lies under /login.
/// let client = CachedClient::builder()
///     .ttl(Expiry::after_secs(600))
///     .negative(Expiry::after_secs(10))
///     .rules([
///         Rule::new("login").path("/login/**").expiry(Expiry::DoNotStore),
///         Rule::new("images").host("*.images.example").expiry(Expiry::after_secs(3600)),
///     ])
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
impl<C> CachedClientBuilder<C> {
    /// How long answers are fresh, where the [order of precedence](CachedClientBuilder::precedence) lets the client say it:
    /// by default where they state no lifetime of their own. It is for answers with a status of 2xx, 300, 301 or 308 and
    /// those in [`statuses`](CachedClientBuilder::statuses); none by default.
    pub fn expiry(mut self, expiry: impl Into<Expiry>) -> Self {
        self.options = self.options.expiry(expiry.into());
        self
    }

    /// The same for errors: 404, 405, 410, 414, 501 and the errors among [`statuses`](CachedClientBuilder::statuses). An
    /// [`expiry`](CachedClientBuilder::expiry) says nothing of errors that are not listed there.
    pub fn negative(mut self, expiry: impl Into<Expiry>) -> Self {
        self.options = self.options.negative(expiry.into());
        self
    }

    /// Whether a lifetime that a setting gave, of the client, a rule or a request, begins anew with each use; no by default.
    /// [`Options::sliding`](crate::Options::sliding) says what slides, and how often that is written.
    ///
    /// ```
    /// use std::time::Duration;
    /// use client_reqwest::{CachedClient, Expiry, Sliding};
    ///
    /// // Ten minutes after its last use, and after a day in any case.
    /// let builder = CachedClient::builder()
    ///     .ttl(Expiry::after_secs(600))
    ///     .sliding(Sliding::new().max_age(Duration::from_secs(86_400)));
    /// ```
    pub fn sliding(mut self, sliding: impl Into<Option<Sliding>>) -> Self {
        self.options = self.options.sliding(sliding);
        self
    }

    /// Who may say how long an answer is fresh, and who is asked first: a [`Precedence`], or an [`ExpiryMode`], which is the
    /// name of one; [`ExpiryMode::Rfc9111`] by default.
    pub fn precedence(mut self, order: impl Into<Precedence>) -> Self {
        self.options = self.options.precedence(order);
        self
    }

    /// Time to live decides, and the answer's header fields do not count: [`ExpiryMode::Ttl`] with this expiry.
    pub fn ttl(self, expiry: impl Into<Expiry>) -> Self {
        self.precedence(ExpiryMode::Ttl).expiry(expiry)
    }

    /// Settings for some URLs, in place of the client's and of those set before: the first rule that matches a URL counts.
    /// Each hop of a chain of redirects is matched for itself. [`CachedClientBuilder::build`] fails where one cannot be used.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        match Rules::new(rules) {
            Ok(rules) => self.engine = self.engine.rules(rules),
            Err(error) => self.error = self.error.or(Some(Error::builder(error))),
        }
        self
    }

    /// Whether answers are stored and reused although their header fields forbid it; no by default.
    /// [`Options::always_cache`](crate::Options::always_cache) says what that lifts, and what nothing lifts because it keeps
    /// users apart.
    pub fn always_cache(mut self, always: bool) -> Self {
        self.options = self.options.always_cache(always);
        self
    }

    /// The methods whose answers are cached; GET and HEAD by default. POST and QUERY may be added: the body is in the key.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.options = self.options.methods(methods);
        self
    }

    /// The statuses that are stored, whatever header fields say. By default that is what the answer states a lifetime for,
    /// and the statuses of RFC 9110 §15.1.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.options = self.options.statuses(statuses);
        self
    }

    /// How long past its freshness an answer may stand in for a failing origin, beside what the answer and the request
    /// allow; none by default.
    pub fn stale_if_error(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.options = self.options.stale_if_error(window);
        self
    }

    /// The statuses that count as a failing origin; 500, 502, 503 and 504 by default.
    pub fn stale_if_error_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.options = self.options.stale_if_error_statuses(statuses);
        self
    }
}
