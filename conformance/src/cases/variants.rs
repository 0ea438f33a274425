//! A resource has several variants, and each is its own.

use cache_api::{MAX_VARIANTS, VariantId};

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::find,
};

cases!["variants";
    several, one_is_replaced, one_is_removed, a_65th_evicts_the_oldest, dead_ones_leave_room, never_more_than_64 , two_resources,
];

async fn several(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..5 {
        let draft = bench.draft(bench.key(1)).variant(variant(number));
        let draft = draft.len(bench.seed(), u64::from(number) * 100_000);
        store.put(&draft).await?;
        drafts.push(draft);
    }
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), drafts.len(), "the variants");
    for draft in &drafts {
        store.check_in(&found, draft).await?;
        let id = find(&found, draft.variant)?.body.id();
        ensure_eq!(found.ticket().saw(&draft.variant), Some(id), "the body that the ticket saw");
    }
    ensure_eq!(found.ticket().saw(&variant(99)), None, "the body that the ticket saw of no variant");
    Ok(())
}

async fn one_is_replaced(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let kept = bench.draft(bench.key(1)).variant(variant(1));
    store.put(&kept).await?;
    for stored in [false, true, false] {
        let mut draft = bench.draft(bench.key(1)).variant(variant(2)).len(bench.seed(), 777);
        draft.stored = stored;
        store.put(&draft).await?;
        store.check(&draft).await?;
        store.check(&kept).await?;
        ensure_eq!(store.lookup(&bench.key(1)).await?.variants().len(), 2, "the variants");
    }
    Ok(())
}

async fn one_is_removed(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (kept, gone) =
        (bench.draft(bench.key(1)).variant(variant(1)), bench.draft(bench.key(1)).variant(variant(2)));
    store.put(&kept).await?;
    let version = store.put(&gone).await?.version;
    ensure_eq!(store.remove_version(&gone.key, version).await?, 1, "the variants removed");
    ensure_eq!(store.remove_version(&gone.key, version).await?, 0, "the variants removed again");
    let found = store.lookup(&kept.key).await?;
    ensure_eq!(found.variants().len(), 1, "the variants left");
    store.check_in(&found, &kept).await?;
    Ok(())
}

async fn a_65th_evicts_the_oldest(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..=MAX_VARIANTS {
        bench.clock().advance(secs(1));
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        // Ids that do not grow with age: the oldest is told by when it was stored.
        let id = VariantId::from_bytes([number.wrapping_mul(37).wrapping_add(101); 16]);
        let draft = bench.draft(bench.key(1)).variant(id).life(secs(100_000 - u64::from(number)));
        store.put(&draft).await?;
        drafts.push(draft);
    }
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), MAX_VARIANTS, "the variants after one too many");
    let (oldest, rest) = drafts.split_first().map_or((None, drafts.as_slice()), |(o, r)| (Some(o), r));
    let oldest = oldest.map(|draft| draft.variant);
    ensure!(
        found.variants().iter().all(|v| Some(v.id) != oldest),
        "expected the oldest variant to be evicted, found it"
    );
    for draft in rest {
        store.check_in(&found, draft).await?;
    }
    Ok(())
}

/// Many writers at once do not get past the bound.
async fn never_more_than_64(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..56 {
        store.put(&bench.draft(bench.key(1)).variant(variant(number))).await?;
    }
    bench.clock().advance(secs(1));
    let mut writers = Vec::new();
    for number in 100..116 {
        let pending = store.begin(&bench.draft(bench.key(1)).variant(variant(number))).await?;
        let store = store.clone();
        writers.push(tokio::spawn(async move { store.complete(&pending).await }));
    }
    for joined in futures_util::future::join_all(writers).await {
        joined.map_err(|e| crate::Failure::new(e.to_string()))??;
    }
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), MAX_VARIANTS, "the variants after 72 were stored");
    for number in 100..116 {
        find(&found, variant(number)).context("the newest variants")?;
    }
    Ok(())
}

/// A dead variant is not one of the 64.
async fn dead_ones_leave_room(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let oldest = bench.draft(bench.key(1)).variant(variant(200));
    store.put(&oldest).await?;
    bench.clock().advance(secs(1));
    for number in 1..64 {
        store.put(&bench.draft(bench.key(1)).variant(variant(number)).life(secs(5))).await?;
    }
    bench.clock().advance(secs(10));
    let new = bench.draft(bench.key(1)).variant(variant(201));
    store.put(&new).await?;
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), 2, "the live variants");
    store.check_in(&found, &oldest).await?;
    store.check_in(&found, &new).await?;
    Ok(())
}

async fn two_resources(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (one, two) = (bench.draft(bench.key(1)), bench.draft(bench.key(2)));
    store.put(&one).await?;
    store.absent(&two.key, "another resource").await?;
    store.put(&two).await?;
    store.check(&one).await?;
    ensure_eq!(store.remove(&one.key).await?, 1, "the variants removed");
    store.absent(&one.key, "the removed resource").await?;
    store.check(&two).await?;
    Ok(())
}
