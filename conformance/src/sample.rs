//! Entries of plain bytes, for what a backend tests beside the suite.
//!
//! A storage does not look into heads and frames, so these need no serializer.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, FRAME_SIZE, Frame, InlineBody, Result, Storage,
    StoredBody, StoredHead, TagDigest, Ticket, VariantId,
};

use crate::clock::{Clock, later};

/// How long an [`entry`] lives.
pub const HOUR: Duration = Duration::from_secs(3600);

/// Where a test's clock starts: a whole second of real time, the same in all of the process.
#[must_use]
pub fn start() -> SystemTime {
    static START: LazyLock<SystemTime> = LazyLock::new(|| Clock::start().now());
    *START
}

/// The resource of that number.
#[must_use]
pub fn key(number: u64) -> CacheKey {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    CacheKey::from_bytes(key)
}

/// An entry without tags whose head is that text. It lives for an [`HOUR`].
#[must_use]
pub fn entry(key: CacheKey, head: &str, now: SystemTime) -> Entry {
    let head = StoredHead::from_bytes(Bytes::copy_from_slice(head.as_bytes()));
    Entry::new(key, VariantId::ONLY, head, now, later(now, HOUR))
}

/// A new inline body of these bytes.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn inline(bytes: Vec<u8>) -> Result<Body> {
    let len = bytes.len() as u64;
    Ok(Body::Inline(InlineBody { id: BodyId::random()?, frame: Frame::from_bytes(bytes.into()), len }))
}

/// Writes a body of `len` bytes, one at least, each of which is `byte`; it is to be committed.
///
/// # Errors
/// Those of the storage.
pub async fn stored(
    storage: &dyn Storage,
    ticket: &Ticket,
    byte: u8,
    len: usize,
    now: SystemTime,
) -> Result<StoredBody> {
    let mut writer = storage.writer(ticket, BodyId::random()?, now).await?;
    let mut left = len;
    while left > 0 {
        let size = left.min(FRAME_SIZE);
        writer.write(Frame::from_bytes(vec![byte; size].into())).await?;
        left -= size;
    }
    writer.finish(len as u64).await
}

/// Looks up, and stores an inline body in place of what is there.
///
/// # Errors
/// Those of the storage.
pub async fn put(
    storage: &dyn Storage,
    key: CacheKey,
    bytes: Vec<u8>,
    tags: &[TagDigest],
    now: SystemTime,
) -> Result<Committed> {
    let found = storage.lookup(&key, now).await?;
    let entry = entry(key, "head", now).with_tags(tags);
    storage.commit(found.ticket(), entry, Change::Put(inline(bytes)?), now).await
}

/// Looks up, and stores a body of one frame or more in place of what is there.
///
/// # Errors
/// Those of the storage.
pub async fn put_stored(
    storage: &dyn Storage,
    key: CacheKey,
    byte: u8,
    len: usize,
    now: SystemTime,
) -> Result<Committed> {
    let found = storage.lookup(&key, now).await?;
    let body = stored(storage, found.ticket(), byte, len, now).await?;
    storage.commit(found.ticket(), entry(key, "head", now), Change::Put(Body::Stored(body)), now).await
}

/// Whether a commit came through.
#[must_use]
pub fn is_stored(committed: &Committed) -> bool {
    matches!(committed, Committed::Stored { .. })
}
