//! Expiry is absolute: an entry is dead at `dead_at`, however late the store deletes it.

use cache_api::Limits;

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    clock::{earlier, later},
    failure::{Context, Outcome, ensure, ensure_eq},
    store::find,
};

cases!["expiry";
    live_just_before, dead_exactly_at, dead_after_a_jump, dead_on_arrival, one_variant_leaves_another,
    short_after_long, body_of_a_live_entry_stays, a_dead_head_is_not_kept, parts_apart,
    by_the_server_itself [NativeExpiry, Counted],
];

async fn live_just_before(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored))).life(secs(100));
        draft.stored = stored;
        let dead_at = store.put(&draft).await?.dead_at;
        let before = earlier(dead_at, bench.granularity());
        let found = store.storage.lookup(&draft.key, before).await.context("lookup")?;
        store.check_in(&found, &draft).await.context("just before dead_at")?;
    }
    Ok(())
}

async fn dead_exactly_at(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored))).life(secs(100));
        draft.stored = stored;
        let dead_at = store.put(&draft).await?.dead_at;
        let found = store.storage.lookup(&draft.key, dead_at).await.context("lookup")?;
        ensure!(found.variants().is_empty(), "expected the entry to be dead at dead_at, found it");
        ensure_eq!(found.ticket().saw(&draft.variant), None, "the body that the ticket saw of a dead entry");
    }
    Ok(())
}

async fn dead_after_a_jump(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).stored();
    store.put(&draft).await?;
    bench.clock().advance(secs(10 * 365 * 86_400));
    store.absent(&draft.key, "ten years later").await?;
    let next = bench.draft(bench.key(1)).stored();
    store.put(&next).await?;
    store.check(&next).await?;
    Ok(())
}

async fn dead_on_arrival(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).life(secs(0));
    let pending = store.begin(&draft).await?;
    store.commit(&pending).await?;
    store.absent(&draft.key, "an entry that was dead when it was stored").await
}

async fn one_variant_leaves_another(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let short = bench.draft(bench.key(1)).variant(variant(1)).life(secs(10)).stored();
    let long = bench.draft(bench.key(1)).variant(variant(2)).life(secs(1000)).stored();
    let inline = bench.draft(bench.key(1)).variant(variant(3)).life(secs(500));
    for draft in [&short, &long, &inline] {
        store.put(draft).await?;
    }
    bench.clock().advance(secs(10));
    let found = store.lookup(&long.key).await?;
    ensure_eq!(found.variants().len(), 2, "the live variants");
    store.check_in(&found, &long).await?;
    store.check_in(&found, &inline).await?;
    bench.clock().advance(secs(490));
    let found = store.lookup(&long.key).await?;
    ensure_eq!(found.variants().len(), 1, "the live variants");
    store.check_in(&found, &long).await?;
    Ok(())
}

/// A short-lived variant stored last does not shorten the life of the resource.
async fn short_after_long(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let long = bench.draft(bench.key(1)).variant(variant(1)).life(secs(20)).stored();
    let short = bench.draft(bench.key(1)).variant(variant(2)).life(secs(2));
    store.put(&long).await?;
    store.put(&short).await?;
    bench.pass(secs(3)).await;
    let found = store.lookup(&long.key).await?;
    ensure_eq!(found.variants().len(), 1, "the live variants");
    store.check_in(&found, &long).await?;
    Ok(())
}

async fn body_of_a_live_entry_stays(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 600_000).life(secs(40 * 86_400));
    store.put(&draft).await?;
    // Longer than any write or grace; other writes come and go.
    for _ in 0..5 {
        bench.clock().advance(secs(7 * 86_400));
        store.put(&bench.draft(bench.key(2)).stored()).await?;
        store.check(&draft).await?;
    }
    Ok(())
}

/// A `Keep` after death finds nothing to keep.
async fn a_dead_head_is_not_kept(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).life(secs(10));
    let version = store.put(&draft).await?.version;
    let found = store.lookup(&draft.key).await?;
    bench.clock().advance(secs(10));
    let keep = store.freshen(found.ticket(), &draft.clone().life(secs(100)), version);
    store.refuse(&keep, None, "a new head for a dead entry").await?;
    store.absent(&draft.key, "a dead entry").await
}

/// Stored variant A at +3 s, inline B at +2 s, extend A to +60 s; after 6 s B is absent, and A reads whole
/// or its `dead_at` came back clamped.
async fn parts_apart(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let start = store.now();
    let a = bench.draft(bench.key(1)).variant(variant(1)).len(bench.seed(), 600_000).life(secs(3));
    let b = bench.draft(bench.key(1)).variant(variant(2)).life(secs(2));
    let version = store.put(&a).await?.version;
    store.put(&b).await?;
    let extended = store.replace_head(&a.clone().life(secs(60)), version).await?;
    bench.pass(secs(6)).await;
    for _ in 0..2 {
        let found = store.lookup(&a.key).await?;
        ensure!(find(&found, b.variant).is_err(), "expected B to be dead after 6 s, found it");
        if extended.dead_at > store.now() {
            store.check_in(&found, &a).await.context("A, which was extended")?;
        } else {
            ensure!(extended.dead_at <= later(start, secs(60)), "dead_at beyond what was asked");
            ensure!(find(&found, a.variant).is_err(), "expected A to be dead as its commit said, found it");
        }
        // Once more when all that is dead is deleted.
        if let Some(listing) = store.storage.abilities().listing {
            listing.sweep(store.now()).await.context("sweep")?;
        }
    }
    Ok(())
}

/// The server deletes what is dead by its own clock: nobody asks for it, and nobody sweeps.
async fn by_the_server_itself(bench: Bench) -> Outcome {
    let limits = Limits::default().with_max_write(secs(1)).with_read_grace(secs(1));
    let store = bench.open_with("", limits).await?;
    let short = bench.draft(bench.key(1)).variant(variant(1)).life(secs(1));
    let body = bench.draft(bench.key(1)).variant(variant(2)).len(bench.seed(), 600_000).life(secs(1));
    let kept = bench.draft(bench.key(2));
    for draft in [&short, &body, &kept] {
        store.put(draft).await?;
    }
    let held = bench.count(&short.key).await?;
    ensure!(held > 1, "expected an entry and a body to be held, found {held} values");
    let mut left = held;
    // Its dead_at, its grace and the allowance for clock skew are a few seconds; a server may take its time besides.
    for _ in 0..200 {
        if left == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        left = bench.count(&short.key).await?;
    }
    ensure_eq!(left, 0, "the values of a dead resource that the server still holds after 20 s");
    ensure!(
        bench.count(&kept.key).await? > 0,
        "expected the server to keep a live entry, found nothing of it"
    );
    store.check(&kept).await?;
    Ok(())
}
