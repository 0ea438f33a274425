//! A sweep deletes what is dead, and nothing else.

use cache_api::{FRAME_SIZE, Swept};

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::{Store, ensure_gone},
};

cases!["sweep";
    nothing [LISTING], dead_entries [LISTING], retired_bodies [LISTING], removed_bodies [LISTING],
    abandoned_bodies [LISTING], refused_bodies [LISTING], bodies_under_way_stay [LISTING],
    live_ones_stay [LISTING],
];

async fn sweep(store: &Store) -> Outcome<Swept> {
    store.listing()?.sweep(store.now()).await.context("sweep")
}

/// A store that deletes by itself may have been faster; nothing is ever counted that was not there.
fn swept(bench: &Bench, found: u64, expected: u64, what: &str) -> Outcome {
    if bench.native_expiry() {
        ensure!(found <= expected, "expected at most {expected} {what} to be swept, found {found}");
    } else {
        ensure_eq!(found, expected, "the {what} swept");
    }
    Ok(())
}

async fn nothing(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    ensure_eq!(sweep(&store).await?, Swept::new(0, 0), "what a sweep of nothing deleted");
    Ok(())
}

async fn dead_entries(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let kept = bench.draft(bench.key(1)).variant(variant(1));
    store.put(&kept).await?;
    store.put(&bench.draft(bench.key(1)).variant(variant(2)).life(secs(5))).await?;
    store.put(&bench.draft(bench.key(2)).life(secs(5))).await?;
    store.put(&bench.draft(bench.key(3)).life(secs(5)).stored()).await?;
    ensure_eq!(sweep(&store).await?.entries, 0, "the live entries swept");
    bench.clock().advance(secs(5));
    swept(&bench, sweep(&store).await?.entries, 3, "dead entries")?;
    ensure_eq!(sweep(&store).await?.entries, 0, "the entries swept twice");
    store.check(&kept).await?;
    Ok(())
}

async fn retired_bodies(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME_SIZE as u64).life(secs(100_000));
    let id = store.put(&old).await?.version.body;
    let new = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME_SIZE as u64).life(secs(100_000));
    store.put(&new).await?;
    after_the_grace(&bench, &store, old.key, id).await?;
    store.check(&new).await?;
    Ok(())
}

async fn removed_bodies(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME_SIZE as u64);
    let id = store.put(&draft).await?.version.body;
    store.remove(&draft.key).await?;
    after_the_grace(&bench, &store, draft.key, id).await
}

async fn after_the_grace(
    bench: &Bench,
    store: &Store,
    key: cache_api::CacheKey,
    id: cache_api::BodyId,
) -> Outcome {
    bench.clock().advance(store.storage.limits().read_grace - secs(1));
    ensure_eq!(sweep(store).await?.bodies, 0, "the bodies swept within their read grace");
    store.read(&key, id, 0..2).await.context("a body within its read grace, after a sweep")?;
    bench.clock().advance(secs(2));
    swept(bench, sweep(store).await?.bodies, 1, "bodies past their read grace")?;
    ensure_gone(store.read(&key, id, 0..2).await, "a body past its read grace, after a sweep")
}

async fn abandoned_bodies(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let kept = bench.draft(bench.key(2)).stored().life(secs(100_000));
    store.put(&kept).await?;
    let pending = store.begin(&bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME_SIZE as u64)).await?;
    let key = pending.entry.key;
    bench.clock().advance(store.storage.limits().max_write + secs(1));
    swept(&bench, sweep(&store).await?.bodies, 1, "bodies never committed")?;
    ensure_gone(store.read(&key, pending.body, 0..1).await, "a body never committed, after a sweep")?;
    store.refuse(&pending, None, "a body that was swept").await?;
    store.check(&kept).await?;
    Ok(())
}

async fn refused_bodies(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let pending = store.begin(&bench.draft(bench.key(1)).stored()).await?;
    store.remove(&bench.key(1)).await?;
    store.refuse(&pending, None, "a write that began before a removal").await?;
    let wait = store.storage.limits().max_write.max(store.storage.limits().read_grace);
    bench.clock().advance(wait + secs(1));
    sweep(&store).await?;
    ensure_gone(store.read(&bench.key(1), pending.body, 0..1).await, "a refused body, after a sweep")
}

async fn bodies_under_way_stay(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME_SIZE as u64);
    let pending = store.begin(&draft).await?;
    bench.clock().advance(store.storage.limits().max_write - secs(1));
    ensure_eq!(sweep(&store).await?.bodies, 0, "the bodies swept while under way");
    store.complete(&pending).await?;
    bench.clock().advance(secs(10));
    sweep(&store).await?;
    store.check(&draft).await.context("an entry whose write took almost max_write")?;
    Ok(())
}

async fn live_ones_stay(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..4 {
        let mut draft = bench.draft(bench.key(number)).life(secs(40 * 86_400));
        draft.stored = number % 2 == 1;
        let version = store.put(&draft).await?.version;
        if number > 1 {
            store.replace_head(&draft, version).await?;
        }
        drafts.push(draft);
    }
    bench.clock().advance(secs(30 * 86_400));
    ensure_eq!(sweep(&store).await?, Swept::new(0, 0), "what a sweep deleted where all is live");
    for draft in &drafts {
        store.check(draft).await?;
    }
    Ok(())
}
