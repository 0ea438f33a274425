use std::{
    fmt::{Debug, Display},
    ops::Range,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::{
    Abilities, BodyId, CacheKey, Change, Entry, Frame, Namespace, Resource, Result, StoredBody, Ticket,
    Version,
};

/// A place that keeps entries: what a backend implements.
///
/// One value is one [namespace](Storage::namespace) of a store. The required methods are all that a cache
/// needs; what only some stores can do is in [`Abilities`]. There are no default methods, since a wrapper
/// that forgot one would change behaviour unseen.
///
/// # Guarantees
///
/// Each sentence has a case in the conformance suite (`cache-conformance`).
///
/// 1. **Lookup.** One round trip returns the heads of a resource's live variants, at most
///    [`MAX_VARIANTS`](crate::MAX_VARIANTS) (a commit of one more evicts the oldest), with their inline bodies
///    (each at most [`INLINE_MAX`](crate::INLINE_MAX), together at most [`INLINE_TOTAL`](crate::INLINE_TOTAL);
///    beyond that heads alone, the rest as stored bodies), and a [`Ticket`], for an absent resource too.
/// 2. **Atomic.** A variant is visible whole or not at all. A body never changes. A stored body that was
///    replaced or removed stays readable for [`Limits::read_grace`]; a slower reader gets
///    [`ErrorKind::Gone`](crate::ErrorKind::Gone), never other bytes. A body that was begun and not committed
///    is swept after [`Limits::max_write`]. A commit that was cut off may have happened, or happen yet, whole.
/// 3. **Bounded.** Frames are written and read a few at a time: memory does not grow with the body. Any range
///    of a body's frames can be read.
/// 4. **Head compare-and-set.** [`Change::Keep`] replaces a head without its body, and only if generation and
///    version are those named. A version never comes back. An entry's `dead_at` is clamped to the body's own
///    limit, fixed when its writing began (at most then + [`Limits::max_retention`]); the commit returns the
///    effective one.
/// 5. **Writers.** Two writers of two variants keep both. A [`Change::Put`] is refused when the variant has
///    another live body than the ticket saw: a writer that was overtaken cannot overwrite. Heads replaced in
///    between do not refuse it.
/// 6. **Expiry** is absolute. A lookup never returns an entry that is dead at `now`, however late the store
///    deletes it. A store's own expiry is `dead_at` + `read_grace` + an allowance for clock skew.
/// 7. **Isolation.** No operation, `clear` included, touches another namespace or anything that is not ours.
/// 8. **Cancellation.** A future may be dropped at any await: no torn entry is left, and orphaned frames are
///    swept.
/// 9. **Garbage** in the store is a miss and a reported event, never a panic or an error; nothing larger than
///    one reply of the store is allocated for it.
/// 10. **Slow peers.** No transaction, lock or pooled connection is held between two frames.
/// 11. **Removal wins.** A removal (of a resource, by tag, or `clear`) that was acknowledged is not undone by a
///     commit whose ticket is older, even where the resource was absent. A storage may refuse more than it must
///     (resources may share a generation, tags an epoch), never less. Tickets older than
///     [`Limits::max_write`] do not commit; tombstones live twice that.
///
/// `Display` names the storage for logs. It begins with the kind of store, in one to four words of ASCII letters, digits, `-` and
/// `_`, such as `memory` or `object-store`, by which metrics tell storages apart; what follows in parentheses says which one,
/// without credentials.
///
/// `now` is the caller's clock; it starts at real time and moves forward only. A storage reads no clock.
///
/// # Example
///
/// A complete storage is `cache-api/examples/custom_storage.rs`.
#[async_trait]
pub trait Storage: Debug + Display + Send + Sync {
    /// The namespace in which all operations work.
    fn namespace(&self) -> &Namespace;

    /// The time limits by which this storage works.
    fn limits(&self) -> Limits;

    /// The live variants of a resource at `now`, and a ticket. (Guarantees 1, 6, 9.)
    ///
    /// # Errors
    /// When the store cannot be read. An absent resource or garbage is no error.
    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource>;

    /// The frames of a body in that range, in order; the range is short (a few frames).
    ///
    /// Works for inline bodies too, and for the frames that a writer has acknowledged before the body is
    /// committed. (Guarantees 2, 3.)
    ///
    /// # Errors
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when any of these frames is not there any more;
    /// otherwise when the store cannot be read.
    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>>;

    /// Begins a stored body under an id that was never used. (Guarantees 2, 3, 8, 10.)
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>>;

    /// Makes an entry visible, whole, or refuses. (Guarantees 2, 4, 5, 11.)
    ///
    /// A body written by [`writer`](Storage::writer) that is refused or never committed is swept. A commit that is
    /// sent again, as after an answer that was lost, is the same commit and not a new version.
    ///
    /// # Errors
    /// When the store cannot be written: the commit may have happened or not.
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) when the ticket is another resource's.
    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed>;

    /// Removes a resource, or only the variant of that version. Returns how many live variants went.
    ///
    /// Removing a resource moves its generation, an absent one's too; removing one version does not.
    /// (Guarantees 4, 11.)
    ///
    /// # Errors
    /// When the store cannot be written: the removal may have happened or not.
    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64>;

    /// What this storage can do beyond the required. A wrapper passes each ability on explicitly.
    fn abilities(&self) -> Abilities<'_>;

    /// Flushes what is held back and releases the store. Later calls may fail with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed); a second `close` does nothing.
    ///
    /// # Errors
    /// When flushing failed.
    async fn close(&self) -> Result<()>;
}

