use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Frame, Generation, INLINE_MAX, InlineBody, Limits, MAX_VARIANTS, Record, Result,
    StoredBody, StoredHead, TagDigest, Variant, VariantId, Version,
};

use crate::codec::{Reader, Writer};

/// The largest encoded head that is stored or read back.
pub(crate) const HEAD_MAX: usize = 1024 * 1024;

/// The largest encoded inline body that is stored or read back: plaintext, and as much again for its encoding.
pub(crate) const INLINE_ENCODED_MAX: usize = 2 * INLINE_MAX + 4096;

/// The most tags of an entry.
pub(crate) const TAGS_MAX: usize = 1024;

/// The largest object of a resource. One more variant evicts older ones where it would be larger.
pub(crate) const RESOURCE_MAX: usize = 8 * 1024 * 1024;

/// How many retired bodies a resource remembers.
const RETIRED_MAX: usize = 1024;

const MAGIC: [u8; 4] = *b"HCR1";

/// What tells one writing of an object from any other.
pub(crate) type WriteId = [u8; 16];

/// A resource as its object holds it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) write: WriteId,
    pub(crate) record: Record,
    pub(crate) retired: Vec<Retired>,
    /// Until when the object must stay: tickets that it has to refuse live as long.
    pub(crate) keep_until: SystemTime,
    /// Tickets issued earlier do not commit: bodies as old were swept.
    pub(crate) floor: SystemTime,
    /// Since when the object waits for its deletion.
    pub(crate) dying: Option<SystemTime>,
}

/// A stored body that no variant has any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retired {
    pub(crate) body: BodyId,
    pub(crate) frames: u32,
    /// Until when it is readable.
    pub(crate) until: SystemTime,
    /// Its frames are deleted, or about to be. It stays here as long as a ticket could commit it again.
    pub(crate) gone: bool,
}

impl State {
    pub(crate) fn absent() -> Self {
        Self {
            write: [0; 16],
            record: Record::absent(),
            retired: Vec::new(),
            keep_until: SystemTime::UNIX_EPOCH,
            floor: SystemTime::UNIX_EPOCH,
            dying: None,
        }
    }

    /// Whether there is no object.
    pub(crate) fn is_absent(&self) -> bool {
        self.write == [0; 16] && self.record.generation() == Generation::NONE
    }

    /// How many frames a stored body has that a variant has.
    pub(crate) fn stored(&self, body: BodyId) -> Option<u32> {
        self.record.variants().iter().find_map(|variant| match &variant.body {
            Body::Stored(stored) if stored.id == body => Some(stored.frames),
            _ => None,
        })
    }

    /// Whether a body is there for readers: of a variant, or retired and not yet swept.
    pub(crate) fn has(&self, body: BodyId) -> bool {
        self.stored(body).is_some() || self.retired.iter().any(|r| r.body == body && !r.gone)
    }

    /// Applies a change to the record, and keeps the stored bodies that it lets go readable for their grace.
    pub(crate) fn apply<T>(
        &mut self,
        now: SystemTime,
        limits: &Limits,
        change: impl FnOnce(&mut Record) -> Result<(T, Vec<BodyId>)>,
    ) -> Result<T> {
        let before = self.clone();
        let (value, gone) = change(&mut self.record)?;
        let until = now.checked_add(limits.read_grace).unwrap_or(now);
        for body in gone {
            if let Some(frames) = before.stored(body) {
                self.retired.push(Retired { body, frames, until, gone: false });
            }
        }
        self.bound_retired(now, limits);
        Ok(value)
    }

    /// Forgets retired bodies that no ticket can commit again; what is left of their frames is found by listing.
    pub(crate) fn bound_retired(&mut self, now: SystemTime, limits: &Limits) {
        self.retired.retain(|r| r.until.checked_add(limits.max_write).is_none_or(|end| now <= end));
        if self.retired.len() > RETIRED_MAX {
            self.retired.drain(..self.retired.len() - RETIRED_MAX / 2);
            // Of the forgotten ones some are gone: nobody who knew them may commit them.
            self.floor = self.floor.max(now);
        }
    }

