use std::sync::Arc;

use cache_admin::Admin;

use crate::cache::Cache;
use crate::client::CachedClient;

impl CachedClient {
    /// Looks into the cache and keeps it in order: lists, removes, re-dates, copies, exports. With the storage, serializer,
    /// options, keys and clock of this client, whose hits are told to the storage before it lists; `None` of a client whose
    /// cache is disabled.
    ///
    /// ```
    /// # async fn example(client: client_reqwest::CachedClient) -> Result<(), client_reqwest::cache_api::Error> {
    /// use client_reqwest::cache_admin::{EntryFilter, Run, UrlPattern};
    ///
    /// if let Some(admin) = client.admin() {
    ///     let images = EntryFilter::all().pattern(UrlPattern::new("*.example.com", "/images/**")?);
    ///     let went = admin.remove_matching(&images, Run::new()).await?;
    ///     println!("{} entries, {} bytes", went.done, went.bytes);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn admin(&self) -> Option<Admin> {
        let Cache::Enabled(engine, _) = self.cache() else { return None };
        let admin = Admin::new(Arc::clone(engine.storage()?), Arc::clone(engine.serializer()?));
        let admin = admin.with_options(engine.options().clone()).with_key(Arc::clone(engine.key_fn()));
        let flushed = engine.clone();
        let admin = admin.with_flush(move || {
            let engine = flushed.clone();
            async move { engine.flush_uses().await }
        });
        Some(admin.with_clock(Arc::clone(engine.clock())))
    }
}
