use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{
    Abilities, Body, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, ErrorKind, Frame, Limits,
    Namespace, Refusal, Resource, Result, Storage, TagDigest, Ticket, Version, Whole,
};
use moka::{
    ops::compute::Op,
    policy::EvictionPolicy,
    sync::{Cache, CacheBuilder},
};

use crate::{
    config::{MemoryStorageBuilder, Sizes},
    error,
    lease::LeaseTable,
    removals::{Removals, issued_in},
    slot::{Bounds, Candidate, Edit, Next, Slot},
    transit::Transit,
    weight,
    writer::MemoryWriter,
};

/// A cache in this process. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct MemoryStorage {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) bounds: Bounds,
    pub(crate) records: Cache<CacheKey, Arc<Slot>>,
    pub(crate) removals: Removals,
    pub(crate) transit: Transit,
    pub(crate) leases: LeaseTable,
    /// The bytes put since the cache last weighed itself, and how many it may be late by.
    unweighed: AtomicU64,
    slack: u64,
}

impl MemoryStorage {
    /// A storage of [256 MiB](MemoryStorageBuilder::DEFAULT_CAPACITY) in the namespace `default`.
    #[must_use]
    pub fn new() -> Self {
        let builder = Self::builder();
        let sizes = builder.sizes();
        Self::assemble(builder, sizes)
    }

    /// A builder with the same defaults.
    pub fn builder() -> MemoryStorageBuilder {
        MemoryStorageBuilder::new()
    }

    pub(crate) fn assemble(builder: MemoryStorageBuilder, sizes: Sizes) -> Self {
        let records = CacheBuilder::new(sizes.capacity)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, slot: &Arc<Slot>| u32::try_from(slot.weight()).unwrap_or(u32::MAX))
            .build();
        Self {
            shared: Arc::new(Shared {
                namespace: builder.namespace,
                limits: builder.limits,
                bounds: Bounds { entry: sizes.entry, resource: sizes.resource },
                records,
                removals: Removals::new(),
                transit: Transit::new(sizes.in_flight),
                leases: LeaseTable::new(),
                unweighed: AtomicU64::new(0),
                slack: sizes.capacity / 16,
            }),
        }
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    fn namespace(&self) -> &Namespace {
        &self.shared.namespace
    }

    fn limits(&self) -> Limits {
        self.shared.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let shared = &*self.shared;
        shared.transit.sweep(now);
        // What refuses a commit is read before what the ticket shows.
        let (generation, epoch) = (shared.removals.generation(key), shared.removals.epoch());
        let era = shared.removals.era();
        Ok(match shared.records.get(key) {
            Some(slot) if slot.era() == era => slot.lookup(*key, generation, epoch, now),
            _ => Resource::new(*key, generation, epoch, [], now),
        })
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        let range = position(frames.start)..position(frames.end);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        // A body goes from transit into its slot and back, and is in both on the way: two rounds meet it.
        for _ in 0..2 {
            if let Some(frames) = self.shared.records.get(key).and_then(|slot| slot.read(body, range.clone()))
            {
                return Ok(frames);
            }
            if let Some(frames) = self.shared.transit.read(body, range.clone()) {
                return Ok(frames);
            }
        }
        Err(error(ErrorKind::Gone, "read"))
    }

    async fn writer(&self, _ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.shared.transit.sweep(now);
        Ok(Box::new(MemoryWriter::begin(Arc::clone(&self.shared), body, now)?))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        let head_bytes = weight::of_head(&entry.head).await?;
        let inline_bytes = match &change {
            Change::Put(Body::Inline(inline)) => weight::of_frame(&inline.frame).await?,
            _ => 0,
        };
        self.shared.transit.sweep(now);
        let candidate = Candidate { ticket, entry, change, head_bytes, inline_bytes, stored: None };
        self.shared.commit(candidate, now)
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        self.shared.transit.sweep(now);
        self.shared.remove(key, only, now)
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none()
            .with_leases(self)
            .with_tags(self)
            .with_listing(self)
            .with_touch(self)
            .with_whole(self)
    }

    /// Does nothing: there is nothing to flush, and other clones may go on.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Whole for MemoryStorage {
    fn whole(&self, key: &CacheKey, body: BodyId) -> Option<Bytes> {
        let slot = self.shared.records.get(key);
        slot.and_then(|slot| slot.whole(body)).or_else(|| self.shared.transit.whole(body))
    }
}

