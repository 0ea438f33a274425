//! What the builder configures that can change while the client runs.

use std::sync::Arc;

use cache_engine::Filter;

use super::CachedClientBuilder;

/// What is let into the cache and out of it. [`CachedClient::reconfigure`](crate::CachedClient::reconfigure) changes it later.
impl<C> CachedClientBuilder<C> {
    /// What keeps answers out of the cache beside the rules: it is asked when one is to be stored, and again when a stored one is
    /// to be used. What it rejects then is removed, and the request is answered as if it had not been there. None by default.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # async fn example() -> client_reqwest::Result<()> {
    /// use std::sync::Arc;
    ///
    /// use client_reqwest::{CachedClient, Exchange, filter_fn};
    ///
    /// let client = CachedClient::builder()
    ///     .filter(Arc::new(filter_fn(|exchange: &Exchange<'_>| {
    ///         let is_draft = exchange.response.headers.contains_key("x-draft");
    ///         async move { Ok(!is_draft) }
    ///     })))
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.engine = self.engine.filter(filter);
        self
    }

    /// Whether the storage is left as it is: what is stored is served, a 304 freshens it for its caller alone, and nothing is
    /// stored, removed, refreshed in the background or marked as used; no lease is taken. No by default.
    ///
    /// What is removed in so many words ([`purge_tags`](crate::CachedClient::purge_tags), `admin`) is removed all the same, and
    /// what a store does to itself, such as sweeping what has expired, it does.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.options = self.options.read_only(read_only);
        self
    }

    /// Whether nothing is ever sent, whatever a request asks; no by default. What is stored is served, of any age, and where
    /// request or origin want it validated, too; all else is answered with 504. In a shared cache without a tenant, what the
    /// origin wants validated is 504. Nothing is written either, as with [`read_only`](Self::read_only).
    ///
    /// A store drops what has expired, a validator or not: a cache that is recorded to be replayed later wants
    /// [`Options::retention`](crate::Options::retention) and
    /// [`Options::stale_retention`](crate::Options::stale_retention) for as long as that.
    pub fn offline(mut self, offline: bool) -> Self {
        self.options = self.options.offline(offline);
        self
    }
}
