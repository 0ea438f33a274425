//! What the builder configures below the cache.

use super::CachedClientBuilder;

/// What is done on the wire.
impl<C> CachedClientBuilder<C> {
    /// Configures the wire: TLS, proxies, DNS, connections.
    ///
    /// What this builder owns is done above the cache and overridden on the wire: redirects, `Referer`, cookies
    /// and decompression. A timeout set here bounds the fetch itself, for all callers who share it.
    ///
    /// Header fields added on the wire would be unseen by the cache, which could then serve one user's answer to
    /// another; so [`CachedClientBuilder::build`] fails where `default_headers` or `user_agent` is set here. Set
    /// them on this builder.
    ///
    /// ```
    /// # async fn example() -> client_reqwest::Result<()> {
    /// let client = client_reqwest::CachedClient::builder()
    ///     .wire(|wire| wire.no_proxy().pool_max_idle_per_host(8))
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn wire(mut self, configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        self.wire.builder = configure(self.wire.builder);
        self
    }

    /// Uses a client that exists already as the wire, in place of one configured with
    /// [`CachedClientBuilder::wire`].
    ///
    /// The cache sees what it is asked and what it answers, and cannot see what the client does in between: a
    /// default `Authorization` or a cookie that it adds, a redirect that it follows. In a store that users
    /// share, that would serve one user's answer to another. So [`CachedClientBuilder::build`] refuses a client
    /// that has default headers, a user agent, a cookie store, or follows redirects. The safe way is to give
    /// these to this builder:
    ///
    /// ```
    /// # async fn example(headers: http::HeaderMap) -> Result<(), Box<dyn std::error::Error>> {
    /// let wire = reqwest::Client::builder()
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .build()?;
    /// let client = client_reqwest::CachedClient::builder()
    ///     .wire_client(wire)
    ///     .default_headers(headers)
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// A client that decompresses works, and what is stored is then decompressed too. Its timeouts bound the
    /// fetch itself, for all callers who share it.
    pub fn wire_client(mut self, client: reqwest::Client) -> Self {
        self.wire.client = Some(client);
        self
    }
}
