//! One holder at a time, and who lost a lease cannot take it from the next.

use std::time::Duration;

use cache_api::{Acquired, CacheKey, Lease, Outcome as Came};
use futures_util::future::join_all;

use crate::{
    Failure,
    bench::{Bench, secs},
    case::cases,
    clock::later,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::Store,
};

cases!["leases";
    one_holder [LEASES], release [LEASES], ends_by_itself [LEASES], extend [LEASES], extend_a_lost_one [LEASES],
    extend_a_dead_one [LEASES], stale_release [LEASES], stale_uncacheable [LEASES], uncacheable [LEASES], of_two_resources [LEASES],
    at_once [LEASES], does_not_touch_entries [LEASES],
];

const TTL: Duration = secs(30);

async fn acquire(store: &Store, key: &CacheKey) -> Outcome<Acquired> {
    store.leases()?.acquire(key, TTL, store.now()).await.context("acquire")
}

async fn held(store: &Store, key: &CacheKey) -> Outcome<Lease> {
    match acquire(store, key).await? {
        Acquired::Held(lease) => {
            ensure_eq!(lease.key, *key, "the resource of a lease");
            Ok(lease)
        }
        other => Err(Failure::new(format!("expected to get the lease, found {other:?}"))),
    }
}

async fn busy(store: &Store, key: &CacheKey, until: std::time::SystemTime, why: &str) -> Outcome {
    ensure_eq!(acquire(store, key).await?, Acquired::Busy { until }, "{why}");
    Ok(())
}

async fn release(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lease = held(&store, &bench.key(1)).await?;
    store.leases()?.release(&lease, Came::Done, store.now()).await.context("release")?;
    let next = held(&store, &bench.key(1)).await?;
    ensure!(next.token != lease.token, "expected each holder to have a token of its own");
    // A second release of the first is a lost lease's.
    store.leases()?.release(&lease, Came::Done, store.now()).await.context("a second release")?;
    busy(&store, &bench.key(1), later(store.now(), TTL), "a lease after a second release of the last").await
}

async fn one_holder(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    held(&store, &bench.key(1)).await?;
    let until = later(store.now(), TTL);
    busy(&store, &bench.key(1), until, "a lease that is held").await?;
    bench.clock().advance(TTL - secs(1));
    busy(&store, &bench.key(1), until, "a lease in its last second").await
}

async fn ends_by_itself(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    held(&store, &bench.key(1)).await?;
    bench.clock().advance(TTL);
    held(&store, &bench.key(1)).await?;
    Ok(())
}

async fn extend(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lease = held(&store, &bench.key(1)).await?;
    bench.clock().advance(secs(20));
    ensure!(
        store.leases()?.extend(&lease, TTL, store.now()).await.context("extend")?,
        "expected to keep the lease"
    );
    let until = later(store.now(), TTL);
    bench.clock().advance(secs(20));
    busy(&store, &bench.key(1), until, "a lease that was extended").await
}

async fn extend_a_lost_one(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lost = held(&store, &bench.key(1)).await?;
    bench.clock().advance(TTL);
    held(&store, &bench.key(1)).await?;
    let until = later(store.now(), TTL);
    let kept = store.leases()?.extend(&lost, secs(600), store.now()).await.context("extend")?;
    ensure!(!kept, "expected a lease with a new holder to be lost");
    busy(&store, &bench.key(1), until, "a lease that a lost holder tried to extend").await
}

/// Nobody took it over, but somebody could have.
async fn extend_a_dead_one(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lost = held(&store, &bench.key(1)).await?;
    bench.clock().advance(TTL);
    let kept = store.leases()?.extend(&lost, TTL, store.now()).await.context("extend")?;
    ensure!(!kept, "expected a lease past its time to be lost");
    held(&store, &bench.key(1)).await?;
    Ok(())
}

async fn stale_release(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lost = held(&store, &bench.key(1)).await?;
    bench.clock().advance(TTL);
    let current = held(&store, &bench.key(1)).await?;
    let until = later(store.now(), TTL);
    store.leases()?.release(&lost, Came::Done, store.now()).await.context("release of a lost lease")?;
    busy(&store, &bench.key(1), until, "a lease that a lost holder tried to release").await?;
    let kept = store.leases()?.extend(&current, TTL, store.now()).await.context("extend")?;
    ensure!(kept, "expected the new holder to keep its lease");
    Ok(())
}

async fn stale_uncacheable(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lost = held(&store, &bench.key(1)).await?;
    bench.clock().advance(TTL);
    held(&store, &bench.key(1)).await?;
    let until = later(store.now(), TTL);
    let outcome = Came::Uncacheable(secs(600));
    store.leases()?.release(&lost, outcome, store.now()).await.context("release of a lost lease")?;
    busy(&store, &bench.key(1), until, "a lease of whose resource a lost holder said it is uncacheable").await
}

async fn uncacheable(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lease = held(&store, &bench.key(1)).await?;
    let outcome = Came::Uncacheable(secs(60));
    store.leases()?.release(&lease, outcome, store.now()).await.context("release")?;
    let until = later(store.now(), secs(60));
    for _ in 0..2 {
        let found = acquire(&store, &bench.key(1)).await?;
        ensure_eq!(found, Acquired::Uncacheable { until }, "the lease of an uncacheable resource");
        bench.clock().advance(secs(30));
    }
    held(&store, &bench.key(1)).await?;
    Ok(())
}

async fn of_two_resources(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    held(&store, &bench.key(1)).await?;
    held(&store, &bench.key(2)).await?;
    Ok(())
}

async fn at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    race(&bench, &[store]).await
}

/// Of eight that ask at once, one gets it.
pub(super) async fn race(bench: &Bench, stores: &[Store]) -> Outcome {
    for number in 0..20 {
        let key = bench.key(number);
        let tasks = stores
            .iter()
            .cycle()
            .take(8)
            .cloned()
            .map(|store| tokio::spawn(async move { acquire(&store, &key).await }));
        let mut holders = 0;
        for joined in join_all(tasks).await {
            if let Acquired::Held(_) = joined.map_err(|e| Failure::new(e.to_string()))?? {
                holders += 1;
            }
        }
        ensure_eq!(holders, 1, "the holders of one lease");
    }
    Ok(())
}

/// A lease is advice: entries come and go without it.
async fn does_not_touch_entries(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let pending = store.begin(&draft).await?;
    let lease = held(&store, &draft.key).await?;
    store.absent(&draft.key, "a resource with a lease alone").await?;
    store.complete(&pending).await?;
    store.leases()?.release(&lease, Came::Done, store.now()).await.context("release")?;
    store.check(&draft).await?;
    Ok(())
}
