//! The storage that fails on purpose, over one that tells events: channels that do not open, break and fall silent.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use cache_api::*;
use cache_backend_memory::MemoryStorage;
use cache_conformance::{
    fault::{Fault, FaultyStorage, Operation, Rule},
    sample::key,
};
use futures_util::{FutureExt, StreamExt};

/// Memory whose channel has had two events.
#[derive(Debug)]
struct Telling(MemoryStorage);

#[async_trait::async_trait]
impl Events for Telling {
    async fn subscribe(&self) -> Result<EventStream> {
        let events = [Ok(Event::Heartbeat), Ok(Event::Changed(key(1)))];
        Ok(Box::pin(futures_util::stream::iter(events).chain(futures_util::stream::pending())))
    }
}

impl fmt::Display for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl Storage for Telling {
    fn namespace(&self) -> &Namespace {
        self.0.namespace()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        self.0.lookup(key, now).await
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        self.0.read(key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.0.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        self.0.commit(ticket, entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        self.0.remove(key, only, now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        self.0.abilities().with_events(self)
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

/// What a subscription tells before it waits; `None` where it does not open.
async fn told(fault: Option<Fault>) -> Option<Vec<Result<Event>>> {
    let storage = FaultyStorage::new(Arc::new(Telling(MemoryStorage::new())));
    if let Some(fault) = fault {
        storage.inject(Rule::on(Operation::Subscribe, fault));
    }
    let mut stream = storage.abilities().events.unwrap().subscribe().await.ok()?;
    let mut told = Vec::new();
    while let Some(Some(event)) = stream.next().now_or_never() {
        told.push(event);
    }
    assert_eq!(storage.injected().len(), usize::from(fault.is_some()));
    Some(told)
}

#[tokio::test]
async fn a_channel_opens_or_not_and_breaks_or_falls_silent() {
    let told = async |fault| told(fault).await.map(|told| told.into_iter().map(Result::ok).collect());
    let (beat, changed) = (Some(Event::Heartbeat), Some(Event::Changed(key(1))));
    assert_eq!(told(None).await, Some(vec![beat.clone(), changed]));
    assert_eq!(told(Some(Fault::Error(ErrorKind::Denied))).await, None::<Vec<_>>);
    assert_eq!(told(Some(Fault::LostAnswer(ErrorKind::Unavailable))).await, Some(vec![beat.clone(), None]));
    assert_eq!(told(Some(Fault::HangAfter)).await, Some(vec![beat]));
}

#[test]
fn what_has_no_events_offers_none() {
    assert!(FaultyStorage::new(Arc::new(MemoryStorage::new())).abilities().events.is_none());
}
