//! Stored bodies: each frame is an item of a partition of its own, so that no partition takes more than it can.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use cache_api::{BodyId, BodyWriter, CacheKey, ErrorKind, Frame, Result, frame_writer};
use futures_util::future::try_join;

use crate::{
    attribute::{Item, binary, millis, number, take, whole},
    error::error,
    row::Row,
    schema::{EXPIRES, SK, key_of, parts, small},
    storage::Inner,
    write::State,
};

/// The largest encoded frame: what an item of 400 KB holds beside its names.
const FRAME_MAX: usize = 400_000;

/// How many frames one round trip reads: they lie in memory as a whole.
const FRAMES_AT_ONCE: u32 = 16;

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    let mut all = Vec::new();
    let mut from = frames.start;
    while from < frames.end {
        let to = frames.end.min(from.saturating_add(FRAMES_AT_ONCE));
        let keys: Vec<Item> = (from..to).map(|number| inner.keys.frame(&body, number)).collect();
        let mut found = inner.get_all("read", keys.clone()).await?;
        for place in &keys {
            let place = parts(place);
            let item = found.iter_mut().find(|item| parts(item) == place);
            match item.and_then(|item| take(item, "d")) {
                Some(bytes) => all.push(Frame::from_bytes(bytes)),
                None if frames == (0..1) => return inner.read_inline(key, body).await,
                None => return Err(error(ErrorKind::Gone, "read")),
            }
        }
        from = to;
    }
    Ok(all)
}

/// A body that is being written. It is there from its first frame on.
pub(crate) fn writer(
    inner: Arc<Inner>,
    key: &CacheKey,
    body: BodyId,
    now: SystemTime,
) -> Box<dyn BodyWriter> {
    // As a lookup will return it.
    let limit = whole(inner.limits.retention_from(now));
    let (key, written) = (*key, Arc::new(AtomicU64::new(0)));
    frame_writer(body, limit, move |number, frame: Frame| {
        let (inner, written) = (Arc::clone(&inner), Arc::clone(&written));
        async move {
            let bytes = frame.bytes().await?.clone();
            if bytes.len() > FRAME_MAX {
                return Err(error(ErrorKind::Full, "write")
                    .with_message("a frame is larger, when encoded, than the 400 KB that DynamoDB takes"));
            }
            let total = written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
            if inner.max_entry_size.is_some_and(|max| total > max) {
                return Err(
                    error(ErrorKind::Full, "write").with_message("the body is larger than max_entry_size")
                );
            }
            if number == 0 {
                return inner.begin(&key, &body, bytes, now, limit).await;
            }
            inner.put("write", inner.frame(&body, number, &bytes, limit)).await
        }
    })
}

impl Inner {
    /// Writes a body's first frame, and that it is pending, at once.
    pub(crate) async fn begin(
        &self,
        key: &CacheKey,
        body: &BodyId,
        bytes: Bytes,
        now: SystemTime,
        limit: SystemTime,
    ) -> Result<()> {
        let max_write = self.limits.max_write.saturating_add(Duration::from_millis(1));
        let until = now.checked_add(max_write).unwrap_or(now);
        let mut place = self.keys.body(body);
        place.insert("s".to_owned(), State::Pending.value());
        place.insert("u".to_owned(), number(millis(until)));
        place.insert("k".to_owned(), binary(*key.as_bytes()));
        // As long as the frames, so that a sweep finds them by it.
        place.insert(EXPIRES.to_owned(), self.expires(millis(limit)));
        let frame = self.frame(body, 0, &bytes, limit);
        try_join(self.put("write", frame), self.put("write", place)).await.map(drop)
    }

    fn frame(&self, body: &BodyId, number: u32, bytes: &Bytes, limit: SystemTime) -> Item {
        let mut item = self.keys.frame(body, number);
        item.insert("d".to_owned(), binary(bytes.to_vec()));
        item.insert(EXPIRES.to_owned(), self.expires(millis(limit)));
        item
    }

    /// The one frame of a body that lies in its record, or beside it.
    async fn read_inline(&self, key: &CacheKey, body: BodyId) -> Result<Vec<Frame>> {
        let beside = key_of(self.keys.resource(key), small(&body));
        let found = self.get_all("read", vec![self.keys.record(key), beside.clone()]).await?;
        let (mut beside_it, records): (Vec<Item>, Vec<Item>) =
            found.into_iter().partition(|item| is_at(item, beside.get(SK)));
        let row = Row::read(records.into_iter().next());
        let gone = || error(ErrorKind::Gone, "read");
        if let Some(bytes) = beside_it.first_mut().and_then(|item| take(item, "d")) {
            return Ok(vec![Frame::from_bytes(bytes)]);
        }
        let kept = row.find(&body).filter(|kept| kept.filled).ok_or_else(gone)?;
        match &kept.variant.body {
            cache_api::Body::Inline(inline) => Ok(vec![inline.frame.clone()]),
            cache_api::Body::Stored(_) => Err(gone()),
        }
    }
}

fn is_at(item: &Item, sk: Option<&AttributeValue>) -> bool {
    item.get(SK) == sk
}
