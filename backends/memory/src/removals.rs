use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use cache_api::{CacheKey, Epoch, Generation, TagDigest, Ticket};

/// How many generation counters there are.
const STRIPES: usize = 1024;

/// How many removed resources a stripe tells apart.
const MAX_KEYS: usize = 8;

/// A generation that no ticket holds.
const REMOVED: Generation = Generation::from_bytes([0xff; 16]);

/// How many purged tags are told apart.
const MAX_TAGS: usize = 4096;

/// What removals leave behind so that commits with older tickets are refused.
///
/// It does not lie in the cache, which may evict anything at any time, and its size is bounded: what was
/// removed or purged longest ago is not told apart any more, and then too much is refused, never too little.
#[derive(Debug)]
pub(crate) struct Removals {
    stripes: Box<[Stripe]>,
    /// Counts clears and purges by tag.
    epoch: AtomicU64,
    /// The epoch of the last clear.
    era: AtomicU64,
    tags: RwLock<PurgedTags>,
}

/// The removals of some of the keys.
#[derive(Debug, Default)]
struct Stripe {
    /// Counts beginnings and ends of removals: the generation of all keys of the stripe.
    count: AtomicU64,
    removed: Mutex<RemovedKeys>,
}

#[derive(Debug, Default)]
struct RemovedKeys {
    last: Vec<RemovedKey>,
    /// The count at which all others count as removed.
    floor: u64,
}

#[derive(Debug)]
struct RemovedKey {
    key: CacheKey,
    /// The count when a removal of it last began or ended.
    at: u64,
    under_way: u32,
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

/// While it lives, no ticket of the resource is of use; afterwards only new ones are.
#[derive(Debug)]
pub(crate) struct Removing<'a> {
    stripe: &'a Stripe,
    key: CacheKey,
}

impl Removals {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            epoch: AtomicU64::new(0),
            era: AtomicU64::new(0),
            tags: RwLock::default(),
        }
    }

    /// The generation for a ticket; read before the record.
    pub(crate) fn generation(&self, key: &CacheKey) -> Generation {
        Generation::from_counter(self.stripe(key).count.load(Ordering::SeqCst))
    }

    /// The generation that the ticket must have to commit: its own, unless the resource was removed since.
    pub(crate) fn committable(&self, ticket: &Ticket) -> Generation {
        let issued = number(ticket.generation().as_bytes());
        let removed = self.stripe(ticket.key()).lock();
        let stands = match removed.last.iter().find(|removed| removed.key == *ticket.key()) {
            Some(removed) => removed.under_way == 0 && removed.at <= issued,
            None => removed.floor <= issued,
        };
        if stands { ticket.generation() } else { REMOVED }
    }

    /// Begins the removal of a resource.
    pub(crate) fn begin(&self, key: &CacheKey) -> Removing<'_> {
        let stripe = self.stripe(key);
        stripe.note(key, |under_way| under_way.saturating_add(1));
        Removing { stripe, key: *key }
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

    fn stripe(&self, key: &CacheKey) -> &Stripe {
        let (words, _) = key.as_bytes().as_chunks();
        // The high bits of a product depend on all bits of its factors.
        let mix = |hash: u64, word: &[u8; 8]| {
            (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let [.., low, high] = words.iter().fold(0_u64, mix).to_le_bytes();
        let at = usize::from(u16::from_le_bytes([low, high])) % STRIPES;
        #[expect(clippy::indexing_slicing, reason = "there are STRIPES of them")]
        &self.stripes[at]
    }
}

impl Stripe {
    /// Counts, and notes that a removal of the key begins or ends.
    fn note(&self, key: &CacheKey, under_way: impl FnOnce(u32) -> u32) {
        let removed = &mut *self.lock();
        let at = self.count.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if let Some(removed) = removed.last.iter_mut().find(|removed| removed.key == *key) {
            (removed.at, removed.under_way) = (at, under_way(removed.under_way));
            return;
        }
        if removed.last.len() >= MAX_KEYS {
            let ended = removed.last.iter().enumerate().filter(|(_, removed)| removed.under_way == 0);
            if let Some((oldest, _)) = ended.min_by_key(|(_, removed)| removed.at) {
                removed.floor = removed.floor.max(removed.last.swap_remove(oldest).at);
            }
        }
        removed.last.push(RemovedKey { key: *key, at, under_way: under_way(0) });
    }

    fn lock(&self) -> MutexGuard<'_, RemovedKeys> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.stripe.note(&self.key, |under_way| under_way.saturating_sub(1));
    }
}

/// The epoch of a ticket as a number.
pub(crate) fn issued_in(ticket: &Ticket) -> u64 {
    number(ticket.epoch().as_bytes())
}

/// The counter in an identifier.
fn number(bytes: &[u8; 16]) -> u64 {
    u64::try_from(u128::from_be_bytes(*bytes)).unwrap_or(0)
}