impl Shared {
    fn commit(&self, mut candidate: Candidate<'_>, now: SystemTime) -> Result<Committed> {
        let key = candidate.entry.key;
        let pending = match &candidate.change {
            Change::Put(Body::Stored(body)) => Some(body.clone()),
            _ => None,
        };
        let tags = Arc::clone(&candidate.entry.tags);
        let Some(_unpurged) = self.removals.hold_tags(candidate.ticket, &tags) else {
            return Ok(Committed::Refused(Refusal::Removed));
        };
        let committed = self.edit(&key, |slot| {
            // A clear from here on finds a slot of the past era, which no lookup returns.
            let era = self.removals.era();
            if issued_in(candidate.ticket) < era {
                return Ok((Committed::Refused(Refusal::Removed), Edit::NONE));
            }
            candidate.stored = pending.as_ref().and_then(|body| self.transit.finished(body));
            let absent = Slot::empty(era);
            let visible = slot.filter(|slot| slot.era() == era).unwrap_or(&absent);
            let generation = self.removals.committable(candidate.ticket);
            let (committed, mut edit) =
                visible.commit(candidate, generation, self.bounds, now, &self.limits)?;
            if let (Some(past), Next::Put(_)) = (slot.filter(|slot| slot.era() != era), &edit.next) {
                edit.retired = past.remove(None, now, &self.limits)?.1.retired;
            }
            Ok((committed, edit))
        })?;
        if let (Committed::Stored { .. }, Some(body)) = (committed, pending) {
            self.transit.forget(body.id);
        }
        Ok(committed)
    }

    fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let _removing = only.is_none().then(|| self.removals.begin(key));
        self.edit_visible(key, |slot| slot.remove(only, now, &self.limits))
    }

    /// Removes the variants of a resource that have any of these tags.
    pub(crate) fn purge(&self, key: &CacheKey, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let _removing = self.removals.begin(key);
        self.edit_visible(key, |slot| slot.purge(tags, now, &self.limits))
    }

    /// Removes the dead variants of a resource; returns how many.
    pub(crate) fn sweep(&self, key: &CacheKey, now: SystemTime) -> Result<u64> {
        self.edit_visible(key, |slot| slot.sweep(now, &self.limits))
    }

    /// Frees what a clear has made invisible; returns how many variants would be live.
    pub(crate) fn free_past_era(&self, key: &CacheKey, now: SystemTime) -> Result<u64> {
        self.edit(key, |slot| match slot {
            Some(slot) if slot.era() != self.removals.era() => slot.remove(None, now, &self.limits),
            _ => Ok((0, Edit::NONE)),
        })
    }

    fn edit_visible(&self, key: &CacheKey, change: impl FnOnce(&Slot) -> Result<(u64, Edit)>) -> Result<u64> {
        self.edit(key, |slot| match slot {
            Some(slot) if slot.era() == self.removals.era() => change(slot),
            _ => Ok((0, Edit::NONE)),
        })
    }

    /// Changes the slot of a key; one change at a time for each key.
    ///
    /// What a slot lets go is readable in transit before the slot is seen without it.
    fn edit<T>(&self, key: &CacheKey, change: impl FnOnce(Option<&Slot>) -> Result<(T, Edit)>) -> Result<T> {
        let mut outcome = Err(error(ErrorKind::Other, "edit"));
        let mut put = 0;
        self.records.entry(*key).and_compute_with(|entry| {
            let slot = entry.map(moka::Entry::into_value);
            match change(slot.as_deref()) {
                Ok((value, edit)) => {
                    outcome = Ok(value);
                    self.transit.retire(edit.retired);
                    match edit.next {
                        Next::Same => Op::Nop,
                        Next::Gone => Op::Remove,
                        Next::Put(slot) => {
                            put = slot.weight();
                            Op::Put(Arc::new(slot))
                        }
                    }
                }
                Err(error) => {
                    outcome = Err(error);
                    Op::Nop
                }
            }
        });
        // The cache evicts now and then; large bodies must not pile up in between.
        if self.unweighed.fetch_add(put, Ordering::Relaxed).saturating_add(put) > self.slack {
            self.unweighed.store(0, Ordering::Relaxed);
            self.records.run_pending_tasks();
        }
        outcome
    }
}

fn position(frame: u32) -> usize {
    usize::try_from(frame).unwrap_or(usize::MAX)
}

impl fmt::Display for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory (namespace {})", self.shared.namespace)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage")
            .field("namespace", &self.shared.namespace)
            .field("limits", &self.shared.limits)
            .field("resources", &self.shared.records.entry_count())
            .field("bytes", &self.shared.records.weighted_size())
            .field("in_flight_bytes", &self.shared.transit.bytes())
            .finish()
    }
}
