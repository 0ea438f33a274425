use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{BodyId, CacheKey, Events, Result, StoredHead, TagDigest, Variant, VariantId, Version};

/// What a storage can do beyond the required. What it cannot do is absent.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Abilities<'a> {
    /// One writer at a time over all processes.
    pub leases: Option<&'a dyn Leases>,
    /// Purging by tag.
    pub tags: Option<&'a dyn Tags>,
    /// Looking over all entries.
    pub listing: Option<&'a dyn Listing>,
    /// Recording uses.
    pub touch: Option<&'a dyn Touch>,
    /// Invalidations from other replicas.
    pub events: Option<&'a dyn Events>,
    /// Bodies in one piece.
    pub whole: Option<&'a dyn Whole>,
}

impl<'a> Abilities<'a> {
    /// None at all.
    #[must_use]
    pub const fn none() -> Self {
        Self { leases: None, tags: None, listing: None, touch: None, events: None, whole: None }
    }

    /// Adds leases.
    #[must_use]
    pub const fn with_leases(mut self, leases: &'a dyn Leases) -> Self {
        self.leases = Some(leases);
        self
    }

    /// Adds tags.
    #[must_use]
    pub const fn with_tags(mut self, tags: &'a dyn Tags) -> Self {
        self.tags = Some(tags);
        self
    }

    /// Adds listing.
    #[must_use]
    pub const fn with_listing(mut self, listing: &'a dyn Listing) -> Self {
        self.listing = Some(listing);
        self
    }

    /// Adds recording of uses.
    #[must_use]
    pub const fn with_touch(mut self, touch: &'a dyn Touch) -> Self {
        self.touch = Some(touch);
        self
    }

    /// Adds invalidations from other replicas.
    #[must_use]
    pub const fn with_events(mut self, events: &'a dyn Events) -> Self {
        self.events = Some(events);
        self
    }

    /// Adds bodies in one piece.
    #[must_use]
    pub const fn with_whole(mut self, whole: &'a dyn Whole) -> Self {
        self.whole = Some(whole);
        self
    }
}

/// Bodies that lie in this process, in one piece: whoever wants all of one need not put its frames together.
///
/// It is for speed alone. What it returns is what [`Storage::read`](crate::Storage::read) and decoding would; a storage that
/// keeps its bodies elsewhere has no use for it.
pub trait Whole: Send + Sync + std::fmt::Debug {
    /// The plaintext of a stored body. `None` where it does not lie there in one piece, which says nothing of whether it is
    /// there.
    fn whole(&self, key: &CacheKey, body: BodyId) -> Option<Bytes>;
}

/// One fetch at a time for a resource, over all processes that share the store.
///
/// A lease is advice, not a lock: what keeps a holder that lost its lease from overwriting is the ticket
/// (guarantee 5 of [`Storage`](crate::Storage)). Whoever acquires a lease looks up again before fetching.
#[async_trait]
pub trait Leases: Send + Sync + std::fmt::Debug {
    /// Takes the lease of `key` for `ttl`, if nobody holds a live one.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired>;

    /// Prolongs a lease to `now + ttl`; `false` when it was lost.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool>;

    /// Gives a lease back and says what came of it. A lost lease is left to its new holder.
    ///
    /// # Errors
    /// When the store cannot be written; the lease then ends by itself.
    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()>;
}

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The resource.
    pub key: CacheKey,
    /// What tells this holder from any other.
    pub token: [u8; 16],
}

/// The answer to [`Leases::acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// The lease is ours.
    Held(Lease),
    /// Another holds it, at the latest until then.
    Busy {
        /// When it ends by itself.
        until: SystemTime,
    },
    /// The last holder found the resource uncacheable: do not queue until then.
    Uncacheable {
        /// When that is forgotten.
        until: SystemTime,
    },
}

/// What a leader's fetch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Something was stored, or the fetch failed: whoever comes next looks for itself.
    Done,
    /// The response cannot be stored; later acquirers are told so for that long.
    Uncacheable(Duration),
}

/// Purging by tag.
#[async_trait]
pub trait Tags: Send + Sync + std::fmt::Debug {
    /// Removes every entry that has any of these tags, and refuses commits under way of such entries
    /// (guarantee 11 of [`Storage`](crate::Storage)). Returns how many live entries went.
    ///
    /// # Errors
    /// When the store cannot be written: some entries may be gone; purge again.
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64>;
}

/// Looking over all entries of the namespace.
#[async_trait]
pub trait Listing: Send + Sync + std::fmt::Debug {
    /// The live entries that match, in no order, without their bodies. An entry that stands throughout is
    /// listed once; one stored or removed meanwhile may be or not.
    ///
    /// Pages are bounded; nothing is held in the store between them.
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_>;

