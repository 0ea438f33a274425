use std::{sync::Arc, time::SystemTime};

use crate::{BodyId, CacheKey, Epoch, Frame, Generation, Limits, StoredHead, TagDigest, VariantId, Version};

/// The plaintext bytes of each frame of a stored body but the last, which may be shorter.
pub const FRAME_SIZE: usize = 256 * 1024;

/// The largest body that may travel inside its entry, in bytes of plaintext.
pub const INLINE_MAX: usize = 64 * 1024;

/// The most bytes of inline bodies that one lookup returns; the rest are read as stored bodies.
pub const INLINE_TOTAL: usize = 256 * 1024;

/// The most variants of one resource; a commit of one more evicts the oldest.
pub const MAX_VARIANTS: usize = 64;

/// What is to be stored of one variant, beside its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The resource.
    pub key: CacheKey,
    /// Which of its variants.
    pub variant: VariantId,
    /// The head.
    pub head: StoredHead,
    /// The tags by which it can be purged.
    pub tags: Arc<[TagDigest]>,
    /// When it was stored, or its head last replaced.
    pub stored_at: SystemTime,
    /// When the store may drop it. It is stale long before.
    pub dead_at: SystemTime,
}

impl Entry {
    /// An entry without tags.
    #[must_use]
    pub fn new(
        key: CacheKey,
        variant: VariantId,
        head: StoredHead,
        stored_at: SystemTime,
        dead_at: SystemTime,
    ) -> Self {
        Self { key, variant, head, tags: Arc::new([]), stored_at, dead_at }
    }

    /// The same entry with these tags.
    #[must_use]
    pub fn with_tags(mut self, tags: impl Into<Arc<[TagDigest]>>) -> Self {
        self.tags = tags.into();
        self
    }
}

/// A body as an entry holds it.
#[derive(Clone, Debug)]
pub enum Body {
    /// A small body, returned by the lookup itself.
    Inline(InlineBody),
    /// A body that is read frame by frame.
    Stored(StoredBody),
}

/// A body of at most [`INLINE_MAX`] bytes that travels inside its entry.
#[derive(Clone, Debug)]
pub struct InlineBody {
    /// Its id.
    pub id: BodyId,
    /// Its bytes: the one and last frame.
    pub frame: Frame,
    /// Its length in bytes of plaintext.
    pub len: u64,
}

/// A body whose frames lie in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// Its id.
    pub id: BodyId,
    /// How many frames it has; at least one.
    pub frames: u32,
    /// Its length in bytes of plaintext.
    pub len: u64,
    /// The latest `dead_at` of an entry with this body, fixed when its writing began.
    pub limit: SystemTime,
}

impl Body {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> BodyId {
        match self {
            Self::Inline(body) => body.id,
            Self::Stored(body) => body.id,
        }
    }

    /// Its length in bytes of plaintext.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty body is still a body")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(body) => body.len,
            Self::Stored(body) => body.len,
        }
    }

    /// How many frames it has; at least one.
    #[must_use]
    pub fn frames(&self) -> u32 {
        match self {
            Self::Inline(_) => 1,
            Self::Stored(body) => body.frames,
        }
    }
}

/// What a commit does to a variant.
#[derive(Clone, Debug)]
pub enum Change {
    /// Stores head and body, in place of what the ticket saw of that variant.
    Put(Body),
    /// Replaces the head and keeps the body, if that version is still there.
    Keep(Version),
}

/// A stored variant, as a lookup returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Variant {
    /// Which variant of the resource.
    pub id: VariantId,
    /// Its version now.
    pub version: Version,
    /// Its head.
    pub head: StoredHead,
    /// Its body. A storage may return a body that was committed inline as a stored one of one frame.
    pub body: Body,
    /// Its tags: who replaces a head gives them again.
    pub tags: Arc<[TagDigest]>,
    /// When it was stored, or its head last replaced.
    pub stored_at: SystemTime,
    /// When the store may drop it.
    pub dead_at: SystemTime,
    /// The latest `dead_at` that its body allows. A storage whose lookup does not read it returns `dead_at`.
    pub limit: SystemTime,
}

impl Variant {
    /// The variant that `entry` becomes with `body`; its head counter is `head`, and `dead_at` is clamped to
    /// the body's `limit`.
    #[must_use]
    pub fn new(entry: Entry, body: Body, head: u32, limit: SystemTime) -> Self {
        Self {
            id: entry.variant,
            version: Version { body: body.id(), head },
            head: entry.head,
            body,
            tags: entry.tags,
            stored_at: entry.stored_at,
            dead_at: entry.dead_at.min(limit),
            limit,
        }
    }

    /// Whether a lookup at `now` may return it.
    #[must_use]
    pub fn is_live(&self, now: SystemTime) -> bool {
        now < self.dead_at
    }
}

/// What a lookup found: the live variants, and the ticket for storing or removing afterwards.
#[derive(Clone, Debug)]
pub struct Resource {
    ticket: Ticket,
}

impl Resource {
    /// What a storage found under `key` at `now`.
    ///
    /// `variants` are the live ones, at most [`MAX_VARIANTS`]; `generation` and `epoch` are those the same
    /// round trip read (the epoch may be an older one: it refuses more, never less).
    #[must_use]
    pub fn new(
        key: CacheKey,
        generation: Generation,
        epoch: Epoch,
        variants: impl Into<Arc<[Variant]>>,
        now: SystemTime,
    ) -> Self {
        Self { ticket: Ticket { key, generation, epoch, variants: variants.into(), issued_at: now } }
    }

    /// The live variants.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.ticket.variants
    }

    /// The ticket of this lookup.
    #[must_use]
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }
}

/// What a lookup saw, to be shown at a commit: a commit that would undo a removal made since, or overwrite
/// a body stored since, is refused.
#[derive(Clone, Debug)]
pub struct Ticket {
    key: CacheKey,
    generation: Generation,
    epoch: Epoch,
    variants: Arc<[Variant]>,
    issued_at: SystemTime,
}

impl Ticket {
    /// The resource that was looked up.
    #[must_use]
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// The resource's generation then.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The namespace's purge epoch, as the storage knew it then.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The body that `variant` had then.
    #[must_use]
    pub fn saw(&self, variant: &VariantId) -> Option<BodyId> {
        self.variants.iter().find(|v| v.id == *variant).map(|v| v.version.body)
    }

    /// The live variants that the lookup returned.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Whether it is too old to commit with.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime, limits: &Limits) -> bool {
        now.duration_since(self.issued_at).is_ok_and(|age| age > limits.max_write)
    }
}
