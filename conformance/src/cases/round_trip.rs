//! What is stored comes back, byte for byte.

use cache_api::{Body, BodyId, ErrorKind, FRAME_SIZE, INLINE_MAX, INLINE_TOTAL};

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    clock::later,
    failure::{Outcome, ensure, ensure_eq},
    payload::Payload,
    store::{check_bytes, ensure_gone, find},
};

cases!["round_trip";
    absent, empty, empty_stored, one_byte, inline_max_less_one, inline_max, inline_max_and_one,
    small_stored, one_frame, one_frame_and_a_byte, streamed_20_mib, any_frames, frames_beyond_the_end,
    inline_body_by_read, more_inline_than_a_lookup_holds, times, without_a_frame, too_large_for_inline,
];

const FRAME: u64 = FRAME_SIZE as u64;
const INLINE: u64 = INLINE_MAX as u64;

async fn absent(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let found = store.lookup(&bench.key(1)).await?;
    ensure!(found.variants().is_empty(), "expected no variants of a resource never stored");
    ensure_eq!(*found.ticket().key(), bench.key(1), "the ticket's resource");
    ensure_eq!(found.ticket().issued_at(), store.now(), "when the ticket was issued");
    Ok(())
}

async fn of_len(bench: Bench, len: u64, stored: bool) -> Outcome {
    let store = bench.open().await?;
    let mut draft = bench.draft(bench.key(1)).len(bench.seed(), len);
    draft.stored = stored;
    let written = store.put(&draft).await?;
    let found = store.check(&draft).await?;
    ensure_eq!(found.version, written.version, "the version");
    ensure_eq!(found.body.frames(), draft.payload.frames(), "the frames");
    Ok(())
}

async fn empty(bench: Bench) -> Outcome {
    of_len(bench, 0, false).await
}

async fn empty_stored(bench: Bench) -> Outcome {
    of_len(bench, 0, true).await
}

async fn one_byte(bench: Bench) -> Outcome {
    of_len(bench, 1, false).await
}

async fn inline_max_less_one(bench: Bench) -> Outcome {
    of_len(bench, INLINE - 1, false).await
}

async fn inline_max(bench: Bench) -> Outcome {
    of_len(bench, INLINE, false).await
}

async fn inline_max_and_one(bench: Bench) -> Outcome {
    of_len(bench, INLINE + 1, false).await
}

async fn small_stored(bench: Bench) -> Outcome {
    of_len(bench, 10, true).await
}

async fn one_frame(bench: Bench) -> Outcome {
    of_len(bench, FRAME, false).await
}

async fn one_frame_and_a_byte(bench: Bench) -> Outcome {
    of_len(bench, FRAME + 1, false).await
}

async fn streamed_20_mib(bench: Bench) -> Outcome {
    of_len(bench, 20 * 1024 * 1024, false).await
}

async fn any_frames(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 6 * FRAME + 77);
    store.put(&draft).await?;
    let found = store.check(&draft).await?;
    for (start, end) in [(0, 1), (3, 4), (6, 7), (0, 3), (2, 6), (5, 7), (0, 7)] {
        let bytes = store.frames(draft.key, draft.variant, &found.body, start..end).await?;
        let expected: Vec<u8> = (start..end).flat_map(|index| draft.payload.frame(index)).collect();
        ensure!(bytes == expected, "the frames {start}..{end} hold other bytes than were written");
    }
    Ok(())
}

async fn frames_beyond_the_end(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME);
    let id = store.put(&draft).await?.version.body;
    for (start, end) in [(2, 3), (1, 3), (900, 901)] {
        ensure_gone(store.read(&draft.key, id, start..end).await, "frames beyond the end of a body")?;
    }
    ensure_gone(store.read(&draft.key, BodyId::random()?, 0..1).await, "a body that never was")
}

async fn inline_body_by_read(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 5000);
    store.put(&draft).await?;
    let found = store.check(&draft).await?;
    let bytes = store.frames(draft.key, draft.variant, &found.body, 0..1).await?;
    check_bytes(&bytes, draft.payload)
}

/// Inline bodies beyond `INLINE_TOTAL` come as stored ones: nothing is lost, and a lookup stays bounded.
async fn more_inline_than_a_lookup_holds(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..9 {
        let draft = bench.draft(bench.key(1)).variant(variant(number)).len(bench.seed(), INLINE);
        store.put(&draft).await?;
        drafts.push(draft);
    }
    let found = store.lookup(&bench.key(1)).await?;
    let inline = found.variants().iter().filter_map(|v| match &v.body {
        Body::Inline(inline) => Some(inline.len),
        Body::Stored(_) => None,
    });
    let inline: u64 = inline.sum();
    ensure!(inline <= INLINE_TOTAL as u64, "expected at most {INLINE_TOTAL} bytes inline, found {inline}");
    for draft in &drafts {
        store.check_in(&found, draft).await?;
    }
    // Both forms of a body are its only one when the head is replaced, too.
    for draft in &drafts {
        let version = find(&found, draft.variant)?.version;
        store.replace_head(draft, version).await?;
        store.check(draft).await?;
    }
    Ok(())
}

async fn times(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).life(secs(12_345));
    let stored_at = store.now();
    let written = store.put(&draft).await?;
    bench.clock().advance(secs(10));
    let found = store.check(&draft).await?;
    ensure_eq!(found.stored_at, stored_at, "when it was stored");
    ensure_eq!(written.dead_at, later(stored_at, draft.life), "dead_at as the commit returned it");
    ensure_eq!(found.dead_at, written.dead_at, "dead_at as the lookup returned it");
    ensure!(found.limit >= found.dead_at, "expected a limit not before dead_at");
    Ok(())
}

async fn without_a_frame(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let ticket = store.lookup(&bench.key(1)).await?.ticket().clone();
    let writer = store.writer(&ticket, BodyId::random()?).await?;
    match writer.finish(0).await {
        Err(error) => ensure_eq!(error.kind(), ErrorKind::Misuse, "the error of a body without a frame"),
        Ok(body) => ensure!(false, "expected Misuse of a body without a frame, found {body:?}"),
    }
    Ok(())
}

async fn too_large_for_inline(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let mut pending = store.begin(&draft).await?;
    let large = Payload::new(bench.seed(), INLINE + 1);
    if let cache_api::Change::Put(Body::Inline(inline)) = &mut pending.change {
        inline.len = large.len();
        let place = store.place(draft.key, draft.variant, inline.id).frame(0, true);
        inline.frame = cache_api::Frame::new(large.frame(0), store.shared_serializer(), place);
    }
    // An error or a refusal: the caller broke the contract, and the lookup keeps its bound.
    if let Ok(committed) = store.try_commit(&pending).await {
        ensure!(
            matches!(committed, cache_api::Committed::Refused(_)),
            "expected an inline body over INLINE_MAX not to be stored, found {committed:?}"
        );
    }
    store.absent(&draft.key, "an inline body over INLINE_MAX").await
}
