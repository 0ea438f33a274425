//! Stored bodies: an object a frame, so that each can be read as soon as it is acknowledged.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use cache_api::{
    BodyId, BodyWriter, CacheKey, ErrorKind, FRAME_SIZE, Frame, Result, StoredBody, frame_writer,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    codec::{Reader, Writer},
    error::error,
    objects::Found,
    resources::Loaded,
    storage::Inner,
};

/// The largest encoded frame that is stored or read back: plaintext, and as much again for its encoding.
pub(crate) const FRAME_MAX: usize = 2 * FRAME_SIZE + 4096;

/// What stands before the frame in its object: when the writing of its body began.
pub(crate) const HEADER: usize = 24;

const MAGIC: [u8; 4] = *b"HCF1";

/// How many frames are read at a time.
const FRAMES_AT_ONCE: usize = 8;

/// Of how many bodies it is remembered that this process wrote them.
const WRITTEN: usize = 4096;

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    let first = frames.start;
    let all = stream::iter(frames.clone()).map(|number| read_frame(inner, key, body, number));
    let read: Result<Vec<Frame>> = all.buffered(FRAMES_AT_ONCE).try_collect().await;
    match read {
        // One that was committed inline lies with its resource.
        Err(error) if error.is_gone() && first == 0 && frames.end == 1 => {
            let Loaded::There(held) = inner.load(key, "read").await? else { return Err(error) };
            held.state.record.inline(body).map(|frame| vec![frame.clone()]).ok_or(error)
        }
        read => read,
    }
}

async fn read_frame(inner: &Inner, key: &CacheKey, body: BodyId, number: u32) -> Result<Frame> {
    let path = inner.names.frame(key, body, number);
    match inner.objects.get(&path, HEADER + FRAME_MAX, "read").await? {
        Found::Nothing => Err(error(ErrorKind::Gone, "read")),
        Found::Object(_, bytes) => {
            let frame = bytes.filter(|bytes| begun(bytes).is_some()).map(|bytes| bytes.slice(HEADER..));
            let frame = frame.map(Frame::from_bytes);
            if frame.is_none() {
                inner.report_garbage("read", &path);
            }
            frame.ok_or_else(|| error(ErrorKind::Corrupt, "read"))
        }
    }
}

/// When the writing of the body began of which that is the object of a frame, or the start of one.
pub(crate) fn begun(object: &Bytes) -> Option<SystemTime> {
    let header = (object.len() >= HEADER).then(|| object.slice(..HEADER))?;
    let mut reader = Reader::new(MAGIC, header)?;
    let begun = reader.time()?;
    reader.finish().map(|()| begun)
}

/// A body that is being written. What was written of it is swept unless it is committed.
pub(crate) fn writer(inner: Arc<Inner>, key: CacheKey, body: BodyId, now: SystemTime) -> Box<dyn BodyWriter> {
    let limit = inner.limits.retention_from(now);
    let total = Arc::new(AtomicU64::new(0));
    frame_writer(body, limit, move |number, frame: Frame| {
        let (inner, total) = (Arc::clone(&inner), Arc::clone(&total));
        async move {
            let bytes = frame.bytes().await?;
            let len = bytes.len() as u64;
            let total = total.fetch_add(len, Ordering::Relaxed).saturating_add(len);
            if inner.max_entry_size.is_some_and(|max| total > max) {
                return Err(
                    error(ErrorKind::Full, "write").with_message("the body is larger than max_entry_size")
                );
            }
            inner.ready("write").await?;
            write_frame(&inner, &key, body, number, bytes, now, "write").await
        }
    })
}

/// Writes a frame of a body whose writing began at `begun`.
pub(crate) async fn write_frame(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    number: u32,
    frame: &Bytes,
    begun: SystemTime,
    operation: &'static str,
) -> Result<()> {
    if frame.len() > FRAME_MAX {
        return Err(error(ErrorKind::Misuse, operation).with_message("a frame over FRAME_SIZE"));
    }
    let mut header = Writer::new(MAGIC, HEADER);
    header.time(begun);
    let header = header.finish();
    let mut object = BytesMut::with_capacity(header.len() + frame.len());
    object.put(header);
    object.put_slice(frame);
    let path = inner.names.frame(key, body, number);
    inner.objects.write(&path, object.freeze(), operation).await?;
    inner.written.add(body, number.saturating_add(1));
    Ok(())
}

/// Whether all frames of a body were written. Whether they were swept is for its resource to say.
pub(crate) async fn is_written(
    inner: &Inner,
    key: &CacheKey,
    body: &StoredBody,
    operation: &'static str,
) -> Result<bool> {
    let Some(last) = body.frames.checked_sub(1) else { return Ok(false) };
    if inner.written.has(body.id, body.frames) {
        return Ok(true);
    }
    inner.objects.exists(&inner.names.frame(key, body.id, last), operation).await
}

/// The bodies that this process wrote lately, and how many frames of each: who commits one need not ask.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<(HashMap<BodyId, u32>, VecDeque<BodyId>)>);

impl Written {
    fn add(&self, body: BodyId, frames: u32) {
        let (written, order) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.insert(body, frames).is_none() {
            order.push_back(body);
        }
        while order.len() > WRITTEN {
            if let Some(oldest) = order.pop_front() {
                written.remove(&oldest);
            }
        }
    }

    fn has(&self, body: BodyId, frames: u32) -> bool {
        let (written, _) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(&body) == Some(&frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_remembered_for_a_while() {
        let written = Written::default();
        let body = BodyId::random().unwrap();
        written.add(body, 1);
        written.add(body, 2);
        assert!(written.has(body, 2) && !written.has(body, 1));
        for _ in 0..2 * WRITTEN {
            written.add(BodyId::random().unwrap(), 1);
        }
        assert!(!written.has(body, 2));
        assert!(written.0.lock().unwrap().0.len() <= WRITTEN);
    }

    #[test]
    fn only_our_headers_tell_a_time() {
        let mut header = Writer::new(MAGIC, HEADER);
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::new(7, 8);
        header.time(now);
        let header = header.finish();
        assert_eq!(header.len(), HEADER);
        assert_eq!(begun(&header), Some(now));
        assert_eq!(begun(&header.slice(..HEADER - 1)), None);
        let mut damaged = header.to_vec();
        damaged[HEADER - 1] ^= 1;
        assert_eq!(begun(&damaged.into()), None);
    }
}
