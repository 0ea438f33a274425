//! Bodies are visible whole or not at all, never change, and outlive their entry for a while.

use cache_api::{Body, BodyId, FRAME_SIZE, Limits};
use futures_util::future::BoxFuture;

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure, ensure_eq},
    step::{MAX_POLLS, meanwhile, step},
    store::{Store, check_bytes, ensure_gone, find},
};

cases!["bodies";
    old_body_during_replacement, old_body_after_removal, old_body_after_version_removal,
    old_inline_body_is_never_another, pending_is_invisible, pending_is_not_listed [LISTING],
    frames_before_the_commit, dropped_writer, slow_reader_blocks_no_writer, pending_writers_block_nobody,
    many_open_readers, never_mixed_stepwise,
    never_mixed, never_mixed_with_heads, refused_body_is_invisible,
];

const FRAME: u64 = FRAME_SIZE as u64;

/// Who reads the old body gets its bytes to the end while and after a new one is stored.
async fn old_body_during_replacement(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (old, new) = (
        bench.draft(bench.key(1)).len(bench.seed(), 3 * FRAME + 5),
        bench.draft(bench.key(1)).len(bench.seed(), 3 * FRAME + 5),
    );
    store.put(&old).await?;
    let reading = store.check(&old).await?;
    let first = store.frames(old.key, old.variant, &reading.body, 0..1).await?;
    let pending = store.begin(&new).await?;
    let second = store.frames(old.key, old.variant, &reading.body, 1..2).await?;
    store.complete(&pending).await?;
    // Within the grace they must be there, and be the old ones.
    bench.clock().advance(store.storage.limits().read_grace - secs(1));
    let rest = store.frames(old.key, old.variant, &reading.body, 2..4).await;
    let rest = rest.context("the old body within its read grace")?;
    check_bytes(&[first, second, rest].concat(), old.payload)?;
    store.check(&new).await?;
    Ok(())
}

async fn old_body_after_removal(bench: Bench) -> Outcome {
    readable_after(bench, false).await
}

async fn old_body_after_version_removal(bench: Bench) -> Outcome {
    readable_after(bench, true).await
}

async fn readable_after(bench: Bench, only_version: bool) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME);
    let version = store.put(&draft).await?.version;
    let reading = store.check(&draft).await?;
    if only_version {
        store.remove_version(&draft.key, version).await?;
    } else {
        store.remove(&draft.key).await?;
    }
    store.absent(&draft.key, "a removed entry").await?;
    bench.clock().advance(store.storage.limits().read_grace - secs(1));
    let bytes = store.frames(draft.key, draft.variant, &reading.body, 0..2).await;
    check_bytes(&bytes.context("a removed body within its read grace")?, draft.payload)
}

/// An inline body may go with its entry; other bytes never come in its place.
async fn old_inline_body_is_never_another(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1)).len(bench.seed(), 1000);
    store.put(&old).await?;
    let reading = store.check(&old).await?;
    let new = bench.draft(bench.key(1)).len(bench.seed(), 1000);
    store.put(&new).await?;
    match store.read(&old.key, reading.body.id(), 0..1).await {
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(Failure::of(&error).while_doing("expected the old body or Gone, found")),
        Ok(_) => {
            let bytes = store.frames(old.key, old.variant, &reading.body, 0..1).await?;
            check_bytes(&bytes, old.payload)
        }
    }
}

async fn pending_is_invisible(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 3 * FRAME);
    let ticket = store.lookup(&draft.key).await?.ticket().clone();
    let id = BodyId::random()?;
    let mut writer = store.writer(&ticket, id).await?;
    store.absent(&draft.key, "a body just begun").await?;
    for index in 0..3 {
        writer.write(store.frame(&draft, id, index)).await.context("write")?;
        store.absent(&draft.key, "a half-written body").await?;
    }
    writer.finish(3 * FRAME).await.context("finish")?;
    store.absent(&draft.key, "a finished body that was not committed").await
}

async fn pending_is_not_listed(bench: Bench) -> Outcome {
    use futures_util::StreamExt;
    let store = bench.open().await?;
    let kept = bench.draft(bench.key(1));
    store.put(&kept).await?;
    let _pending = store.begin(&bench.draft(bench.key(2)).stored()).await?;
    let _replacing = store.begin(&bench.draft(bench.key(1)).stored()).await?;
    let listing = store.listing()?;
    let all = cache_api::Filter::all();
    let found: Vec<_> = listing.list(&all, store.now()).collect().await;
    ensure_eq!(found.len(), 1, "the entries listed beside pending bodies");
    let totals = listing.count(&all, store.now()).await.context("count")?;
    ensure_eq!(totals.entries, 1, "the entries counted beside pending bodies");
    ensure_eq!(totals.bytes, kept.payload.len(), "the bytes counted beside pending bodies");
    Ok(())
}

