//! When memory is trusted, and for how long.

use std::{sync::Arc, time::Duration};

use crate::hub::Hub;
use crate::replica::{NOW, found, found_at, hub, is_hit, is_hit_at, pair, put, tier, until};
use crate::tiers::until_trusted;
use cache_api::{Change, Committed, ErrorKind, HEARTBEAT, Limits, Namespace, Storage};
use cache_backend_memory::MemoryStorage;
use cache_backend_tiered::TieredStorage;
use cache_conformance::{
    fault::{Fault, FaultyStorage, Operation, Rule},
    sample::{HOUR, entry, key},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_before_the_subscription_stands() {
    let hub = hub();
    hub.refuse(true);
    let tier = TieredStorage::builder(Arc::new(hub.replica())).build().unwrap();
    put(&tier, key(1), 1).await;
    for _ in 0..3 {
        assert!(!is_hit(&tier, key(1)).await);
    }
    let counters = tier.counters();
    assert!(
        !counters.trusted && counters.bypassed == counters.misses && counters.resources == 0,
        "{counters:?}"
    );
    hub.refuse(false);
    until_trusted(&tier).await;
    assert!(!is_hit(&tier, key(1)).await && is_hit(&tier, key(1)).await);
}

/// A channel that breaks: what changed meanwhile is seen, and memory begins again.
#[tokio::test(start_paused = true)]
async fn a_lost_channel_is_no_trust() {
    let hub = hub();
    let (tier, other) = pair(&hub).await;
    put(&other, key(1), 1).await;
    until(|| tier.counters().invalidations > 1).await;
    found(&tier, key(1)).await;
    assert!(is_hit(&tier, key(1)).await);
    hub.refuse(true);
    hub.cut();
    until(|| !tier.counters().trusted).await;
    put(&other, key(1), 2).await;
    for _ in 0..2 {
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
        assert!(!is_hit(&tier, key(1)).await);
    }
    hub.refuse(false);
    until_trusted(&tier).await;
    assert!(!is_hit(&tier, key(1)).await, "what was held before the loss is gone");
    assert!(is_hit(&tier, key(1)).await);
    assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
}

/// A lookup that began before the loss fills nothing after the return.
#[tokio::test(start_paused = true)]
async fn a_fill_does_not_outlive_a_loss() {
    let hub = hub();
    let (tier, other) = pair(&hub).await;
    put(&other, key(1), 1).await;
    until(|| tier.counters().invalidations > 1).await;
    let mut held = hub.hold(Operation::Lookup);
    let filling = tokio::spawn({
        let tier = tier.clone();
        async move { found(&tier, key(1)).await }
    });
    held.reached().await;
    hub.refuse(true);
    hub.cut();
    until(|| !tier.counters().trusted).await;
    put(&other, key(1), 2).await;
    hub.refuse(false);
    until_trusted(&tier).await;
    held.release();
    filling.await.unwrap();
    assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_loss() {
    let hub = hub();
    let (tier, other) = pair(&hub).await;
    put(&other, key(1), 1).await;
    until(|| tier.counters().invalidations > 1).await;
    found(&tier, key(1)).await;
    // Heartbeats alone keep the trust.
    tokio::time::sleep(10 * HEARTBEAT).await;
    assert!(is_hit(&tier, key(1)).await);
    hub.silence(true);
    put(&other, key(1), 2).await;
    tokio::time::sleep(2 * HEARTBEAT + SECOND).await;
    // Another subscription stands by now, or soon; what was held is gone.
    assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
}

/// The task ends with the storage, and the subscription with it.
#[tokio::test(start_paused = true)]
async fn nobody_listens_for_a_storage_that_is_gone() {
    let hub = hub();
    let (tier, other) = pair(&hub).await;
    assert_eq!(hub.subscriptions(), 1);
    let clone = tier.clone();
    drop(tier);
    tokio::time::sleep(SECOND).await;
    assert_eq!(hub.subscriptions(), 1);
    drop(clone);
    until(|| hub.subscriptions() == 0).await;

    let (tier, _) = pair(&hub).await;
    put(&other, key(1), 1).await;
    found(&tier, key(1)).await;
    tier.close().await.unwrap();
    until(|| hub.subscriptions() == 0).await;
    for _ in 0..2 {
        assert!(!is_hit(&tier, key(1)).await);
    }
    assert!(!tier.counters().trusted);
    tier.close().await.unwrap();
}

/// A store without events, shared with another handle.
fn untold() -> (MemoryStorage, TieredStorage) {
    let store = MemoryStorage::new();
    let tier = TieredStorage::builder(Arc::new(store.clone())).max_staleness(2 * SECOND).build().unwrap();
    (store, tier)
}

#[tokio::test]
async fn without_events_a_change_is_seen_within_the_bound() {
    let (store, tier) = untold();
    assert!(tier.counters().trusted && tier.bound() == 2 * SECOND);
    put(&store, key(1), 1).await;
    let old = found(&tier, key(1)).await;
    put(&store, key(1), 2).await;
    let new = found(&store, key(1)).await;
    let nearly = NOW() + 2 * SECOND - Duration::from_millis(1);
    assert_eq!(found_at(&tier, key(1), nearly).await, old);
    assert_eq!(found_at(&tier, key(1), NOW() + 2 * SECOND).await, new);
    // And a removal; a hit does not prolong.
    store.remove(&key(1), None, NOW()).await.unwrap();
    assert_eq!(found_at(&tier, key(1), NOW() + 3 * SECOND).await, new);
    assert_eq!(found_at(&tier, key(1), NOW() + 4 * SECOND).await, None);
    // Time that went back says nothing of an age.
    put(&store, key(2), 1).await;
    found_at(&tier, key(2), NOW() + SECOND).await;
    assert!(!is_hit(&tier, key(2)).await);
}

/// A replica that dies between a change and its telling.
#[tokio::test(start_paused = true)]
async fn with_events_there_is_a_bound_too() {
    let hub = hub();
    let tier = tier(&hub, |tier| tier.max_age(10 * SECOND)).await;
    let other = hub.replica();
    put(&other, key(1), 1).await;
    until(|| tier.counters().invalidations > 1).await;
    found(&tier, key(1)).await;
    hub.silence(true);
    put(&other, key(1), 2).await;
    assert!(is_hit_at(&tier, key(1), NOW() + 9 * SECOND).await);
    assert_eq!(found_at(&tier, key(1), NOW() + 10 * SECOND).await, found(&other, key(1)).await);
}

#[tokio::test]
async fn what_is_dead_is_not_served() {
    let (store, tier) = untold();
    let ticket = store.lookup(&key(1), NOW()).await.unwrap().ticket().clone();
    for (number, life) in [(1_u8, SECOND), (2, HOUR)] {
        let mut entry = entry(key(1), "head", NOW());
        entry.variant = cache_api::VariantId::from_bytes([number; 16]);
        entry.dead_at = NOW() + life;
        let body = cache_conformance::sample::inline(vec![number]).unwrap();
        store.commit(&ticket, entry, Change::Put(body), NOW()).await.unwrap();
    }
    let live = async |now| tier.lookup(&key(1), now).await.unwrap().variants().len();
    let before = tier.counters();
    assert_eq!((live(NOW()).await, live(NOW()).await, live(NOW() + SECOND).await), (2, 2, 1));
    assert_eq!(tier.counters().hits, before.hits + 2, "the one that lives is served from memory");
    let found = tier.lookup(&key(1), NOW() + SECOND).await.unwrap();
    assert_eq!(found.ticket().issued_at(), NOW());
    assert_eq!(found.ticket().saw(&cache_api::VariantId::from_bytes([1; 16])), None);
}

/// A ticket is as old as what was seen, and young enough for a commit all the same.
#[tokio::test]
async fn tickets_of_copies_commit() {
    let limits = Limits::default().with_max_write(20 * SECOND);
    let hub = Hub::new(Namespace::default(), limits);
    let tier = tier(&hub, |tier| tier.max_age(HOUR)).await;
    assert_eq!(tier.bound(), 10 * SECOND, "half of max_write");
    put(&tier, key(1), 1).await;
    found(&tier, key(1)).await;
    let at = NOW() + 9 * SECOND;
    let hit = tier.lookup(&key(1), at).await.unwrap();
    assert_eq!((tier.counters().hits, hit.ticket().issued_at()), (1, NOW()));
    let version = hit.variants()[0].version;
    let fresh = entry(key(1), "fresh", at);
    let committed = tier.commit(hit.ticket(), fresh, Change::Keep(version), at + 10 * SECOND).await.unwrap();
    assert!(matches!(committed, Committed::Stored { .. }), "{committed:?}");
    // The new head is there at once, and another commit builds on it.
    let now = at + 10 * SECOND;
    let found = tier.lookup(&key(1), now).await.unwrap();
    assert_eq!(found.variants()[0].version.head, version.head + 1);
}

/// A copy that is old is refused by the store, and then is not served again.
#[tokio::test]
async fn a_refusal_shows_that_a_copy_is_old() {
    let (store, tier) = untold();
    put(&store, key(1), 1).await;
    found(&tier, key(1)).await;
    put(&store, key(1), 2).await;
    let old = tier.lookup(&key(1), NOW()).await.unwrap();
    let keep = Change::Keep(old.variants()[0].version);
    let committed = tier.commit(old.ticket(), entry(key(1), "fresh", NOW()), keep, NOW()).await.unwrap();
    assert!(matches!(committed, Committed::Refused(_)), "{committed:?}");
    assert_eq!(found(&tier, key(1)).await, found(&store, key(1)).await);
}

/// An answer that is lost is not taken for a change that did not happen.
#[tokio::test]
async fn a_change_whose_answer_is_lost_is_seen() {
    let faulty = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let tier = TieredStorage::builder(Arc::new(faulty.clone())).build().unwrap();
    put(&tier, key(1), 1).await;
    found(&tier, key(1)).await;
    assert!(is_hit(&tier, key(1)).await);
    faulty.inject(Rule::on(Operation::Remove, Fault::LostAnswer(ErrorKind::Timeout)).once());
    assert!(tier.remove(&key(1), None, NOW()).await.is_err());
    assert_eq!(found(&tier, key(1)).await, None);
}

/// Who gets a lease looks again, and sees what its last holder stored.
#[tokio::test]
async fn a_lookup_after_a_lease_asks_the_store() {
    let (store, tier) = untold();
    put(&store, key(1), 1).await;
    found(&tier, key(1)).await;
    put(&store, key(1), 2).await;
    let leases = tier.abilities().leases.unwrap();
    leases.acquire(&key(1), 30 * SECOND, NOW()).await.unwrap();
    assert_eq!(found(&tier, key(1)).await, found(&store, key(1)).await);
}
