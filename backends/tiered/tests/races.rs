//! An answer of the store that is overtaken on its way to memory is not kept.

use std::time::Duration;

use crate::replica::{NOW, found, hub, is_hit, pair, put, until};
use cache_api::{Event, Storage, TagDigest};
use cache_backend_tiered::TieredStorage;
use cache_conformance::{fault::Operation, sample::key};
use futures_util::{StreamExt as _, future::BoxFuture};

/// What changes the resource of number 1.
type Changes = for<'a> fn(&'a dyn Storage) -> BoxFuture<'a, ()>;

const REMOVAL: Changes =
    |storage| Box::pin(async { assert!(storage.remove(&key(1), None, NOW()).await.is_ok()) });
const COMMIT: Changes = |storage| Box::pin(put(storage, key(1), 2));
const PURGE: Changes = |storage| {
    Box::pin(async {
        storage.abilities().tags.unwrap().purge(&[TagDigest::of("a")], NOW()).await.unwrap();
    })
};
const CLEAR: Changes =
    |storage| Box::pin(async { assert!(storage.abilities().listing.unwrap().clear(NOW()).await.is_ok()) });

const ALL: [Changes; 4] = [REMOVAL, COMMIT, PURGE, CLEAR];

/// Holds back what the store answers to a lookup through a tier, lets another replica change it meanwhile, and waits
/// for the event before the answer goes on.
#[tokio::test]
async fn a_fill_that_an_event_overtakes_is_refused() {
    for change in ALL {
        let hub = hub();
        let (tier, other) = pair(&hub).await;
        put(&other, key(1), 1).await;
        until(|| tier.counters().invalidations > 1).await;
        let before = tier.counters();
        let mut held = hub.hold(Operation::Lookup);
        let filling = tokio::spawn({
            let tier = tier.clone();
            async move { found(&tier, key(1)).await }
        });
        held.reached().await;
        change(&other).await;
        until(|| tier.counters().invalidations > before.invalidations).await;
        held.release();
        assert!(filling.await.unwrap().is_some(), "what the store answered then");
        assert_eq!(tier.counters().fills_refused, before.fills_refused + 1);
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
    }
}

/// The same with a change through the tier itself, of which no event tells.
#[tokio::test]
async fn a_fill_that_an_own_change_overtakes_is_refused() {
    for change in ALL {
        let hub = hub();
        let (tier, other) = pair(&hub).await;
        put(&tier, key(1), 1).await;
        let mut held = hub.hold(Operation::Lookup);
        let filling = tokio::spawn({
            let tier = tier.clone();
            async move { found(&tier, key(1)).await }
        });
        held.reached().await;
        change(&tier).await;
        held.release();
        assert!(filling.await.unwrap().is_some(), "what the store answered then");
        assert!(tier.counters().fills_refused > 0);
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
    }
}

/// A lookup between the beginning of a change and its doing finds what was, and keeps it no longer than that.
#[tokio::test]
async fn what_is_kept_during_a_change_goes_with_it() {
    for (operation, change) in
        [Operation::Remove, Operation::Commit, Operation::Purge, Operation::Clear].into_iter().zip(ALL)
    {
        let hub = hub();
        let (tier, other) = pair(&hub).await;
        put(&tier, key(1), 1).await;
        // The change's answer is on its way; a lookup that was answered before it comes in, and one after it.
        let (mut changed, mut old) = (hub.hold(operation), hub.hold(Operation::Lookup));
        let reading = tokio::spawn({
            let tier = tier.clone();
            async move { found(&tier, key(1)).await }
        });
        old.reached().await;
        let changing = tokio::spawn({
            let tier = tier.clone();
            async move { change(&tier).await }
        });
        changed.reached().await;
        old.release();
        reading.await.unwrap();
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await, "before the acknowledgement");
        changed.release();
        changing.await.unwrap();
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await, "after the acknowledgement");
    }
}

/// A change whose caller goes away, after it was done or before.
#[tokio::test]
async fn a_change_that_is_cut_off_is_seen() {
    for (operation, change) in
        [Operation::Remove, Operation::Commit, Operation::Purge, Operation::Clear].into_iter().zip(ALL)
    {
        let hub = hub();
        let (tier, other) = pair(&hub).await;
        put(&tier, key(1), 1).await;
        found(&tier, key(1)).await;
        assert!(is_hit(&tier, key(1)).await);
        let mut changed = hub.hold(operation);
        let changing = tokio::spawn({
            let tier = tier.clone();
            async move { change(&tier).await }
        });
        changed.reached().await;
        changing.abort();
        assert!(changing.await.unwrap_err().is_cancelled());
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
    }
}

/// Who hears of a change finds it: its event left memory first, whether or not the tier itself has heard by then.
#[tokio::test]
async fn a_lookup_after_an_event_sees_what_happened() {
    for change in ALL {
        let hub = hub();
        let (tier, other) = pair(&hub).await;
        put(&other, key(1), 1).await;
        until(|| tier.counters().invalidations > 1).await;
        let mut events = tier.abilities().events.unwrap().subscribe().await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), Event::Heartbeat);
        found(&tier, key(1)).await;
        // Nothing here gives the tier's own task its turn.
        change(&other).await;
        assert_ne!(events.next().await.unwrap().unwrap(), Event::Heartbeat);
        assert_eq!(found(&tier, key(1)).await, found(&other, key(1)).await);
    }
}

/// Many lookups and changes on two tiers at once: each sees its own changes at once, and the other's in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_end_all_find_the_same() {
    for round in 0..20 {
        let hub = hub();
        let ((one, other), (two, _)) = (pair(&hub).await, pair(&hub).await);
        let looking: Vec<_> = [&one, &two, &one, &two].map(|tier| tokio::spawn(look(tier.clone()))).into();
        for change in [COMMIT, PURGE, COMMIT, REMOVAL, COMMIT, CLEAR, COMMIT].iter().take(1 + round % 7) {
            change(&one).await;
            assert_eq!(
                found(&one, key(1)).await,
                found(&other, key(1)).await,
                "own changes, in round {round}"
            );
        }
        for task in looking {
            task.await.unwrap();
        }
        let stored = found(&other, key(1)).await;
        assert_eq!(found(&one, key(1)).await, stored, "own changes, in round {round}");
        let mut looks = 0;
        while found(&two, key(1)).await != stored {
            looks += 1;
            assert!(looks < 5000, "the other's changes, in round {round}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn look(tier: TieredStorage) {
    for _ in 0..300 {
        found(&tier, key(1)).await;
        tokio::task::yield_now().await;
    }
}
