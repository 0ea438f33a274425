//! Stored bodies: a document a frame, as GridFS lays chunks out.
//!
//! What a body is (begun, committed, let go) stands in the resource's document, so that it changes with the
//! entry, in one step. Each frame has a date at which the server deletes it.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, BodyWriter, CacheKey, ErrorKind, FRAME_SIZE, Frame, Generation, Result, frame_writer,
};
use futures_util::{TryStreamExt as _, future};
use mongodb::bson::{
    DateTime, Document, RawBinaryRef, RawDocument, RawDocumentBuf, cstr, doc, spec::BinarySubtype,
};

use crate::{
    document::{Found, Part, name},
    edit::{TRIES, back_off},
    error::{error, is_duplicate, is_misfit},
    schema::{nanos, time},
    storage::Inner,
};

/// The largest encoded frame that is stored or read back: plaintext, and as much again for its encoding.
const FRAME_MAX: usize = 2 * FRAME_SIZE + 4096;

/// How many frames one round trip reads.
const FRAMES_AT_ONCE: u32 = 16;

/// In how large steps the frames' dates move on, so that few new heads move them.
const STEP: i64 = 3_600_000_000_000;

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    let store = inner.store().await?;
    let mut all = Vec::new();
    let mut from = frames.start;
    while from < frames.end {
        let to = frames.end.min(from.saturating_add(FRAMES_AT_ONCE));
        let names: Vec<String> = (from..to).map(|number| inner.names.frame(&body, number)).collect();
        let filter = doc! { "b": inner.names.body(&body), "_id": { "$in": names } };
        let find = store.frames.find(filter).sort(doc! { "_id": 1 });
        let documents = async { find.await?.try_collect::<Vec<RawDocumentBuf>>().await };
        let documents = inner.run("read", documents).await?;
        for (number, document) in (from..to).zip(documents) {
            match data(&Bytes::from(document.into_bytes()), &inner.names.frame(&body, number)) {
                Some(data) => all.push(Frame::from_bytes(data)),
                None => break,
            }
        }
        if all.len() != (frames.start..to).len() {
            return inline(inner, key, body, frames).await;
        }
        from = to;
    }
    Ok(all)
}

/// The bytes of a frame's document, if it is that frame's.
fn data(bytes: &Bytes, frame: &str) -> Option<Bytes> {
    let document = RawDocument::from_bytes(bytes).ok()?;
    let data = document.get_binary("data").ok().filter(|_| name(document) == Some(frame))?.bytes;
    (data.len() <= FRAME_MAX).then(|| bytes.slice_ref(data))
}

/// The frame of a body that is inside its resource, which a lookup returns without it when there are many.
async fn inline(inner: &Inner, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
    if frames == (0..1)
        && let Found::Sane(seen) = inner.find(key, Part::All, "read").await?
        && let Some(frame) = seen.record.inline(body)
    {
        return Ok(vec![frame.clone()]);
    }
    Err(error(ErrorKind::Gone, "read"))
}

/// A body that is being written. It is deleted unless it is committed in time.
pub(crate) fn writer(inner: Arc<Inner>, key: CacheKey, body: BodyId, now: SystemTime) -> Box<dyn BodyWriter> {
    // As a lookup will return it.
    let limit = time(nanos(inner.times.limits.retention_from(now)));
    let gone = inner.times.gone(inner.times.pending(now));
    let written = Arc::new(AtomicU64::new(0));
    frame_writer(body, limit, move |number, frame: Frame| {
        let (inner, written) = (Arc::clone(&inner), Arc::clone(&written));
        async move {
            let bytes = frame.bytes().await?;
            if bytes.len() > FRAME_MAX {
                return Err(error(ErrorKind::Misuse, "write").with_message("a frame over FRAME_SIZE"));
            }
            let total = written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
            if inner.max_entry_size.is_some_and(|max| total > max) {
                return Err(
                    error(ErrorKind::Full, "write").with_message("the body is larger than max_entry_size")
                );
            }
            if number == 0 {
                // Both in the time of one: a frame that nobody knows of is deleted at its date.
                let insert = insert(&inner, &body, number, bytes, gone);
                return future::try_join(begin(&inner, &key, body, now), insert).await.map(drop);
            }
            insert(&inner, &body, number, bytes, gone).await
        }
    })
}

/// Notes in the resource that a body was begun.
async fn begin(inner: &Inner, key: &CacheKey, body: BodyId, now: SystemTime) -> Result<()> {
    let store = inner.store().await?;
    let mut new = inner.empty(key, Generation::NONE, now)?;
    for field in ["_id", "p", "gone"] {
        new.remove(field);
    }
    let update = doc! {
        "$set": { format!("p.{body}"): inner.times.pending(now) },
        "$setOnInsert": new,
        "$max": { "gone": inner.times.gone(inner.times.remembered(now)) },
    };
    for tried in 0..TRIES {
        let filter = doc! { "_id": inner.names.resource(key) };
        let update = store.resources.update_one(filter, update.clone()).upsert(true);
        match inner.run("write", update).await {
            Err(lost) if is_duplicate(&lost) => back_off(tried).await?,
            Err(misfit) if is_misfit(&misfit) => match inner.find(key, Part::All, "write").await? {
                Found::Garbage(found) => drop(inner.mend(key, found, now).await?),
                _ => return Err(misfit),
            },
            done => return done.map(drop),
        }
    }
    Err(inner.contended("write"))
}

