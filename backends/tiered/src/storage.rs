use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Frame, Limits, Namespace, Resource,
    Result, Storage, Ticket, Version,
};
use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    Counters, TieredStorageBuilder,
    change::{self, Changing},
    listen::listen,
    tier::Tier,
};

/// Memory in front of a store. Clones share it.
///
/// What goes to the store past it, through the storage it stands on, is another replica's change that nothing tells of:
/// give that away, and use this.
#[derive(Clone)]
pub struct TieredStorage {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Storage>,
    tier: Arc<Tier>,
    /// The task that listens for the store's events.
    listening: Option<AbortHandle>,
}

impl TieredStorage {
    /// A builder of memory in front of that store.
    pub fn builder(store: Arc<dyn Storage>) -> TieredStorageBuilder {
        TieredStorageBuilder::new(store)
    }

    /// The store that it stands on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Storage> {
        &self.shared.store
    }

    /// How late another replica's change is seen at most, where its event does not come.
    #[must_use]
    pub fn bound(&self) -> Duration {
        self.shared.tier.bound()
    }

    /// What memory answered and holds. It takes no lock.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.tier.counters()
    }

    pub(crate) fn assemble(
        store: Arc<dyn Storage>,
        capacity: u64,
        bound: Duration,
        runtime: Option<&Handle>,
    ) -> Self {
        let tier = Arc::new(Tier::new(capacity, bound, runtime.is_none()));
        let listening = runtime
            .map(|runtime| runtime.spawn(listen(Arc::clone(&store), Arc::clone(&tier))).abort_handle());
        Self { shared: Arc::new(Shared { store, tier, listening }) }
    }

    pub(crate) fn tier(&self) -> &Arc<Tier> {
        &self.shared.tier
    }
}

impl Shared {
    fn stop_listening(&self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

#[async_trait]
impl Storage for TieredStorage {
    fn namespace(&self) -> &Namespace {
        self.shared.store.namespace()
    }

    fn limits(&self) -> Limits {
        self.shared.store.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let Shared { store, tier, .. } = &*self.shared;
        if let Some(found) = tier.get(key, now) {
            return Ok(found);
        }
        let fill = tier.begin(key);
        let found = store.lookup(key, now).await?;
        if let Some(fill) = fill {
            tier.fill(fill, &found).await;
        }
        Ok(found)
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        self.shared.store.read(key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.shared.store.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        // Refused, it shows that what memory held is old.
        let _changing = Changing::begin(self.tier(), change::Change::Resource(entry.key));
        self.shared.store.commit(ticket, entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let _changing = Changing::begin(self.tier(), change::Change::Resource(*key));
        self.shared.store.remove(key, only, now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        let store = self.shared.store.abilities();
        let mut abilities = Abilities::none();
        if store.leases.is_some() {
            abilities = abilities.with_leases(self);
        }
        if store.tags.is_some() {
            abilities = abilities.with_tags(self);
        }
        if store.listing.is_some() {
            abilities = abilities.with_listing(self);
        }
        if let Some(touch) = store.touch {
            abilities = abilities.with_touch(touch);
        }
        if store.events.is_some() {
            abilities = abilities.with_events(self);
        }
        abilities
    }

    /// Empties memory and closes the store.
    async fn close(&self) -> Result<()> {
        self.shared.stop_listening();
        self.shared.tier.close();
        self.shared.store.close().await
    }
}

impl fmt::Display for TieredStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory over {}", self.shared.store)
    }
}

impl fmt::Debug for TieredStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { store, tier, .. } = &*self.shared;
        f.debug_struct("TieredStorage")
            .field("store", store)
            .field("bound", &tier.bound())
            .field("counters", &tier.counters())
            .finish_non_exhaustive()
    }
}
