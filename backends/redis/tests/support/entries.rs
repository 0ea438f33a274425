//! Entries of plain bytes: the storage does not look into them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, FRAME_SIZE, Frame, InlineBody, Storage, StoredBody,
    StoredHead, TagDigest, Ticket, VariantId,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The next whole second: the server's clock is the real one.
pub(crate) fn start() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "a test's clock starts at real time")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs() + 1)
}

pub(crate) fn key(number: u64) -> CacheKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    CacheKey::from_bytes(bytes)
}

pub(crate) fn entry(key: CacheKey, head: &str, now: SystemTime) -> Entry {
    let head = StoredHead::from_bytes(Bytes::copy_from_slice(head.as_bytes()));
    Entry::new(key, VariantId::ONLY, head, now, now + HOUR)
}

pub(crate) fn inline(bytes: Vec<u8>) -> Body {
    let len = bytes.len() as u64;
    Body::Inline(InlineBody { id: BodyId::random().unwrap(), frame: Frame::from_bytes(bytes.into()), len })
}

/// Writes a body of `len` bytes, each of which is `byte`.
pub(crate) async fn stored(
    storage: &dyn Storage,
    ticket: &Ticket,
    byte: u8,
    len: usize,
    now: SystemTime,
) -> cache_api::Result<StoredBody> {
    let mut writer = storage.writer(ticket, BodyId::random()?, now).await?;
    let mut left = len;
    while left > 0 {
        let size = left.min(FRAME_SIZE);
        writer.write(Frame::from_bytes(vec![byte; size].into())).await?;
        left -= size;
    }
    writer.finish(len as u64).await
}

/// Looks up, and stores a body of one frame or more in place of what is there.
pub(crate) async fn put_stored(
    storage: &dyn Storage,
    key: CacheKey,
    byte: u8,
    len: usize,
    now: SystemTime,
) -> cache_api::Result<Committed> {
    let found = storage.lookup(&key, now).await?;
    let body = stored(storage, found.ticket(), byte, len, now).await?;
    storage.commit(found.ticket(), entry(key, "head", now), Change::Put(Body::Stored(body)), now).await
}

/// Looks up, and stores an inline body in place of what is there.
pub(crate) async fn put(
    storage: &dyn Storage,
    key: CacheKey,
    bytes: Vec<u8>,
    tags: &[TagDigest],
    now: SystemTime,
) -> cache_api::Result<Committed> {
    let found = storage.lookup(&key, now).await?;
    let entry = entry(key, "head", now).with_tags(tags);
    storage.commit(found.ticket(), entry, Change::Put(inline(bytes)), now).await
}

pub(crate) fn is_stored(committed: &Committed) -> bool {
    matches!(committed, Committed::Stored { .. })
}