/// Followers read what a leader has written so far.
async fn frames_before_the_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME + 9);
    let ticket = store.lookup(&draft.key).await?.ticket().clone();
    let id = BodyId::random()?;
    let mut writer = store.writer(&ticket, id).await?;
    ensure_gone(store.read(&draft.key, id, 0..1).await, "a frame not written yet")?;
    let place = store.place(draft.key, draft.variant, id);
    for index in 0..draft.payload.frames() {
        writer.write(store.frame(&draft, id, index)).await.context("write")?;
        let frames = store.read(&draft.key, id, index..index + 1).await.context("a frame just written")?;
        let frame = frames.first().ok_or_else(|| Failure::new("expected a frame, found none"))?;
        let place = place.frame(index, draft.payload.is_last(index));
        let bytes = frame.decode(store.serializer(), &place).await.context("a frame just written")?;
        ensure!(*bytes == draft.payload.frame(index), "frame {index} holds other bytes than were written");
    }
    Ok(())
}

async fn dropped_writer(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1)).stored();
    store.put(&old).await?;
    for frames in 0..3 {
        let draft = bench.draft(bench.key(1)).len(bench.seed(), 4 * FRAME);
        let ticket = store.lookup(&draft.key).await?.ticket().clone();
        let id = BodyId::random()?;
        let mut writer = store.writer(&ticket, id).await?;
        for index in 0..frames {
            writer.write(store.frame(&draft, id, index)).await.context("write")?;
        }
        drop(writer);
        store.check(&old).await?;
    }
    let new = bench.draft(bench.key(1)).stored();
    store.put(&new).await?;
    store.check(&new).await?;
    Ok(())
}

/// Between two frames a reader holds nothing that a writer needs (guarantee 10).
async fn slow_reader_blocks_no_writer(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 8 * FRAME);
    store.put(&draft).await?;
    let reading = store.check(&draft).await?;
    let mut bytes = Vec::new();
    for index in 0..8 {
        bytes.extend_from_slice(
            &store.frames(draft.key, draft.variant, &reading.body, index..index + 1).await?,
        );
        let other = bench.draft(bench.key(1)).variant(variant(9)).len(bench.seed(), FRAME * 2);
        quickly("a write while a reader stands between frames", store.put(&other)).await?;
        let another = bench.draft(bench.key(2));
        quickly("a write while a reader stands between frames", store.put(&another)).await?;
    }
    check_bytes(&bytes, draft.payload)
}

/// Between two frames a writer holds nothing either, however many there are.
async fn pending_writers_block_nobody(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut writers = Vec::new();
    for number in 0..32 {
        let draft = bench.draft(bench.key(number)).len(bench.seed(), FRAME + 1);
        let ticket = store.lookup(&draft.key).await?.ticket().clone();
        let id = BodyId::random()?;
        let begun = async {
            let mut writer = store.writer(&ticket, id).await?;
            writer.write(store.frame(&draft, id, 0)).await.context("write")?;
            Ok(writer)
        };
        let writer = quickly(format!("beginning a write beside {number} others"), begun).await?;
        writers.push((draft, ticket, id, writer));
    }
    let other = bench.draft(bench.key(100)).stored();
    let version = quickly("a write beside 32 pending ones", store.put(&other)).await?.version;
    quickly("a lookup beside 32 pending writes", store.check(&other)).await?;
    // Of one version: a removal of the resource may refuse writes of others, where they share a generation.
    quickly("a removal beside 32 pending writes", store.remove_version(&other.key, version)).await?;
    for (draft, ticket, id, mut writer) in writers {
        writer.write(store.frame(&draft, id, 1)).await.context("write")?;
        let body = writer.finish(draft.payload.len()).await.context("finish")?;
        let pending = crate::store::Pending {
            ticket,
            entry: store.entry(&draft, id),
            change: cache_api::Change::Put(Body::Stored(body)),
            body: id,
        };
        store.complete(&pending).await?;
        store.check(&draft).await?;
    }
    Ok(())
}

async fn many_open_readers(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 4 * FRAME);
    store.put(&draft).await?;
    let reading = store.check(&draft).await?;
    let tasks = (0..32).map(|_| {
        let (store, draft, body) = (store.clone(), draft.clone(), reading.body.clone());
        tokio::spawn(async move { store.body(draft.key, draft.variant, &body).await })
    });
    for joined in futures_util::future::join_all(tasks).await {
        let bytes = joined.map_err(|e| Failure::new(e.to_string()))??;
        check_bytes(&bytes, draft.payload)?;
    }
    Ok(())
}

