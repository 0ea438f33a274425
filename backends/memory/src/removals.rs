use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use cache_api::{CacheKey, Epoch, Generation, TagDigest, Ticket};

/// How many generation counters there are: 32 KiB of them.
const STRIPES: usize = 4096;

/// The low bits of a stripe count the removals under way, the rest those that began or ended.
const UNDER_WAY: u64 = 0xffff;
const STEP: u64 = UNDER_WAY + 1;

/// A generation that no ticket holds.
const REMOVING: Generation = Generation::from_bytes([0xff; 16]);

/// How many purged tags are told apart.
const MAX_TAGS: usize = 4096;

/// What removals leave behind so that commits with older tickets are refused.
///
/// It does not lie in the cache, which may evict anything at any time, and its size is fixed. What it
/// cannot tell apart (two resources of one stripe, tags purged long ago) is refused together.
#[derive(Debug)]
pub(crate) struct Removals {
    stripes: Box<[AtomicU64]>,
    /// Counts clears and purges by tag.
    epoch: AtomicU64,
    /// The epoch of the last clear.
    era: AtomicU64,
    tags: RwLock<PurgedTags>,
}

#[derive(Debug, Default)]
struct PurgedTags {
    /// The epoch at which each was last purged.
    at: HashMap<TagDigest, u64>,
    /// The epoch at which all others count as purged.
    floor: u64,
}

/// While it lives, no commit that depends on what it holds back overtakes a purge by tag.
#[derive(Debug)]
pub(crate) struct TagsUnpurged<'a>(
    #[expect(dead_code, reason = "held")] Option<RwLockReadGuard<'a, PurgedTags>>,
);

/// While it lives, tickets of its stripe are of no use; afterwards only new ones are.
#[derive(Debug)]
pub(crate) struct Removing<'a>(&'a AtomicU64);

impl Removals {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU64::new(0),
            era: AtomicU64::new(0),
            tags: RwLock::default(),
        }
    }

    /// The generation for a ticket; read before the record.
    pub(crate) fn generation(&self, key: &CacheKey) -> Generation {
        Generation::from_counter(self.stripe(key).load(Ordering::SeqCst))
    }

    /// The generation that a ticket must have to commit.
    pub(crate) fn committable(&self, key: &CacheKey) -> Generation {
        match self.stripe(key).load(Ordering::SeqCst) {
            value if value & UNDER_WAY == 0 => Generation::from_counter(value),
            _ => REMOVING,
        }
    }

    /// Begins the removal of a resource.
    pub(crate) fn begin(&self, key: &CacheKey) -> Removing<'_> {
        let stripe = self.stripe(key);
        stripe.fetch_add(STEP + 1, Ordering::SeqCst);
        Removing(stripe)
    }

    /// The epoch for a ticket; read before the [era](Self::era).
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch::from_bytes(u128::from(self.epoch.load(Ordering::SeqCst)).to_be_bytes())
    }

    /// The era in which a record must have been written to count.
    pub(crate) fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// Ends the era: no record written before counts, no ticket issued before commits.
    pub(crate) fn end_era(&self) {
        let mut tags = self.tags.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epoch.load(Ordering::SeqCst).saturating_add(1);
        tags.at.clear();
        // The era first: who reads the new epoch sees no record of the old era.
        self.era.store(epoch, Ordering::SeqCst);
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// Refuses, from now on, older tickets for entries with these tags. Commits that were let pass before
    /// are visible when this returns.
    pub(crate) fn purge(&self, purged: &[TagDigest]) {
        let mut tags = self.tags.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epoch.load(Ordering::SeqCst).saturating_add(1);
        if tags.at.len().saturating_add(purged.len()) > MAX_TAGS {
            tags.at.clear();
            tags.floor = epoch;
        } else {
            tags.at.extend(purged.iter().map(|tag| (*tag, epoch)));
        }
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// Whether the ticket's lookup came after the last purge of each of these tags, and a hold on that being
    /// so. Taken before a key's lock, never under it.
    pub(crate) fn hold_tags(&self, ticket: &Ticket, of: &[TagDigest]) -> Option<TagsUnpurged<'_>> {
        if of.is_empty() {
            return Some(TagsUnpurged(None));
        }
        let tags = self.tags.read().unwrap_or_else(PoisonError::into_inner);
        let issued = issued_in(ticket);
        let purged_at = |tag| tags.at.get(tag).copied().unwrap_or(0).max(tags.floor);
        of.iter().all(|tag| purged_at(tag) <= issued).then(|| TagsUnpurged(Some(tags)))
    }

    fn stripe(&self, key: &CacheKey) -> &AtomicU64 {
        let [low, high, ..] = *key.as_bytes();
        let at = usize::from(u16::from_le_bytes([low, high])) % STRIPES;
        #[expect(clippy::indexing_slicing, reason = "there are STRIPES of them")]
        &self.stripes[at]
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(STEP - 1, Ordering::SeqCst);
    }
}

/// The epoch of a ticket as a number.
pub(crate) fn issued_in(ticket: &Ticket) -> u64 {
    u64::try_from(u128::from_be_bytes(*ticket.epoch().as_bytes())).unwrap_or(0)
}
