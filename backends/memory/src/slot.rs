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
    Body, BodyId, CacheKey, Change, Committed, Entry, Epoch, Error, Frame, Generation, INLINE_TOTAL, Limits,
    Record, Refusal, Resource, Result, TagDigest, Ticket, Variant, VariantId, Version,
};

use crate::{frames::Frames, transit::Retired, weight::OVERHEAD};

/// What the cache holds under one key: the record, the frames of its stored bodies, and its weight.
///
/// A slot never changes but for the counts of uses; a change makes another, which shares all that stayed, these too.
#[derive(Debug)]
pub(crate) struct Slot {
    record: Record,
    /// One for each variant of the record.
    kept: Vec<Kept>,
    /// When it was written, as [`Removals::era`](crate::removals::Removals::era) counts.
    era: u64,
    weight: u64,
}

/// What the record does not know of a variant.
#[derive(Clone, Debug)]
struct Kept {
    body: BodyId,
    /// The frames of a stored body.
    frames: Option<Frames>,
    body_bytes: u64,
    head_bytes: u64,
    /// How often it was used since it was stored.
    uses: Arc<AtomicU64>,
}

/// What is to be stored, weighed.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) ticket: &'a Ticket,
    pub(crate) entry: Entry,
    pub(crate) change: Change,
    pub(crate) head_bytes: u64,
    /// Frames and bytes of a stored body.
    pub(crate) stored: Option<(Frames, u64)>,
    /// The bytes of an inline body.
    pub(crate) inline_bytes: u64,
}

/// Bounds of one entry and of one resource, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) entry: u64,
    pub(crate) resource: u64,
}

/// What becomes of a slot.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) next: Next,
    pub(crate) retired: Vec<Retired>,
}

#[derive(Debug)]
pub(crate) enum Next {
    Same,
    Put(Slot),
    Gone,
}

impl Slot {
    /// The slot of a resource of which nothing is held.
    pub(crate) fn empty(era: u64) -> Self {
        Self { record: Record::absent(), kept: Vec::new(), era, weight: 0 }
    }