/// Writes one body, frame by frame. Dropping it abandons the body.
#[async_trait]
pub trait BodyWriter: Send + Debug {
    /// Appends a frame. When it returns, [`Storage::read`] can read that frame.
    ///
    /// All frames but the last hold [`FRAME_SIZE`](crate::FRAME_SIZE) bytes of plaintext.
    ///
    /// # Errors
    /// When the store cannot be written; the body cannot be committed then.
    async fn write(&mut self, frame: Frame) -> Result<()>;

    /// Ends the body, whose plaintext had `len` bytes. It is pending until a commit names it.
    ///
    /// # Errors
    /// When the store cannot be written; [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) without a frame.
    async fn finish(self: Box<Self>, len: u64) -> Result<StoredBody>;
}

/// The time limits of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest a write may take from lookup to commit; 15 minutes by default.
    pub max_write: Duration,
    /// How long a replaced or removed stored body stays readable; 10 minutes by default.
    pub read_grace: Duration,
    /// The longest any body is kept, counted from when its writing began; 365 days by default.
    pub max_retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_write: Duration::from_secs(15 * 60),
            read_grace: Duration::from_secs(10 * 60),
            max_retention: Duration::from_secs(365 * 24 * 60 * 60),
        }
    }
}

impl Limits {
    /// Sets [`max_write`](Limits::max_write).
    #[must_use]
    pub fn with_max_write(mut self, max_write: Duration) -> Self {
        self.max_write = max_write;
        self
    }

    /// Sets [`read_grace`](Limits::read_grace).
    #[must_use]
    pub fn with_read_grace(mut self, read_grace: Duration) -> Self {
        self.read_grace = read_grace;
        self
    }

    /// Sets [`max_retention`](Limits::max_retention).
    #[must_use]
    pub fn with_max_retention(mut self, max_retention: Duration) -> Self {
        self.max_retention = max_retention;
        self
    }

    /// The latest `dead_at` of an entry whose body's writing began at `now`.
    #[must_use]
    pub fn retention_from(&self, now: SystemTime) -> SystemTime {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        now.checked_add(self.max_retention).or_else(|| now.checked_add(YEAR)).unwrap_or(now)
    }

    /// How long a tombstone lives: twice the longest write.
    #[must_use]
    pub fn tombstone(&self) -> Duration {
        self.max_write.saturating_mul(2)
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Committed {
    /// The entry is visible.
    Stored {
        /// Its version.
        version: Version,
        /// When the store may drop it, after clamping.
        dead_at: SystemTime,
    },
    /// Nothing changed.
    Refused(Refusal),
}

/// Why a commit was refused. Nothing failed: something else happened first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The resource, one of the entry's tags, or the namespace was purged since the lookup.
    Removed,
    /// Another body was stored for the variant since the lookup.
    Replaced,
    /// The version that [`Change::Keep`] named is not there.
    VersionChanged,
    /// The ticket is older than [`Limits::max_write`].
    TicketExpired,
    /// The body is not there, or was swept.
    BodyGone,
    /// The entry is larger than this storage takes.
    TooLarge,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed since the lookup",
            Self::Replaced => "another body was stored since the lookup",
            Self::VersionChanged => "the version is not there any more",
            Self::TicketExpired => "the write took longer than max_write",
            Self::BodyGone => "the body is gone",
            Self::TooLarge => "larger than the storage takes",
        })
    }
}