    /// How many live entries match, and the plaintext bytes of their bodies.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals>;

    /// Removes every entry of the namespace and refuses all commits under way (guarantees 7 and 11 of
    /// [`Storage`](crate::Storage)). Returns how many live entries went.
    ///
    /// # Errors
    /// When the store cannot be written: some entries may be gone; clear again.
    async fn clear(&self, now: SystemTime) -> Result<u64>;

    /// Deletes what is dead at `now`: entries, retired bodies past their grace, bodies never committed,
    /// tombstones.
    ///
    /// # Errors
    /// When the store cannot be written; what is left is swept the next time.
    async fn sweep(&self, now: SystemTime) -> Result<Swept>;
}

/// The stream that [`Listing::list`] returns.
pub type FoundStream<'a> = Pin<Box<dyn Stream<Item = Result<Found>> + Send + 'a>>;

/// Which entries to list or count; all by default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Only entries with this tag.
    pub tag: Option<TagDigest>,
    /// Only entries stored (or last freshened) before this instant.
    pub stored_before: Option<SystemTime>,
}

impl Filter {
    /// All entries.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only entries with this tag.
    #[must_use]
    pub fn with_tag(mut self, tag: TagDigest) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Only entries stored (or last freshened) before this instant.
    #[must_use]
    pub fn with_stored_before(mut self, instant: SystemTime) -> Self {
        self.stored_before = Some(instant);
        self
    }

    /// Whether an entry with these fields matches.
    #[must_use]
    pub fn matches(&self, tags: &[TagDigest], stored_at: SystemTime) -> bool {
        self.tag.is_none_or(|tag| tags.contains(&tag)) && self.stored_before.is_none_or(|t| stored_at < t)
    }
}

/// One listed entry: all but its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The resource.
    pub key: CacheKey,
    /// Which variant.
    pub variant: VariantId,
    /// Its version.
    pub version: Version,
    /// Its head.
    pub head: StoredHead,
    /// The length of its body in bytes of plaintext.
    pub len: u64,
    /// Its tags.
    pub tags: Arc<[TagDigest]>,
    /// When it was stored, or its head last replaced.
    pub stored_at: SystemTime,
    /// When the store may drop it.
    pub dead_at: SystemTime,
    /// When it was last used, as far as the store was told ([`Touch`]); `None` where it keeps no such time.
    pub used_at: Option<SystemTime>,
    /// How many uses the store was told of ([`Touch`]) since this variant was stored; `None` where it does not count.
    ///
    /// What replaces it begins at 0; a new head leaves the number as it is. It is approximate: uses that cannot be told
    /// are dropped, those told again after an answer that was lost count twice, and those told late count for what has
    /// taken the variant's place.
    pub uses: Option<u64>,
}

impl Found {
    /// The listed form of a stored variant.
    #[must_use]
    pub fn new(key: CacheKey, variant: &Variant) -> Self {
        Self {
            key,
            variant: variant.id,
            version: variant.version,
            head: variant.head.clone(),
            len: variant.body.len(),
            tags: Arc::clone(&variant.tags),
            stored_at: variant.stored_at,
            dead_at: variant.dead_at,
            used_at: None,
            uses: None,
        }
    }

    /// The same with the time of its last use.
    #[must_use]
    pub fn with_used_at(mut self, used_at: Option<SystemTime>) -> Self {
        self.used_at = used_at;
        self
    }

    /// The same with the number of its uses.
    #[must_use]
    pub fn with_uses(mut self, uses: Option<u64>) -> Self {
        self.uses = uses;
        self
    }
}

/// Totals of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// How many entries.
    pub entries: u64,
    /// The plaintext bytes of their bodies.
    pub bytes: u64,
}

impl Totals {
    /// These totals.
    #[must_use]
    pub fn new(entries: u64, bytes: u64) -> Self {
        Self { entries, bytes }
    }
}

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Dead entries.
    pub entries: u64,
    /// Bodies: retired ones past their grace, and ones never committed.
    pub bodies: u64,
}

impl Swept {
    /// These counts.
    #[must_use]
    pub fn new(entries: u64, bodies: u64) -> Self {
        Self { entries, bodies }
    }
}

/// Recording when entries were last used, for eviction, and how often. Batched: never a write per hit.
#[async_trait]
pub trait Touch: Send + Sync + std::fmt::Debug {
    /// Records uses, in any order: each counts, and the latest is the last. What is of no variant that is there is
    /// passed over.
    ///
    /// # Errors
    /// When the store cannot be written; the uses may be dropped.
    async fn touch(&self, uses: &[Use], now: SystemTime) -> Result<()>;
}

/// One use of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The resource.
    pub key: CacheKey,
    /// Which variant.
    pub variant: VariantId,
    /// When.
    pub at: SystemTime,
}
