//! What can change while a client runs.

use cache_engine::{LiveSettings, Suspended};

use crate::client::CachedClient;
use crate::error::Error;

/// What can change while the client runs, for all its clones.
impl CachedClient {
    /// Suspends the cache until what is returned is dropped: requests that begin meanwhile go past it, as if each had
    /// [`bypass`](crate::RequestBuilder::bypass). Who asks for the store alone gets 504. Of several guards the last one ends it;
    /// requests under way go on.
    ///
    /// ```
    /// # async fn example(client: client_reqwest::CachedClient) -> client_reqwest::Result<()> {
    /// let suspended = client.suspend();
    /// let from_origin = client.get("https://example.com/").send().await?;
    /// drop(suspended);
    /// # Ok(()) }
    /// ```
    pub fn suspend(&self) -> Suspended {
        self.cache().engine().suspend()
    }

    /// Changes settings of the cache while the client runs. Requests that begin later go by them; none waits for the change,
    /// and those under way end as they began. It is not retroactive: how long a stored answer is fresh was settled when it was
    /// stored.
    ///
    /// ```
    /// # fn example(client: client_reqwest::CachedClient) -> client_reqwest::Result<()> {
    /// client.reconfigure(|settings| settings.options.read_only = true)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the settings cannot be used together, or one cannot change ([`Options::mode`](crate::Options::mode)); the source
    /// names it, and what was in force stays in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut LiveSettings)) -> Result<(), Error> {
        self.cache().engine().reconfigure(change).map_err(Error::builder)
    }

    /// A copy of the settings in force that can be changed.
    #[must_use]
    pub fn live_settings(&self) -> LiveSettings {
        self.cache().engine().live_settings()
    }
}
