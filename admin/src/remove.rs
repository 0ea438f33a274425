//! Removing: one resource, by tag, by filter, all.

use cache_api::{CacheKey, Result, TagDigest};

use crate::{
    Admin, EntryFilter, EntryInfo, Progress, Run, State, Target,
    progress::{Fate, Tally},
};

/// How many entries are removed or re-dated at a time.
pub(crate) const AT_ONCE: usize = 8;

impl Admin {
    /// Removes all that is stored of a resource, and refuses what is being stored of it meanwhile. Returns how many live
    /// variants went; none where a request for it would pass the cache.
    ///
    /// # Errors
    /// When no key can be made, or the store cannot be written: the removal may have happened or not.
    pub async fn remove(&self, target: &Target) -> Result<u64> {
        match self.key_of(target).await? {
            Some(key) => self.remove_key(&key).await,
            None => Ok(0),
        }
    }

    /// The same by the resource's key.
    ///
    /// # Errors
    /// When the store cannot be written: the removal may have happened or not.
    pub async fn remove_key(&self, key: &CacheKey) -> Result<u64> {
        self.storage.remove(key, None, self.now()).await
    }

    /// Removes all that has any of these tags, and refuses what is being stored under them meanwhile. Returns how many
    /// live entries went.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](cache_api::ErrorKind::Config) where the storage has no tags; otherwise when the store cannot be
    /// written: some entries may be gone then, purge again.
    pub async fn remove_tagged(&self, tags: &[TagDigest]) -> Result<u64> {
        let abilities = self.storage.abilities();
        let ability = abilities.tags.ok_or_else(|| self.lacks("purge", "tags"))?;
        if tags.is_empty() {
            return Ok(0);
        }
        ability.purge(tags, self.now()).await
    }

    /// Removes every entry of the namespace, and refuses what is being stored meanwhile. Returns how many live entries
    /// went.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](cache_api::ErrorKind::Config) where the storage has no listing; otherwise when the store
    /// cannot be written: some entries may be gone then, clear again.
    pub async fn clear(&self) -> Result<u64> {
        self.listing()?.clear(self.now()).await
    }

    /// Removes the entries that the filter wants, each in the version that was seen: one that was stored anew or confirmed
    /// meanwhile stays, and what is being stored is not refused. To be sure of that, remove by resource, tag, or all.
    ///
    /// # Errors
    /// As [`entries`](Admin::entries), and when the store cannot be written: some entries may be gone then; call it again.
    pub async fn remove_matching(&self, filter: &EntryFilter, run: Run<'_>) -> Result<Progress> {
        let tally = Tally::begin(self, filter, run).await?;
        self.remove_counted(filter, &tally).await
    }

    /// Removes what is [expired](State::Expired), and lets the store delete what is dead. What is only stale stays.
    ///
    /// This gives up validators: what would have cost a 304 is fetched again. The store drops it all by itself in time.
    ///
    /// # Errors
    /// As [`remove_matching`](Admin::remove_matching).
    pub async fn purge_expired(&self, run: Run<'_>) -> Result<Progress> {
        let filter = EntryFilter::all().state(State::Expired);
        let tally = Tally::begin(self, &filter, run).await?;
        self.remove_counted(&filter, &tally).await?;
        if !tally.is_dry() {
            tally.swept(self.listing()?.sweep(self.now()).await?.entries);
        }
        Ok(tally.progress())
    }

    /// Removes what is [invalid](State::Invalid): to whoever has this serializer it is a miss. To whoever has the right
    /// one it may not be: a wrong key makes all invalid. See how many they are first, by a
    /// [dry run](Run::dry_run) or a [summary](Admin::summary).
    ///
    /// # Errors
    /// As [`remove_matching`](Admin::remove_matching).
    pub async fn remove_invalid(&self, run: Run<'_>) -> Result<Progress> {
        self.remove_matching(&EntryFilter::all().state(State::Invalid), run).await
    }

    async fn remove_counted(&self, filter: &EntryFilter, tally: &Tally<'_>) -> Result<Progress> {
        self.for_each(filter, AT_ONCE, tally, |entry| self.remove_one(entry, tally)).await
    }

    async fn remove_one(&self, entry: EntryInfo, tally: &Tally<'_>) -> Result<Fate> {
        if !tally.is_dry() && self.storage.remove(&entry.key, Some(entry.version), self.now()).await? == 0 {
            return Ok(Fate::PassedOver);
        }
        tally.bytes(entry.len);
        Ok(Fate::Done)
    }
}