async fn insert(inner: &Inner, body: &BodyId, number: u32, bytes: &Bytes, gone: DateTime) -> Result<()> {
    let mut frame = RawDocumentBuf::new();
    frame.append(cstr!("_id"), inner.names.frame(body, number));
    frame.append(cstr!("b"), inner.names.body(body));
    frame.append(cstr!("gone"), gone);
    frame.append(cstr!("data"), RawBinaryRef { subtype: BinarySubtype::Generic, bytes });
    let store = inner.store().await?;
    match inner.run("write", store.frames.insert_one(frame)).await {
        Err(used) if is_duplicate(&used) => {
            Err(error(ErrorKind::Misuse, "write").with_message("a body of this id was begun before"))
        }
        done => done.map(drop),
    }
}

/// Stores the frame of an inline body for which its resource's document has no room.
pub(crate) async fn spill(inner: &Inner, body: &Body, bytes: &Bytes, dead_at: SystemTime) -> Result<()> {
    match insert(inner, &body.id(), 0, bytes, inner.times.gone(step(dead_at))).await {
        // An earlier attempt at the same commit.
        Err(used) if used.kind() == ErrorKind::Misuse => cover(inner, body, dead_at).await.map(drop),
        done => done,
    }
}

/// Sees to it that all frames of a body that was begun outlive an entry; `false` when one is gone.
pub(crate) async fn cover(inner: &Inner, body: &Body, dead_at: SystemTime) -> Result<bool> {
    let gone = inner.times.gone(step(dead_at));
    let moved = update(inner, &[body.id()], doc! { "$max": { "gone": gone } }).await?;
    Ok(moved >= u64::from(body.frames()))
}

/// Whether the frames of an entry with the first `dead_at` also outlive one with the second.
pub(crate) fn covers(first: SystemTime, second: SystemTime) -> bool {
    step(second) <= step(first)
}

/// The end of the step in which an instant lies.
fn step(time: SystemTime) -> i64 {
    let nanos = nanos(time);
    nanos.saturating_add(STEP - 1 - (nanos.saturating_sub(1)).rem_euclid(STEP))
}

/// Brings forward the dates of what an entry had: readers have their time. What fails costs the room until then.
pub(crate) async fn retire(inner: &Inner, bodies: &[BodyId], now: SystemTime) {
    let gone = inner.times.retired_gone(inner.times.retired(now));
    shorten(inner, bodies, gone).await;
}

/// The same for one that was refused, and might be committed again.
pub(crate) async fn abandon(inner: &Inner, body: BodyId, now: SystemTime) {
    let gone = inner.times.gone(inner.times.pending(now));
    shorten(inner, &[body], gone).await;
}

async fn shorten(inner: &Inner, bodies: &[BodyId], gone: DateTime) {
    if let Err(error) = update(inner, bodies, doc! { "$min": { "gone": gone } }).await {
        tracing::debug!(backend = "mongo", %error, "bodies that nothing has any more stay for a while");
    }
}

async fn update(inner: &Inner, bodies: &[BodyId], update: Document) -> Result<u64> {
    let Some(filter) = frames_of(inner, bodies) else { return Ok(0) };
    let store = inner.store().await?;
    Ok(inner.run("write", store.frames.update_many(filter, update)).await?.matched_count)
}

/// Deletes bodies that no document has any more.
pub(crate) async fn delete(inner: &Inner, bodies: &[BodyId]) -> Result<()> {
    let Some(filter) = frames_of(inner, bodies) else { return Ok(()) };
    let store = inner.store().await?;
    inner.run("sweep", store.frames.delete_many(filter)).await.map(drop)
}

/// All frames of these bodies.
fn frames_of(inner: &Inner, bodies: &[BodyId]) -> Option<Document> {
    match bodies {
        [] => None,
        [body] => Some(doc! { "b": inner.names.body(body) }),
        bodies => {
            let names: Vec<String> = bodies.iter().map(|body| inner.names.body(body)).collect();
            Some(doc! { "b": { "$in": names } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_move_in_steps_and_never_back() {
        let at = |nanos| step(time(nanos));
        assert_eq!((at(0), at(1), at(STEP), at(STEP + 1)), (0, STEP, STEP, 2 * STEP));
        assert!(at(i64::MAX) == i64::MAX);
        assert!(covers(time(1), time(STEP)) && !covers(time(STEP), time(STEP + 1)));
    }
}
