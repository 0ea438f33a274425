use std::{sync::atomic::Ordering, time::SystemTime};

use bytes::Bytes;
use cache_api::{BodyId, Epoch, Result, TagDigest};
use object_store::UpdateVersion;

use crate::{
    codec::{Reader, Writer},
    error::config,
    objects::Found,
    resources::{crowded, pause},
    state::WriteId,
    storage::Inner,
};

const MAGIC: [u8; 4] = *b"HCS1";

/// How many purged tags are remembered one by one. Beyond, what began earlier is refused whatever its tags.
const MARKS_MAX: usize = 1024;

/// The largest object of marks.
const OBJECT_MAX: usize = 1 << 20;

const ATTEMPTS: u32 = 60;

/// What was purged lately, by tag or as a whole: the object `s` of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// What tells these marks from ones that were lost; never 0.
    id: u32,
    /// How many marks were made.
    count: u32,
    /// Who knows of fewer marks than that is refused.
    floor: u32,
    marks: Vec<Mark>,
    write: WriteId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    number: u32,
    /// `None` stands for all.
    tag: Option<TagDigest>,
    at: SystemTime,
}

/// What a ticket's epoch holds: what the process knew of the marks, and which writing of the resource it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) knowledge: Knowledge,
    /// `None` where there was no resource.
    pub(crate) write: Option<[u8; 8]>,
}

/// The id of the marks and how many there were; 0 where there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Knowledge {
    id: u32,
    count: u32,
}

impl Seen {
    pub(crate) fn epoch(self) -> Epoch {
        let knowledge = self.knowledge.bits().to_be_bytes();
        let write = self.write.unwrap_or_default();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(knowledge.into_iter().chain(write)) {
            *to = from;
        }
        Epoch::from_bytes(bytes)
    }

    pub(crate) fn of(epoch: Epoch) -> Self {
        let bits = u128::from_be_bytes(*epoch.as_bytes());
        let [knowledge, write] =
            [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default());
        Self { knowledge: Knowledge::from_bits(knowledge), write: (write != 0).then(|| write.to_be_bytes()) }
    }
}

impl Knowledge {
    pub(crate) fn bits(self) -> u64 {
        u64::from(self.id) << 32 | u64::from(self.count)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        Self { id: half(bits >> 32), count: half(bits) }
    }
}

impl Marks {
    fn new() -> Result<Self> {
        let write = *BodyId::random()?.as_bytes();
        let id = write.first_chunk().map_or(1, |bytes| u32::from_be_bytes(*bytes)).max(1);
        Ok(Self { id, count: 0, floor: 0, marks: Vec::new(), write })
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge { id: self.id, count: self.count }
    }

    /// Whether one of the tags, or all, was purged since that was known. In doubt it was.
    pub(crate) fn refuses(&self, known: Knowledge, tags: &[TagDigest]) -> bool {
        let is_later =
            |mark: &Mark| mark.number > known.count && mark.tag.is_none_or(|tag| tags.contains(&tag));
        let other = known.id != 0 && known.id != self.id;
        other || known.count < self.floor || self.marks.iter().any(is_later)
    }

    /// Adds a mark for each tag, or one for all.
    fn add(&mut self, tags: Option<&[TagDigest]>, now: SystemTime) -> Result<()> {
        let Some(count) = self.count.checked_add(1) else {
            *self = Self::new()?;
            return self.add(tags, now);
        };
        self.count = count;
        let mut mark = |tag| self.marks.push(Mark { number: count, tag, at: now });
        match tags {
            Some(tags) => tags.iter().for_each(|tag| mark(Some(*tag))),
            None => mark(None),
        }
        if self.marks.len() > MARKS_MAX {
            self.marks.clear();
            self.floor = count;
        }
        self.write = *BodyId::random()?.as_bytes();
        Ok(())
    }

    fn encode(&self) -> Bytes {
        let mut writer = Writer::new(MAGIC, 64 + 40 * self.marks.len());
        writer.bytes(&self.write);
        for number in [self.id, self.count, self.floor] {
            writer.u32(number);
        }
        writer.count(self.marks.len());
        for mark in &self.marks {
            writer.u32(mark.number);
            writer.u8(u8::from(mark.tag.is_some()));
            writer.bytes(mark.tag.unwrap_or(TagDigest::from_bytes([0; 16])).as_bytes());
            writer.time(mark.at);
        }
        writer.finish()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        let mut reader = Reader::new(MAGIC, bytes)?;
        let write = reader.array()?;
        let (id, count, floor) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let mut marks = Vec::new();
        for _ in 0..reader.count(MARKS_MAX)? {
            let number = reader.u32()?;
            let is_tag = reader.u8()? != 0;
            let tag = TagDigest::from_bytes(reader.array()?);
            marks.push(Mark { number, tag: is_tag.then_some(tag), at: reader.time()? });
        }
        reader.finish()?;
        (id != 0).then_some(Self { id, count, floor, marks, write })
    }
}

/// What there is of the marks: their version where there is an object, and the marks where it holds any.
type Read = (Option<UpdateVersion>, Option<Marks>);

impl Inner {
    /// What this process knows of the marks.
    pub(crate) fn known(&self) -> Knowledge {
        Knowledge::from_bits(self.known.load(Ordering::Acquire))
    }

    /// Whether one of the tags, or all, was purged since a ticket that knew that was issued.
    pub(crate) async fn is_purged(
        &self,
        known: Knowledge,
        tags: &[TagDigest],
        operation: &'static str,
    ) -> Result<bool> {
        let (version, marks) = self.read_marks(operation).await?;
        if let Some(marks) = marks {
            return Ok(marks.refuses(known, tags));
        }
        // They were lost, and with them what was purged: who knows of them, or might, is refused.
        let lost = version.is_some() || known != Knowledge::default();
        self.create_marks(version.as_ref(), lost, operation).await?;
        Ok(lost)
    }

