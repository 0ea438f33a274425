//! What a tier holds, offers, and refuses to be built from.

use std::{sync::Arc, time::Duration};

use crate::replica::{NOW, found, hub, is_hit, put};
use cache_api::{Abilities, Body, CacheKey, ErrorKind, Storage};
use cache_backend_memory::MemoryStorage;
use cache_backend_tiered::{TieredStorage, TieredStorageBuilder};
use cache_conformance::{
    fault::{FaultyStorage, Operation},
    sample::{self, key},
};

/// A tier over memory whose calls are counted.
fn counted(
    settings: impl FnOnce(TieredStorageBuilder) -> TieredStorageBuilder,
) -> (FaultyStorage, TieredStorage) {
    let store = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let tier = settings(TieredStorage::builder(Arc::new(store.clone()))).build().unwrap();
    (store, tier)
}

#[tokio::test]
async fn a_hit_asks_nobody_and_decodes_nothing_twice() {
    let (store, tier) = counted(|tier| tier);
    put(&tier, key(1), 1).await;
    let first = tier.lookup(&key(1), NOW()).await.unwrap();
    let asked = store.calls(Operation::Lookup);
    let again = tier.lookup(&key(1), NOW()).await.unwrap();
    assert_eq!(store.calls(Operation::Lookup), asked);
    // Both are the same cells: what one decodes the other has.
    assert!(std::ptr::eq(first.variants(), again.variants()));
    let Body::Inline(inline) = &again.variants()[0].body else { panic!("an inline body") };
    assert_eq!(inline.frame.bytes().await.unwrap()[..], [1; 100]);
}

/// Whoever finds nothing asks an origin: what another replica stored meanwhile is worth a round trip.
#[tokio::test]
async fn absence_is_not_held() {
    let (store, tier) = counted(|tier| tier);
    for _ in 0..2 {
        assert!(found(&tier, key(1)).await.is_none());
    }
    assert_eq!((store.calls(Operation::Lookup), tier.counters().hits), (2, 0));
    put(&**store.beneath(), key(1), 1).await;
    assert!(found(&tier, key(1)).await.is_some());
}

#[tokio::test]
async fn frames_of_stored_bodies_are_the_stores() {
    let (store, tier) = counted(|tier| tier);
    sample::put_stored(&tier, key(1), 7, 300_000, NOW()).await.unwrap();
    let body = found(&tier, key(1)).await.unwrap();
    assert!(is_hit(&tier, key(1)).await);
    for _ in 0..2 {
        assert_eq!(tier.read(&key(1), body, 0..2).await.unwrap().len(), 2);
    }
    assert_eq!(store.calls(Operation::Read), 2);
    assert!(tier.counters().bytes < 100_000, "{:?}", tier.counters());
}

#[tokio::test]
async fn the_capacity_is_kept() {
    let capacity = 1024 * 1024;
    let (_, tier) = counted(|tier| tier.max_capacity(capacity));
    for number in 0..500 {
        sample::put(&tier, key(number), vec![1; 10_000], &[], NOW()).await.unwrap();
        found(&tier, key(number)).await;
        assert!(tier.counters().bytes <= capacity + capacity / 16 + 20_000, "{:?}", tier.counters());
    }
    // What was used last is there, what was used first is not.
    assert!(is_hit(&tier, key(499)).await && !is_hit(&tier, key(0)).await);
    assert!(tier.counters().resources > 50, "{:?}", tier.counters());
}

#[tokio::test]
async fn a_resource_over_half_of_the_capacity_is_not_held() {
    let (_, tier) = counted(|tier| tier.max_capacity(64 * 1024));
    sample::put(&tier, key(1), vec![1; 40_000], &[], NOW()).await.unwrap();
    sample::put(&tier, key(2), vec![1; 20_000], &[], NOW()).await.unwrap();
    for number in [1, 2] {
        found(&tier, key(number)).await;
        assert_eq!(is_hit(&tier, key(number)).await, number == 2);
    }
}

