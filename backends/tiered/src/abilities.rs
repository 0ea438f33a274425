//! The abilities of the store, each passed on where the store has it. What changes entries takes them out of memory,
//! too.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::{
    Acquired, CacheKey, Error, ErrorKind, EventStream, Events, Filter, FoundStream, Lease, Leases, Listing,
    Outcome, Result, Swept, TagDigest, Tags, Totals,
};
use futures_util::{StreamExt as _, stream};

use crate::{
    TieredStorage,
    change::{Change, Changing},
    error,
};

impl TieredStorage {
    fn leases(&self) -> Result<&dyn Leases> {
        self.store().abilities().leases.ok_or_else(|| lacks("leases"))
    }

    fn tags(&self) -> Result<&dyn Tags> {
        self.store().abilities().tags.ok_or_else(|| lacks("tags"))
    }

    fn listing(&self) -> Result<&dyn Listing> {
        self.store().abilities().listing.ok_or_else(|| lacks("listing"))
    }

    fn events(&self) -> Result<&dyn Events> {
        self.store().abilities().events.ok_or_else(|| lacks("events"))
    }
}

/// A store that had an ability when it was asked, and has it no more.
fn lacks(ability: &'static str) -> Error {
    error(ErrorKind::Misuse, ability).with_message("the store has no such ability any more")
}

#[async_trait]
impl Leases for TieredStorage {
    /// Whoever acquires a lease looks up again, for what its last holder stored: that is the store's to say.
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let acquired = self.leases()?.acquire(key, ttl, now).await?;
        if matches!(acquired, Acquired::Held(_)) {
            self.tier().remove(key);
        }
        Ok(acquired)
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        self.leases()?.extend(lease, ttl, now).await
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        self.leases()?.release(lease, outcome, now).await
    }
}

#[async_trait]
impl Tags for TieredStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let _changing = Changing::begin(self.tier(), Change::Tags(tags));
        self.tags()?.purge(tags, now).await
    }
}

#[async_trait]
impl Listing for TieredStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        match self.listing() {
            Ok(listing) => listing.list(filter, now),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        self.listing()?.count(filter, now).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let _changing = Changing::begin(self.tier(), Change::All);
        self.listing()?.clear(now).await
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.listing()?.sweep(now).await
    }
}

#[async_trait]
impl Events for TieredStorage {
    /// What an event tells of leaves memory before the event is passed on: a lookup from then on sees what happened.
    async fn subscribe(&self) -> Result<EventStream> {
        let tier = Arc::clone(self.tier());
        let events = self.events()?.subscribe().await?;
        Ok(Box::pin(events.inspect(move |event| {
            if let Ok(event) = event {
                tier.apply(event);
            }
        })))
    }
}