/// While a writer replaces an entry again and again, who looks finds one of its forms, whole.
async fn never_mixed(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let drafts: Vec<_> = (0..12)
        .map(|n| bench.draft(bench.key(1)).len(bench.seed(), if n % 3 == 0 { 500 } else { 280_000 + n }))
        .collect();
    let forms = drafts.clone();
    let first = drafts.first().ok_or_else(|| Failure::new("no drafts"))?;
    store.put(first).await?;
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for draft in drafts.iter().cycle().take(40) {
            writer.put(draft).await?;
        }
        Ok(())
    });
    watch(&store, &forms, writing).await
}

/// The same with new heads for one body: a head never goes with another's version.
async fn never_mixed_with_heads(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).stored();
    let heads = (0..8_u64).map(|n| draft.clone().header("x-head", http::HeaderValue::from(n)));
    let forms: Vec<_> = std::iter::once(draft.clone()).chain(heads).collect();
    let mut version = store.put(&draft).await?.version;
    let (writer, heads) = (store.clone(), forms.clone());
    let writing = tokio::spawn(async move {
        for head in heads.iter().cycle().take(60) {
            version = writer.replace_head(head, version).await?.version;
        }
        Ok(())
    });
    watch(&store, &forms, writing).await
}

/// Stops a lookup after each number of polls, replaces the entry, and lets the lookup go on.
async fn never_mixed_stepwise(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let key = bench.key(bench.seed());
        let mut forms = [bench.draft(key), bench.draft(key)];
        forms.iter_mut().for_each(|form| form.stored = polls % 2 == 1);
        let [old, new] = &forms;
        store.put(old).await?;
        let pending = store.begin(new).await?;
        let mut lookup: BoxFuture<'_, _> = Box::pin(store.lookup(&key));
        let early = step(&mut lookup, polls).await;
        let ended = early.is_some();
        let found = match early {
            Some(found) => {
                store.complete(&pending).await?;
                found?
            }
            None => meanwhile(lookup, store.complete(&pending)).await?.0,
        };
        let why = format!("a lookup stopped after {polls} polls, and a commit meanwhile");
        one_form(&store, &found, &forms).await.context(why)?;
        store.check(new).await?;
        if ended {
            break;
        }
    }
    Ok(())
}

/// Looks until the writer is done: there must be exactly one of these forms each time.
pub(super) async fn watch(
    store: &Store,
    forms: &[Draft],
    writing: tokio::task::JoinHandle<Outcome>,
) -> Outcome {
    let key = forms.first().map(|form| form.key).ok_or_else(|| Failure::new("no drafts"))?;
    while !writing.is_finished() {
        let found = store.lookup(&key).await?;
        one_form(store, &found, forms).await.context("while a writer replaces it")?;
        tokio::task::yield_now().await;
    }
    writing.await.map_err(|e| Failure::new(e.to_string()))?
}

/// Fails the case unless the entry found is one of these forms, head and body.
async fn one_form(store: &Store, found: &cache_api::Resource, forms: &[Draft]) -> Outcome {
    let variant = find(found, cache_api::VariantId::ONLY)?;
    let place = store.place(*found.ticket().key(), variant.id, variant.version.body);
    let head = variant.head.decode(store.serializer(), &place).await.context("the head")?;
    let form = forms.iter().find(|form| form.head == *head);
    let form = form.ok_or_else(|| Failure::new("a head that was never stored"))?;
    store.check_body(variant, form).await.context("the body that goes with the head found")
}

/// A refused body changes nothing, and is gone after `max_write` at the latest.
async fn refused_body_is_invisible(bench: Bench) -> Outcome {
    let store = bench.open_with("", Limits::default()).await?;
    let (loser, winner) = (bench.draft(bench.key(1)).stored(), bench.draft(bench.key(1)).stored());
    let pending = store.begin(&loser).await?;
    let first = store.put(&winner).await?;
    store.refuse(&pending, None, "a writer that was overtaken").await?;
    let found = store.check(&winner).await?;
    ensure_eq!(found.version, first.version, "the version after a refusal");
    Ok(())
}

/// Fails what does not end within 10 s: it waits for something that does not come.
pub(super) async fn quickly<T>(
    what: impl std::fmt::Display,
    future: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    match tokio::time::timeout(secs(10), future).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::new(format!("{what}: blocked for 10 s"))),
    }
}