    /// The object's bytes. Heads and frames are encoded here if they were not yet.
    pub(crate) async fn encode(&self, key: &CacheKey) -> Result<Bytes> {
        let mut writer = Writer::new(MAGIC, 1024);
        writer.bytes(&self.write);
        writer.bytes(key.as_bytes());
        writer.bytes(self.record.generation().as_bytes());
        writer.time(self.record.tombstone_until().unwrap_or(SystemTime::UNIX_EPOCH));
        writer.time(self.keep_until);
        writer.time(self.floor);
        writer.time(self.dying.unwrap_or(SystemTime::UNIX_EPOCH));
        writer.count(self.retired.len());
        for retired in &self.retired {
            writer.bytes(retired.body.as_bytes());
            writer.u32(retired.frames);
            writer.time(retired.until);
            writer.u8(u8::from(retired.gone));
        }
        writer.count(self.record.variants().len());
        for variant in self.record.variants() {
            encode_variant(&mut writer, variant).await?;
        }
        Ok(writer.finish())
    }

    /// `None` for whatever [`encode`](Self::encode) did not make for this resource.
    pub(crate) fn decode(key: &CacheKey, bytes: Bytes) -> Option<Self> {
        let mut reader = Reader::new(MAGIC, bytes)?;
        let write = reader.array()?;
        if reader.array::<32>()? != *key.as_bytes() {
            return None;
        }
        let generation = Generation::from_bytes(reader.array()?);
        let tombstone_until = some_time(reader.time()?);
        let (keep_until, floor) = (reader.time()?, reader.time()?);
        let dying = some_time(reader.time()?);
        let mut retired = Vec::new();
        for _ in 0..reader.count(RETIRED_MAX)? {
            retired.push(Retired {
                body: BodyId::from_bytes(reader.array()?),
                frames: reader.u32()?,
                until: reader.time()?,
                gone: reader.u8()? != 0,
            });
        }
        let mut variants = Vec::new();
        for _ in 0..reader.count(MAX_VARIANTS)? {
            variants.push(decode_variant(&mut reader)?);
        }
        reader.finish()?;
        let record = Record::from_parts(generation, variants, tombstone_until);
        Some(Self { write, record, retired, keep_until, floor, dying })
    }
}

fn some_time(time: SystemTime) -> Option<SystemTime> {
    (time != SystemTime::UNIX_EPOCH).then_some(time)
}

async fn encode_variant(writer: &mut Writer, variant: &Variant) -> Result<()> {
    writer.bytes(variant.id.as_bytes());
    writer.bytes(variant.version.body.as_bytes());
    writer.u32(variant.version.head);
    for time in [variant.stored_at, variant.dead_at, variant.limit] {
        writer.time(time);
    }
    writer.count(variant.tags.len());
    for tag in &*variant.tags {
        writer.bytes(tag.as_bytes());
    }
    writer.counted(variant.head.bytes().await?);
    writer.u64(variant.body.len());
    match &variant.body {
        Body::Inline(inline) => {
            writer.u32(0);
            writer.counted(inline.frame.bytes().await?);
        }
        Body::Stored(stored) => {
            writer.u32(stored.frames);
            writer.time(stored.limit);
        }
    }
    Ok(())
}

