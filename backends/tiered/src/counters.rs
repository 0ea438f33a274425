use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`TieredStorage`](crate::TieredStorage) did so far, and what it holds. All its clones count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Lookups that memory answered.
    pub hits: u64,
    /// Lookups that asked the store.
    pub misses: u64,
    /// Those of the misses that asked it because memory was not trusted.
    pub bypassed: u64,
    /// Answers of the store that were not kept, since something changed while they were on their way.
    pub fills_refused: u64,
    /// Changes that took copies out of memory, or would have: one for each resource, purge and clear, own ones twice,
    /// and one for each lease and each time that the channel was lost or came back.
    pub invalidations: u64,
    /// The resources held, roughly.
    pub resources: u64,
    /// The bytes they are taken to need, roughly.
    pub bytes: u64,
    /// Whether memory answers at all: not before the subscription to the store's events stands, nor while it is
    /// lost. Over a store without events it always does.
    pub trusted: bool,
}

/// The counts themselves.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    bypassed: AtomicU64,
    fills_refused: AtomicU64,
    invalidations: AtomicU64,
}

impl Counts {
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn miss(&self, trusted: bool) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        if !trusted {
            self.bypassed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn fill_refused(&self) {
        self.fills_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn invalidation(&self) {
        self.invalidations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self, resources: u64, bytes: u64, trusted: bool) -> Counters {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            hits: of(&self.hits),
            misses: of(&self.misses),
            bypassed: of(&self.bypassed),
            fills_refused: of(&self.fills_refused),
            invalidations: of(&self.invalidations),
            resources,
            bytes,
            trusted,
        }
    }
}
