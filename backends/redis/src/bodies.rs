//! Stored bodies: one hash each, a field a frame, deleted by the server as a whole.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use cache_api::{BodyId, BodyWriter, CacheKey, ErrorKind, FRAME_SIZE, Frame, Result, frame_writer};

use crate::{
    error::error,
    reply::{array, bytes, duration_millis, millis, text, time, unexpected},
    script::{Call, READ, WRITE},
    storage::Inner,
};

/// The largest encoded frame that is stored or read back: plaintext, and as much again for its encoding.
const FRAME_MAX: usize = 2 * FRAME_SIZE + 4096;

/// How many frames one round trip reads: a script's answer lies in the server's memory as a whole.
const FRAMES_AT_ONCE: u32 = 16;

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    let shard = inner.keys.of(key);
    let mut all = Vec::new();
    let mut from = frames.start;
    while from < frames.end {
        let to = frames.end.min(from.saturating_add(FRAMES_AT_ONCE));
        let call = Call::new(&READ, [shard.body(&body), shard.resource(key)])
            .arg(body.to_string())
            .arg(u64::from(from))
            .arg(u64::from(to))
            .arg(FRAME_MAX as u64);
        let mut values = array(inner.run(call, "read").await?);
        all.extend(values.iter_mut().map_while(bytes).map(Frame::from_bytes));
        if all.len() != (frames.start..to).len() {
            return Err(error(ErrorKind::Gone, "read"));
        }
        from = to;
    }
    Ok(all)
}

/// A body that is being written. It is there from its first frame on, and expires unless it is committed.
pub(crate) fn writer(
    inner: Arc<Inner>,
    key: &CacheKey,
    body: BodyId,
    now: SystemTime,
) -> Box<dyn BodyWriter> {
    // As a lookup will return it.
    let limit = time(millis(inner.limits.retention_from(now)));
    let gone = millis(now).saturating_add(duration_millis(inner.limits.max_write)).saturating_add(1);
    let shard = inner.keys.of(key);
    let keys = [shard.body(&body), shard.due(), shard.state()];
    let written = Arc::new(AtomicU64::new(0));
    frame_writer(body, limit, move |number, frame: Frame| {
        let (inner, keys, written) = (Arc::clone(&inner), keys.clone(), Arc::clone(&written));
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
            let call = Call::new(&WRITE, keys)
                .arg(u64::from(number))
                .arg(bytes.clone())
                .arg(gone)
                .arg(gone.saturating_add(inner.keep()))
                .arg(body.to_string());
            let answer = inner.run(call, "write").await?;
            match text(Some(&answer)) {
                b"ok" => Ok(()),
                b"used" => {
                    Err(error(ErrorKind::Misuse, "write").with_message("a body of this id was begun before"))
                }
                b"gone" => Err(error(ErrorKind::Gone, "write").with_message(
                    "what was written is gone: writing took too long, or the server evicted it",
                )),
                _ => Err(unexpected("write")),
            }
        }
    })
}