fn decode_variant(reader: &mut Reader) -> Option<Variant> {
    let id = VariantId::from_bytes(reader.array()?);
    let body = BodyId::from_bytes(reader.array()?);
    let version = Version { body, head: reader.u32()? };
    let (stored_at, dead_at, limit) = (reader.time()?, reader.time()?, reader.time()?);
    let mut tags = Vec::new();
    for _ in 0..reader.count(TAGS_MAX)? {
        tags.push(TagDigest::from_bytes(reader.array()?));
    }
    let head = StoredHead::from_bytes(reader.counted(HEAD_MAX)?);
    let len = reader.u64()?;
    let body = match reader.u32()? {
        0 => {
            let frame = Frame::from_bytes(reader.counted(INLINE_ENCODED_MAX)?);
            Body::Inline(InlineBody { id: body, frame, len })
        }
        frames => Body::Stored(StoredBody { id: body, frames, len, limit: reader.time()? }),
    };
    let key = CacheKey::from_bytes([0; 32]);
    let tags: Arc<[TagDigest]> = tags.into();
    let entry = cache_api::Entry::new(key, id, head, stored_at, dead_at).with_tags(tags);
    Some(Variant::new(entry, body, version.head, limit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_api::{Change, Entry, Ticket};

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5)
    }

    fn ticket(state: &State, key: CacheKey) -> Ticket {
        state.record.lookup(key, cache_api::Epoch::NONE, now()).ticket().clone()
    }

    fn entry(key: CacheKey) -> Entry {
        let head = StoredHead::from_bytes(Bytes::from_static(b"head"));
        let tags = [TagDigest::of("a"), TagDigest::of("b")];
        Entry::new(key, VariantId::ONLY, head, now(), now() + Duration::from_secs(60)).with_tags(tags)
    }

    fn full(key: CacheKey) -> State {
        let limits = Limits::default();
        let mut state = State::absent();
        state.record.remove(None, now(), &limits).unwrap();
        let frame = Frame::from_bytes(Bytes::from_static(b"body"));
        let inline = Body::Inline(InlineBody { id: BodyId::random().unwrap(), frame, len: 4 });
        let ticket = ticket(&state, key);
        state.record.commit(&ticket, entry(key), Change::Put(inline), now(), &limits).unwrap();
        let mut other = entry(key);
        other.variant = VariantId::from_bytes([3; 16]);
        let id = BodyId::random().unwrap();
        let stored = Body::Stored(StoredBody { id, frames: 7, len: 1_500_000, limit: now() });
        state.record.commit(&ticket, other, Change::Put(stored), now(), &limits).unwrap();
        let body = BodyId::random().unwrap();
        state.retired.push(Retired { body, frames: 3, until: now(), gone: true });
        (state.keep_until, state.floor, state.dying) = (now(), now(), Some(now()));
        state
    }

    async fn encoded(state: &State, key: &CacheKey) -> Bytes {
        state.encode(key).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        let key = CacheKey::from_bytes([1; 32]);
        let state = full(key);
        let bytes = encoded(&state, &key).await;
        let read = State::decode(&key, bytes.clone()).unwrap();
        assert_eq!(encoded(&read, &key).await, bytes);
        assert_eq!(read.record.generation(), state.record.generation());
        assert_eq!(read.record.tombstone_until(), state.record.tombstone_until());
        assert_eq!((read.retired, read.dying), (state.retired, state.dying));
        for (read, written) in read.record.variants().iter().zip(state.record.variants()) {
            assert_eq!((read.id, read.version), (written.id, written.version));
            assert_eq!((read.dead_at, read.limit), (written.dead_at, written.limit));
            assert_eq!((&read.tags, read.body.len()), (&written.tags, written.body.len()));
        }
        assert!(State::decode(&CacheKey::from_bytes([2; 32]), bytes).is_none(), "another resource's");
    }

    #[tokio::test]
    async fn garbage_is_nothing() {
        let key = CacheKey::from_bytes([1; 32]);
        let bytes = encoded(&full(key), &key).await;
        for len in 0..bytes.len() {
            assert!(State::decode(&key, bytes.slice(..len)).is_none(), "cut to {len}");
            // With a checksum that is right.
            let mut writer = Writer::new(MAGIC, 0);
            writer.bytes(&bytes[12.min(len)..len]);
            assert!(State::decode(&key, writer.finish()).is_none(), "cut to {len}, and checksummed");
        }
        for index in 12..bytes.len() {
            let mut writer = Writer::new(MAGIC, 0);
            writer.bytes(&bytes[12..index]);
            writer.u8(bytes[index] ^ 0xff);
            writer.bytes(&bytes[index + 1..]);
            // Whatever it is, it is no panic, and not much is allocated for it.
            let _ = State::decode(&key, writer.finish());
        }
    }

    #[test]
    fn the_list_of_retired_bodies_is_bounded() {
        let mut state = State::absent();
        for _ in 0..3000 {
            let body = BodyId::random().unwrap();
            let until = now() + Duration::from_secs(600);
            state.retired.push(Retired { body, frames: 1, until, gone: false });
            state.bound_retired(now(), &Limits::default());
            assert!(state.retired.len() <= RETIRED_MAX);
        }
        assert_eq!(state.floor, now());
        state.bound_retired(now() + Duration::from_secs(600 + 901), &Limits::default());
        assert!(state.retired.is_empty());
    }
}
