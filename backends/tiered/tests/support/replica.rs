//! A tier on a hub, and entries to put.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache_api::{BodyId, CacheKey, Limits, Namespace, Storage, TagDigest};
use cache_backend_tiered::{TieredStorage, TieredStorageBuilder};
use cache_conformance::sample::{self, is_stored};

use crate::{
    hub::{Hub, Replica},
    tiers::until_trusted,
};

pub(crate) const NOW: fn() -> SystemTime = sample::start;

pub(crate) fn hub() -> Arc<Hub> {
    Hub::new(Namespace::default(), Limits::default())
}

/// A tier that is trusted, and another replica.
pub(crate) async fn pair(hub: &Arc<Hub>) -> (TieredStorage, Replica) {
    (tier(hub, |tier| tier).await, hub.replica())
}

pub(crate) async fn tier(
    hub: &Arc<Hub>,
    settings: impl FnOnce(TieredStorageBuilder) -> TieredStorageBuilder,
) -> TieredStorage {
    let tier = settings(TieredStorage::builder(Arc::new(hub.replica()))).build().unwrap();
    until_trusted(&tier).await;
    tier
}

/// Stores an inline body of that byte, with the tag `a`.
pub(crate) async fn put(storage: &dyn Storage, key: CacheKey, byte: u8) {
    let tags = [TagDigest::of("a")];
    assert!(is_stored(&sample::put(storage, key, vec![byte; 100], &tags, NOW()).await.unwrap()));
}

/// The body that a lookup finds; `None` where there is nothing.
pub(crate) async fn found(storage: &dyn Storage, key: CacheKey) -> Option<BodyId> {
    found_at(storage, key, NOW()).await
}

pub(crate) async fn found_at(storage: &dyn Storage, key: CacheKey, now: SystemTime) -> Option<BodyId> {
    storage.lookup(&key, now).await.unwrap().variants().first().map(|variant| variant.version.body)
}

/// Whether memory answers a lookup.
pub(crate) async fn is_hit(tier: &TieredStorage, key: CacheKey) -> bool {
    is_hit_at(tier, key, NOW()).await
}

pub(crate) async fn is_hit_at(tier: &TieredStorage, key: CacheKey, now: SystemTime) -> bool {
    let before = tier.counters().hits;
    tier.lookup(&key, now).await.unwrap();
    tier.counters().hits > before
}

/// Gives the tasks of this runtime their turn until it is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
