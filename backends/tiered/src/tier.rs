use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use cache_api::{CacheKey, Event, Resource, TagDigest};
use moka::{
    ops::compute::Op,
    policy::EvictionPolicy,
    sync::{Cache, CacheBuilder},
};

use crate::{
    counters::{Counters, Counts},
    purges::Purges,
    weight,
};

/// How many counters all resources share. Two that share one refuse each other's fills while they are on their way.
const COUNTERS: usize = 1024;

/// Copies of what the store answered, and whether they can be trusted.
pub(crate) struct Tier {
    copies: Cache<CacheKey, Arc<Copy>>,
    /// A copy that was asked for before its counter moved is not kept.
    changes: Box<[AtomicU64]>,
    hasher: RandomState,
    purges: Purges,
    trust: AtomicU8,
    /// How old a copy is served at most.
    bound: Duration,
    /// The heaviest resource that is held.
    heaviest: u64,
    /// The bytes put since the cache last weighed itself, and how many it may be late by.
    unweighed: AtomicU64,
    slack: u64,
    counts: Counts,
}

/// What the store answered to a lookup.
struct Copy {
    found: Resource,
    /// When the first of its variants dies.
    whole_until: SystemTime,
    /// Up to which epoch no purge met it.
    epoch: AtomicU64,
    weight: u32,
}

/// The states of [`Tier::trust`].
mod trust {
    pub(super) const ABSENT: u8 = 0;
    pub(super) const STANDING: u8 = 1;
    pub(super) const CLOSED: u8 = 2;
}

/// Taken before the store is asked: what was changed since is not kept.
pub(crate) struct Fill {
    key: CacheKey,
    changes: u64,
    epoch: u64,
}