/// A removal of one takes nothing else along.
#[tokio::test]
async fn others_stay() {
    let (_, tier) = counted(|tier| tier);
    for number in 0..100 {
        put(&tier, key(number), 1).await;
        found(&tier, key(number)).await;
    }
    tier.remove(&key(7), None, NOW()).await.unwrap();
    tier.abilities().tags.unwrap().purge(&[cache_api::TagDigest::of("b")], NOW()).await.unwrap();
    for number in (0..100).filter(|number| *number != 7) {
        assert!(is_hit(&tier, key(number)).await, "{number}");
    }
    assert!(found(&tier, key(7)).await.is_none());
}

/// A store of which only some abilities are passed on.
#[derive(Debug)]
struct Lacking(MemoryStorage, [bool; 4]);

impl std::fmt::Display for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl Storage for Lacking {
    fn namespace(&self) -> &cache_api::Namespace {
        self.0.namespace()
    }

    fn limits(&self) -> cache_api::Limits {
        self.0.limits()
    }

    async fn lookup(
        &self,
        key: &CacheKey,
        now: std::time::SystemTime,
    ) -> cache_api::Result<cache_api::Resource> {
        self.0.lookup(key, now).await
    }

    async fn read(
        &self,
        key: &CacheKey,
        body: cache_api::BodyId,
        frames: std::ops::Range<u32>,
    ) -> cache_api::Result<Vec<cache_api::Frame>> {
        self.0.read(key, body, frames).await
    }

    async fn writer(
        &self,
        ticket: &cache_api::Ticket,
        body: cache_api::BodyId,
        now: std::time::SystemTime,
    ) -> cache_api::Result<Box<dyn cache_api::BodyWriter>> {
        self.0.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &cache_api::Ticket,
        entry: cache_api::Entry,
        change: cache_api::Change,
        now: std::time::SystemTime,
    ) -> cache_api::Result<cache_api::Committed> {
        self.0.commit(ticket, entry, change, now).await
    }

    async fn remove(
        &self,
        key: &CacheKey,
        only: Option<cache_api::Version>,
        now: std::time::SystemTime,
    ) -> cache_api::Result<u64> {
        self.0.remove(key, only, now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        let all = self.0.abilities();
        let [leases, tags, listing, touch] = self.1;
        let mut some = Abilities::none();
        some.leases = all.leases.filter(|_| leases);
        some.tags = all.tags.filter(|_| tags);
        some.listing = all.listing.filter(|_| listing);
        some.touch = all.touch.filter(|_| touch);
        some
    }

    async fn close(&self) -> cache_api::Result<()> {
        self.0.close().await
    }
}

#[tokio::test]
async fn each_ability_is_passed_on_where_the_store_has_it() {
    for bits in 0..16_u8 {
        let has = [0, 1, 2, 3].map(|bit| bits & 1 << bit != 0);
        let tier = TieredStorage::builder(Arc::new(Lacking(MemoryStorage::new(), has))).build().unwrap();
        let found = tier.abilities();
        let found_all =
            [found.leases.is_some(), found.tags.is_some(), found.listing.is_some(), found.touch.is_some()];
        assert_eq!((found_all, found.events.is_some()), (has, false));
    }
    let tier = TieredStorage::builder(Arc::new(hub().replica())).build().unwrap();
    assert!(tier.abilities().events.is_some());
}

#[test]
fn what_cannot_work_is_refused_with_the_fix() {
    let store = || TieredStorage::builder(Arc::new(MemoryStorage::new()));
    for (builder, part) in [
        (
            store().max_capacity(1000),
            "(`memory` in a URL) of 1000 bytes holds nothing: give it 64 KiB at least",
        ),
        (store().max_age(Duration::ZERO), "max_age (`memory_age` in a URL) of zero"),
        (store().max_staleness(Duration::ZERO), "(`memory_staleness` in a URL) of zero"),
        (TieredStorage::builder(Arc::new(hub().replica())), "a tokio runtime"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!((error.kind(), error.backend()), (ErrorKind::Config, Some("tiered")));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn it_names_itself_after_its_store() {
    let tier = TieredStorage::builder(Arc::new(MemoryStorage::new())).build().unwrap();
    assert_eq!(tier.to_string(), "memory over memory (namespace default)");
    assert!(format!("{tier:?}").contains("trusted: true"), "{tier:?}");
}
