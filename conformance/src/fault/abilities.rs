//! The abilities of the other storage, each passed on. They are offered only where the other has them.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{
    Acquired, CacheKey, Error, ErrorKind, EventStream, Events, Filter, Found, FoundStream, Lease, Leases,
    Listing, Outcome, Result, Swept, TagDigest, Tags, Totals, Touch, Use,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::{
    Fault, FaultyStorage, Operation,
    storage::{before, injected},
    torn::cut,
};

impl FaultyStorage {
    fn leases(&self) -> Result<&dyn Leases> {
        self.inner.abilities().leases.ok_or_else(|| lacks("leases"))
    }

    fn tags(&self) -> Result<&dyn Tags> {
        self.inner.abilities().tags.ok_or_else(|| lacks("tags"))
    }

    fn listing(&self) -> Result<&dyn Listing> {
        self.inner.abilities().listing.ok_or_else(|| lacks("listing"))
    }

    fn touching(&self) -> Result<&dyn Touch> {
        self.inner.abilities().touch.ok_or_else(|| lacks("touch"))
    }

    fn events(&self) -> Result<&dyn Events> {
        self.inner.abilities().events.ok_or_else(|| lacks("events"))
    }
}

fn lacks(ability: &'static str) -> Error {
    Error::new(ErrorKind::Misuse, ability).with_backend("faulty").with_message("the storage beneath lacks it")
}

#[async_trait]
impl Leases for FaultyStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        self.pass(Operation::Acquire, self.leases()?.acquire(key, ttl, now)).await
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        self.pass(Operation::Extend, self.leases()?.extend(lease, ttl, now)).await
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        self.pass(Operation::Release, self.leases()?.release(lease, outcome, now)).await
    }
}

#[async_trait]
impl Tags for FaultyStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        self.pass(Operation::Purge, self.tags()?.purge(tags, now)).await
    }
}

#[async_trait]
impl Listing for FaultyStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let fault = self.next(Operation::List, None);
        let found = match self.listing() {
            Ok(listing) => listing.list(filter, now),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        };
        let begun = before(Operation::List, fault).map(move |begun| match begun {
            Ok(()) => torn(found, fault),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        });
        Box::pin(begun.flatten_stream())
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        self.pass(Operation::Count, self.listing()?.count(filter, now)).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        self.pass(Operation::Clear, self.listing()?.clear(now)).await
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.pass(Operation::Sweep, self.listing()?.sweep(now)).await
    }
}

#[async_trait]
impl Touch for FaultyStorage {
    async fn touch(&self, uses: &[Use], now: SystemTime) -> Result<()> {
        self.pass(Operation::Touch, self.touching()?.touch(uses, now)).await
    }
}

#[async_trait]
impl Events for FaultyStorage {
    /// A channel that is lost later, or falls silent, is so after its first event.
    async fn subscribe(&self) -> Result<EventStream> {
        let fault = self.next(Operation::Subscribe, None);
        before(Operation::Subscribe, fault).await?;
        let events = self.events()?.subscribe().await?;
        Ok(match fault {
            Some(Fault::LostAnswer(kind)) => {
                Box::pin(events.take(1).chain(stream::iter([Err(injected(Operation::Subscribe, kind))])))
            }
            Some(Fault::HangAfter) => Box::pin(events.take(1).chain(stream::pending())),
            _ => events,
        })
    }
}

/// What goes wrong with a listing once it began.
fn torn(found: FoundStream<'_>, fault: Option<Fault>) -> FoundStream<'_> {
    match fault {
        Some(Fault::LostAnswer(kind)) => {
            Box::pin(found.take(1).chain(stream::iter([Err(injected(Operation::List, kind))])))
        }
        Some(Fault::HangAfter) => Box::pin(found.take(1).chain(stream::pending())),
        Some(Fault::CutHead) => Box::pin(found.then(|entry| async move {
            let mut entry: Found = entry?;
            entry.head = cut(&entry.head).await?;
            Ok(entry)
        })),
        _ => found,
    }
}
