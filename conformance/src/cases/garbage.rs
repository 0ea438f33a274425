//! Garbage in the store is a miss, never a panic, an error of a lookup, or other content.

use crate::{
    Damage,
    bench::Bench,
    case::cases,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure},
    store::{Store, check_bytes},
};

cases!["garbage";
    flipped_head [Raw], truncated_head [Raw], foreign_head [Raw], flipped_frame [Raw],
    truncated_frame [Raw], lost_frame [Raw], malformed_row [Raw], listed [Raw, LISTING],
];

/// Damages one resource of two, and looks at both.
async fn damaged(bench: Bench, damage: Damage, stored: bool) -> Outcome {
    let store = bench.open().await?;
    let mut bad = bench.draft(bench.key(1)).len(bench.seed(), 5000);
    bad.stored = stored;
    let good = bench.draft(bench.key(2)).stored();
    store.put(&bad).await?;
    store.put(&good).await?;
    bench.damage(&bad.key, damage).await?;
    missed(&store, &bad).await?;
    store.check(&good).await.context("a resource beside a damaged one")?;

    // What cannot be read can be replaced, and removed.
    let next = bench.draft(bad.key).stored();
    store.put_at_last(&next).await.context("a write over a damaged entry")?;
    store.check(&next).await?;
    bench.damage(&bad.key, damage).await?;
    store.remove(&bad.key).await.context("the removal of a damaged entry")?;
    store.absent(&bad.key, "a removed entry that was damaged").await
}

/// The entry is not there, or decoding it says that it is corrupt.
async fn missed(store: &Store, draft: &Draft) -> Outcome {
    let found = store.lookup(&draft.key).await.context("a lookup of a damaged resource")?;
    for variant in found.variants() {
        let place = store.place(draft.key, variant.id, variant.version.body);
        match variant.head.decode(store.serializer(), &place).await {
            Err(error) if error.is_corrupt() => {}
            Err(error) => return Err(Failure::of(&error).while_doing("expected Corrupt of a head, found")),
            Ok(head) => {
                ensure!(*head == draft.head, "a damaged head decodes to another");
                body_missed(store, draft, &variant.body).await?;
            }
        }
    }
    Ok(())
}

async fn body_missed(store: &Store, draft: &Draft, body: &cache_api::Body) -> Outcome {
    let frame = match body {
        cache_api::Body::Inline(inline) => inline.frame.clone(),
        cache_api::Body::Stored(stored) => match store.read(&draft.key, stored.id, 0..stored.frames).await {
            Ok(frames) => frames.first().cloned().ok_or_else(|| Failure::new("a read of no frames"))?,
            Err(error) if error.is_gone() || error.is_corrupt() => return Ok(()),
            Err(error) => return Err(Failure::of(&error).while_doing("expected Gone of a body, found")),
        },
    };
    let place = store.place(draft.key, draft.variant, body.id()).frame(0, true);
    match frame.decode(store.serializer(), &place).await {
        Err(error) if error.is_corrupt() => Ok(()),
        Err(error) => Err(Failure::of(&error).while_doing("expected Corrupt of a frame, found")),
        Ok(bytes) => {
            check_bytes(bytes, draft.payload)?;
            Err(Failure::new("expected damage to be seen, found the entry whole: the hook changed nothing"))
        }
    }
}

async fn flipped_head(bench: Bench) -> Outcome {
    damaged(bench, Damage::FlipHead, false).await
}

async fn truncated_head(bench: Bench) -> Outcome {
    damaged(bench, Damage::TruncateHead, false).await
}

async fn foreign_head(bench: Bench) -> Outcome {
    damaged(bench, Damage::ForeignHead, false).await
}

async fn flipped_frame(bench: Bench) -> Outcome {
    damaged(bench.clone(), Damage::FlipFrame, false).await?;
    damaged(bench, Damage::FlipFrame, true).await
}

async fn truncated_frame(bench: Bench) -> Outcome {
    damaged(bench.clone(), Damage::TruncateFrame, false).await?;
    damaged(bench, Damage::TruncateFrame, true).await
}

async fn lost_frame(bench: Bench) -> Outcome {
    damaged(bench, Damage::DropFrame, true).await
}

async fn malformed_row(bench: Bench) -> Outcome {
    damaged(bench, Damage::MalformRow, false).await
}

/// A listing passes over what it cannot read; the others are there.
async fn listed(bench: Bench) -> Outcome {
    use futures_util::StreamExt;
    for damage in [Damage::FlipHead, Damage::ForeignHead, Damage::MalformRow] {
        let store = bench.open().await?;
        let (bad, good) = (bench.draft(bench.key(bench.seed())), bench.draft(bench.key(bench.seed())));
        store.put(&bad).await?;
        store.put(&good).await?;
        bench.damage(&bad.key, damage).await?;
        let all = cache_api::Filter::all();
        let mut stream = store.listing()?.list(&all, store.now());
        let mut seen = false;
        while let Some(found) = stream.next().await {
            seen |= found.context("a listing with a damaged entry")?.key == good.key;
        }
        ensure!(seen, "expected the entry beside a damaged one to be listed, found it not");
        store.listing()?.count(&all, store.now()).await.context("a count with a damaged entry")?;
        drop(stream);
        store.listing()?.clear(store.now()).await.context("a clear with a damaged entry")?;
        store.absent(&bad.key, "a damaged entry after clear").await?;
    }
    Ok(())
}