impl Tier {
    pub(crate) fn new(capacity: u64, bound: Duration, trusted: bool) -> Self {
        let copies = CacheBuilder::new(capacity)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, copy: &Arc<Copy>| copy.weight)
            .build();
        Self {
            copies,
            changes: std::iter::repeat_with(AtomicU64::default).take(COUNTERS).collect(),
            hasher: RandomState::new(),
            purges: Purges::default(),
            trust: AtomicU8::new(if trusted { trust::STANDING } else { trust::ABSENT }),
            bound,
            // The cache weighs with 32 bits.
            heaviest: (capacity / 2).min(u64::from(u32::MAX)),
            unweighed: AtomicU64::new(0),
            slack: capacity / 16,
            counts: Counts::default(),
        }
    }

    /// What a lookup at `now` is answered; `None` where the store is to be asked.
    pub(crate) fn get(&self, key: &CacheKey, now: SystemTime) -> Option<Resource> {
        let trusted = self.is_trusted();
        let found = if trusted { self.copies.get(key).and_then(|copy| self.serve(&copy, now)) } else { None };
        match found {
            Some(_) => self.counts.hit(),
            None => self.counts.miss(trusted),
        }
        found
    }

    fn serve(&self, copy: &Copy, now: SystemTime) -> Option<Resource> {
        let age = now.duration_since(copy.found.ticket().issued_at()).ok()?;
        let trusted = age < self.bound && self.purges.spare(&copy.epoch, copy.found.variants());
        if trusted { copy.live(now) } else { None }
    }

    /// Begins to fill, before the store is asked; `None` where nothing is to be kept.
    pub(crate) fn begin(&self, key: &CacheKey) -> Option<Fill> {
        let fill = || Fill {
            key: *key,
            changes: self.counter(key).load(Ordering::SeqCst),
            epoch: self.purges.epoch(),
        };
        self.is_trusted().then(fill)
    }

    /// Keeps what the store answered, unless that was changed meanwhile. Absence is not kept.
    pub(crate) async fn fill(&self, fill: Fill, found: &Resource) {
        let Some(whole_until) = found.variants().iter().map(|v| v.dead_at).min() else { return };
        let Ok(weight) = weight::of(found).await else { return };
        let Some(weight) = u32::try_from(weight).ok().filter(|weight| u64::from(*weight) <= self.heaviest)
        else {
            return;
        };
        let copy = Copy { found: found.clone(), whole_until, epoch: AtomicU64::new(fill.epoch), weight };
        // One at a time for each key, as removals: either this sees the counter moved, or the removal the copy.
        self.copies.entry(fill.key).and_compute_with(|held| {
            let unchanged = self.is_trusted()
                && self.counter(&fill.key).load(Ordering::SeqCst) == fill.changes
                && self.purges.spare(&copy.epoch, copy.found.variants());
            if !unchanged {
                self.counts.fill_refused();
                return Op::Nop;
            }
            let issued_at = copy.found.ticket().issued_at();
            match held {
                Some(held) if held.value().found.ticket().issued_at() > issued_at => Op::Nop,
                _ => Op::Put(Arc::new(copy)),
            }
        });
        // The cache evicts now and then; large copies must not pile up in between.
        let put = u64::from(weight);
        if self.unweighed.fetch_add(put, Ordering::Relaxed).saturating_add(put) > self.slack {
            self.unweighed.store(0, Ordering::Relaxed);
            self.copies.run_pending_tasks();
        }
    }

    /// The resource is not what it was.
    pub(crate) fn remove(&self, key: &CacheKey) {
        self.counter(key).fetch_add(1, Ordering::SeqCst);
        self.copies.entry(*key).and_compute_with(|_| Op::Remove);
        self.counts.invalidation();
    }

    /// What has any of these tags is not what it was.
    pub(crate) fn purge(&self, tags: Arc<[TagDigest]>) {
        self.purges.purge(tags);
        self.counts.invalidation();
    }

    /// Nothing is what it was.
    pub(crate) fn clear(&self) {
        self.purges.clear();
        self.copies.invalidate_all();
        self.counts.invalidation();
    }

    /// What another replica did.
    pub(crate) fn apply(&self, event: &Event) {
        match event {
            Event::Changed(key) => self.remove(key),
            Event::Purged(tags) => self.purge(Arc::clone(tags)),
            Event::Heartbeat => {}
            // What a later release tells may be anything.
            _ => self.clear(),
        }
    }

    /// From now on changes are told. What was held before, or is on its way, is not trusted.
    pub(crate) fn trust(&self) {
        self.clear();
        let (absent, standing) = (trust::ABSENT, trust::STANDING);
        let _ = self.trust.compare_exchange(absent, standing, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// From now on changes may go untold.
    pub(crate) fn distrust(&self) {
        let (standing, absent) = (trust::STANDING, trust::ABSENT);
        let _ = self.trust.compare_exchange(standing, absent, Ordering::SeqCst, Ordering::SeqCst);
        self.clear();
    }

    /// Answers nothing any more.
    pub(crate) fn close(&self) {
        self.trust.store(trust::CLOSED, Ordering::SeqCst);
        self.clear();
    }

    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    pub(crate) fn counters(&self) -> Counters {
        let (resources, bytes) = (self.copies.entry_count(), self.copies.weighted_size());
        self.counts.counters(resources, bytes, self.is_trusted())
    }

    fn is_trusted(&self) -> bool {
        self.trust.load(Ordering::SeqCst) == trust::STANDING
    }

    fn counter(&self, key: &CacheKey) -> &AtomicU64 {
        let hash = usize::try_from(self.hasher.hash_one(key) % COUNTERS as u64).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "a remainder of the length")]
        &self.changes[hash]
    }
}

impl Copy {
    /// What of it is live at `now`; `None` where that is nothing. The ticket stays as old as it is.
    fn live(&self, now: SystemTime) -> Option<Resource> {
        if now < self.whole_until {
            return Some(self.found.clone());
        }
        let live: Vec<_> = self.found.variants().iter().filter(|v| v.is_live(now)).cloned().collect();
        let ticket = self.found.ticket();
        let (generation, epoch, issued_at) = (ticket.generation(), ticket.epoch(), ticket.issued_at());
        (!live.is_empty()).then(|| Resource::new(*ticket.key(), generation, epoch, live, issued_at))
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("bound", &self.bound)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
