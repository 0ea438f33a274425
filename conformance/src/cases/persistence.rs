//! What was stored is there when the store is opened again.

use cache_api::Limits;

use crate::{
    bench::{Bench, secs, tag, variant},
    case::cases,
    failure::{Context, Outcome, ensure_eq},
    store::Store,
};

cases!["persistence";
    entries [Persistent], removal [Persistent], removal_before_reopening [Persistent],
    clear_before_reopening [Persistent, LISTING], purge_before_reopening [Persistent, TAGS], versions [Persistent],
    limit_of_a_body [Persistent], without_close [Persistent],
];

async fn reopen(bench: &Bench, store: Store) -> Outcome<Store> {
    store.storage.close().await.context("close")?;
    drop(store);
    bench.open().await
}

async fn entries(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..6_u8 {
        let draft = bench.draft(bench.key(u64::from(number / 2))).variant(variant(number % 2));
        let draft = draft.len(bench.seed(), u64::from(number) * 120_000);
        store.put(&draft).await?;
        drafts.push(draft);
    }
    let store = reopen(&bench, store).await?;
    for draft in &drafts {
        store.check(draft).await?;
    }
    Ok(())
}

async fn removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (kept, gone) = (bench.draft(bench.key(1)), bench.draft(bench.key(2)));
    store.put(&kept).await?;
    store.put(&gone).await?;
    store.remove(&gone.key).await?;
    let store = reopen(&bench, store).await?;
    store.absent(&gone.key, "a removed entry after reopening").await?;
    store.check(&kept).await?;
    Ok(())
}

/// A write that outlived the storage, as one in another process does.
async fn removal_before_reopening(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let pending = store.begin(&bench.draft(bench.key(1))).await?;
    store.remove(&bench.key(1)).await?;
    let store = reopen(&bench, store).await?;
    store.refuse(&pending, None, "a write that began before a removal and a reopening").await?;
    store.absent(&bench.key(1), "a removed entry").await
}

async fn clear_before_reopening(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let pending = store.begin(&bench.draft(bench.key(1))).await?;
    store.listing()?.clear(store.now()).await.context("clear")?;
    let store = reopen(&bench, store).await?;
    store.refuse(&pending, None, "a write that began before a clear and a reopening").await?;
    store.absent(&bench.key(1), "a cleared entry").await
}

async fn purge_before_reopening(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let pending = store.begin(&bench.draft(bench.key(1)).tags(&[tag("a")])).await?;
    store.tags()?.purge(&[tag("a")], store.now()).await.context("purge")?;
    let store = reopen(&bench, store).await?;
    store.refuse(&pending, None, "a write that began before a purge and a reopening").await?;
    store.absent(&bench.key(1), "a purged entry").await
}

async fn versions(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).stored();
    let version = store.put(&draft).await?.version;
    let version = store.replace_head(&draft, version).await?.version;
    let store = reopen(&bench, store).await?;
    ensure_eq!(store.check(&draft).await?.version, version, "the version after reopening");
    ensure_eq!(store.replace_head(&draft, version).await?.version.head, 2, "the head counter");
    Ok(())
}

async fn limit_of_a_body(bench: Bench) -> Outcome {
    let limits = Limits::default().with_max_retention(secs(1000));
    let store = bench.open_with("", limits).await?;
    let draft = bench.draft(bench.key(1)).stored().life(secs(100));
    let limit = crate::clock::later(store.now(), secs(1000));
    let version = store.put(&draft).await?.version;
    store.storage.close().await.context("close")?;
    let store = bench.open_with("", limits).await?;
    bench.clock().advance(secs(50));
    let kept = store.replace_head(&draft.life(secs(5000)), version).await?;
    ensure_eq!(kept.dead_at, limit, "dead_at of a new head after reopening");
    Ok(())
}

/// As after a crash: what was acknowledged may be lost or there, never torn.
async fn without_close(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 600_000);
    store.put(&draft).await?;
    drop(store);
    let store = bench.open().await?;
    let found = store.lookup(&draft.key).await?;
    if !found.variants().is_empty() {
        store.check_in(&found, &draft).await?;
    }
    store.put(&draft).await?;
    store.check(&draft).await?;
    Ok(())
}