    pub(crate) fn era(&self) -> u64 {
        self.era
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    pub(crate) fn variants(&self) -> &[Variant] {
        self.record.variants()
    }

    pub(crate) fn lookup(
        &self,
        key: CacheKey,
        generation: Generation,
        epoch: Epoch,
        now: SystemTime,
    ) -> Resource {
        self.record.clone().with_generation(generation).lookup(key, epoch, now)
    }

    /// How often a variant was used since it was stored.
    pub(crate) fn uses(&self, variant: &Variant) -> u64 {
        self.kept_of(variant).map_or(0, |kept| kept.uses.load(Ordering::Relaxed))
    }

    /// Counts a use of a variant, if it is there.
    pub(crate) fn count_use(&self, id: VariantId) {
        let variant = self.variants().iter().find(|v| v.id == id);
        if let Some(kept) = variant.and_then(|variant| self.kept_of(variant)) {
            kept.uses.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn kept_of(&self, variant: &Variant) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.body == variant.version.body)
    }

    /// These frames of a body, where the slot has them all.
    pub(crate) fn read(&self, body: BodyId, range: Range<usize>) -> Option<Vec<Frame>> {
        match self.kept.iter().find(|kept| kept.body == body)? {
            Kept { frames: Some(frames), .. } => frames.get(range),
            _ => std::slice::from_ref(self.record.inline(body)?).get(range).map(<[Frame]>::to_vec),
        }
    }

    /// A whole stored body, where the slot has it in one piece.
    pub(crate) fn whole(&self, body: BodyId) -> Option<Bytes> {
        self.kept.iter().find(|kept| kept.body == body)?.frames.as_ref()?.whole()
    }

    /// Applies a commit whose ticket must be of `generation`.
    pub(crate) fn commit(
        &self,
        candidate: Candidate<'_>,
        generation: Generation,
        bounds: Bounds,
        now: SystemTime,
        limits: &Limits,
    ) -> Result<(Committed, Edit)> {
        let Candidate { ticket, entry, change, head_bytes, stored, inline_bytes } = candidate;
        let (variant, waits_for_body) = (entry.variant, matches!(change, Change::Put(Body::Stored(_))));
        let mut record = self.record.clone().with_generation(generation);
        let applied = record.commit(ticket, entry, change, now, limits)?;
        let Committed::Stored { version, .. } = applied.committed else {
            return Ok((applied.committed, Edit::NONE));
        };
        if std::ptr::eq(record.variants(), self.record.variants()) {
            return Ok((applied.committed, Edit::NONE));
        }
        let kept = match self.kept.iter().find(|kept| kept.body == version.body) {
            Some(kept) => Kept { head_bytes, ..kept.clone() },
            None if !waits_for_body => Kept::new(version.body, None, inline_bytes, head_bytes),
            None => match stored {
                Some((frames, bytes)) => Kept::new(version.body, Some(frames), bytes, head_bytes),
                None => return Ok((Committed::Refused(Refusal::BodyGone), Edit::NONE)),
            },
        };
        if kept.weight() > bounds.entry {
            return Ok((Committed::Refused(Refusal::TooLarge), Edit::NONE));
        }
        let mut all: Vec<_> = self.kept.iter().filter(|k| k.body != kept.body).cloned().collect();
        all.push(kept);
        let mut gone = applied.retired;
        let mut next = Self::of(record, all, self.era);
        // The oldest go until the resource fits, as they do when there are too many.
        while next.weight > bounds.resource {
            let others = next.variants().iter().filter(|v| v.id != variant);
            let Some(oldest) = others.min_by_key(|v| v.stored_at).map(|v| v.version) else { break };
            gone.extend(next.record.remove(Some(oldest), now, limits)?.1);
            next = Self::of(next.record, next.kept, self.era);
        }
        Ok((applied.committed, Edit { retired: self.retire(&gone, now, limits), next: Next::Put(next) }))
    }

    /// Removes all variants, or only that version; returns how many live ones went.
    pub(crate) fn remove(
        &self,
        only: Option<Version>,
        now: SystemTime,
        limits: &Limits,
    ) -> Result<(u64, Edit)> {
        self.take(now, limits, |record| record.remove(only, now, limits))
    }

    /// Removes the variants with any of these tags; returns how many live ones went.
    pub(crate) fn purge(&self, tags: &[TagDigest], now: SystemTime, limits: &Limits) -> Result<(u64, Edit)> {
        self.take(now, limits, |record| record.purge(tags, now, limits))
    }

    /// Removes the dead variants; returns how many went.
    pub(crate) fn sweep(&self, now: SystemTime, limits: &Limits) -> Result<(u64, Edit)> {
        self.take(now, limits, |record| Ok(record.sweep(now)))
    }

    fn take(
        &self,
        now: SystemTime,
        limits: &Limits,
        from: impl FnOnce(&mut Record) -> Result<(u64, Vec<BodyId>), Error>,
    ) -> Result<(u64, Edit)> {
        let mut record = self.record.clone();
        let (count, gone) = from(&mut record)?;
        if gone.is_empty() {
            return Ok((count, Edit::NONE));
        }
        let next = match Self::of(record, self.kept.clone(), self.era) {
            next if next.variants().is_empty() => Next::Gone,
            next => Next::Put(next),
        };
        Ok((count, Edit { next, retired: self.retire(&gone, now, limits) }))
    }

    /// A slot of that record, with what belongs to it out of `kept`.
    fn of(record: Record, mut kept: Vec<Kept>, era: u64) -> Self {
        kept.retain(|kept| record.variants().iter().any(|v| v.version.body == kept.body));
        let weight = kept.iter().map(Kept::weight).fold(OVERHEAD, u64::saturating_add);
        Self { record, kept, era, weight }
    }

    /// The bodies out of `gone` that a reader may still ask for: the stored ones, and inline ones that a
    /// lookup handed out as stored.
    fn retire(&self, gone: &[BodyId], now: SystemTime, limits: &Limits) -> Vec<Retired> {
        let inline = |v: &Variant| if let Body::Inline(inline) = &v.body { inline.len } else { 0 };
        let overfull = self.variants().iter().map(inline).sum::<u64>() > INLINE_TOTAL as u64;
        let retired = self.variants().iter().filter(|v| gone.contains(&v.version.body)).filter_map(|v| {
            let kept = self.kept_of(v)?;
            let frames = match &v.body {
                Body::Stored(_) => kept.frames.clone()?,
                Body::Inline(inline) if overfull => Frames::of(vec![inline.frame.clone()]),
                Body::Inline(_) => return None,
            };
            let last_seen = now.min(v.dead_at);
            let until = last_seen.checked_add(limits.read_grace).unwrap_or(last_seen);
            Some(Retired { id: kept.body, frames, bytes: kept.weight(), until })
        });
        retired.collect()
    }
}

impl Kept {
    fn new(body: BodyId, frames: Option<Frames>, body_bytes: u64, head_bytes: u64) -> Self {
        Self { body, frames, body_bytes, head_bytes, uses: Arc::default() }
    }

    fn weight(&self) -> u64 {
        OVERHEAD.saturating_add(self.head_bytes).saturating_add(self.body_bytes)
    }
}

impl Edit {
    pub(crate) const NONE: Self = Self { next: Next::Same, retired: Vec::new() };
}