    /// Sees to it that there are marks: what is known of them tells then when they are lost.
    pub(crate) async fn prepare_marks(&self, operation: &'static str) -> Result<()> {
        match self.read_marks(operation).await? {
            (None, None) => self.create_marks(None, false, operation).await,
            _ => Ok(()),
        }
    }

    /// That the namespace is there: whoever opened it first has left its marks.
    pub(crate) async fn expect_marks(&self, operation: &'static str) -> Result<()> {
        match self.read_marks(operation).await? {
            (None, None) => Err(config(format!(
                "there is no cache of namespace {} in {}",
                self.namespace, self.objects.place
            ))),
            _ => Ok(()),
        }
    }

    async fn create_marks(
        &self,
        over: Option<&UpdateVersion>,
        lost: bool,
        operation: &'static str,
    ) -> Result<()> {
        let mut marks = Marks::new()?;
        if lost {
            (marks.count, marks.floor) = (1, 1);
        }
        let (path, bytes) = (self.names.marks(), marks.encode());
        let written = match over {
            None => self.objects.create(&path, bytes, operation).await?,
            Some(version) => self.objects.update(&path, bytes, version, operation).await?,
        };
        match written {
            Some(_) => self.learn(Some(&marks)),
            None => drop(self.read_marks(operation).await?),
        }
        Ok(())
    }

    /// Reads the marks, and knows them from then on.
    pub(crate) async fn read_marks(&self, operation: &'static str) -> Result<Read> {
        let path = self.names.marks();
        let read = match self.objects.get(&path, OBJECT_MAX, operation).await? {
            Found::Nothing => (None, None),
            Found::Object(version, bytes) => (Some(version), bytes.and_then(Marks::decode)),
        };
        if read.0.is_some() && read.1.is_none() {
            self.report_garbage(operation, &path);
        }
        self.learn(read.1.as_ref());
        Ok(read)
    }

    /// Leaves a mark that these tags, or all, are purged now.
    pub(crate) async fn mark(
        &self,
        tags: Option<&[TagDigest]>,
        now: SystemTime,
        operation: &'static str,
    ) -> Result<()> {
        let path = self.names.marks();
        for attempt in 0..ATTEMPTS {
            let (version, marks) = self.read_marks(operation).await?;
            let lost = version.is_some() && marks.is_none();
            let mut marks = marks.map_or_else(Marks::new, Ok)?;
            marks.marks.retain(|mark| !self.is_past(mark.at, now));
            marks.add(tags, now)?;
            if lost {
                marks.floor = marks.count;
            }
            let bytes = marks.encode();
            let written = match &version {
                None => self.objects.create(&path, bytes, operation).await?,
                Some(version) => self.objects.update(&path, bytes, version, operation).await?,
            };
            if written.is_some() {
                self.learn(Some(&marks));
                return Ok(());
            }
            let there = self.read_marks(operation).await?.1;
            if there.is_some_and(|there| there.write == marks.write) {
                return Ok(());
            }
            pause(attempt).await?;
        }
        Err(crowded(operation))
    }

    fn learn(&self, marks: Option<&Marks>) {
        let known = marks.map(Marks::knowledge).unwrap_or_default();
        self.known.store(known.bits(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_both() {
        for write in [None, Some([3; 8])] {
            let seen = Seen { knowledge: Knowledge { id: 7, count: 9 }, write };
            assert_eq!(Seen::of(seen.epoch()), seen);
        }
        assert_eq!(Seen::of(Epoch::NONE), Seen { knowledge: Knowledge::default(), write: None });
    }

    #[test]
    fn marks_refuse_what_is_older() {
        let [a, b, c] = ["a", "b", "c"].map(TagDigest::of);
        let now = SystemTime::UNIX_EPOCH;
        let mut marks = Marks::new().unwrap();
        marks.add(Some(&[a]), now).unwrap();
        let known = marks.knowledge();
        marks.add(Some(&[b, c]), now).unwrap();
        assert_eq!(Marks::decode(marks.encode()).as_ref(), Some(&marks));
        assert!(!marks.refuses(known, &[a]) && marks.refuses(known, &[a, c]));
        assert!(marks.refuses(Knowledge::default(), &[a]) && !marks.refuses(Knowledge::default(), &[]));
        assert!(!marks.refuses(marks.knowledge(), &[a, b, c]));
        let other = Knowledge { id: marks.id ^ 1, ..marks.knowledge() };
        assert!(marks.refuses(other, &[]), "marks that are not these");
        marks.add(None, now).unwrap();
        assert!(marks.refuses(known, &[]) && !marks.refuses(marks.knowledge(), &[]));
    }

    #[test]
    fn marks_are_bounded() {
        let now = SystemTime::UNIX_EPOCH;
        let mut marks = Marks::new().unwrap();
        let known = marks.knowledge();
        let tags: Vec<_> = (0..MARKS_MAX).map(|number| TagDigest::of(&number.to_string())).collect();
        marks.add(Some(&tags), now).unwrap();
        assert!(!marks.refuses(known, &[]) && marks.refuses(known, &tags[..1]));
        marks.add(Some(&tags[..1]), now).unwrap();
        assert!(marks.marks.is_empty() && marks.refuses(known, &[]));
        assert!(!marks.refuses(marks.knowledge(), &tags));
        marks.count = u32::MAX;
        let old = marks.knowledge();
        marks.add(Some(&tags[..1]), now).unwrap();
        assert!(marks.refuses(old, &[]));
    }
}
