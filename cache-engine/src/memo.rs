//! What an engine works out of a stored head once, and keeps beside it for as long as the head stays in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_api::StoredHead;

use crate::policy::{Freshness, Options};

/// Freshness depends on the options it was computed under: each set of them has a number of its own in this process.
#[derive(Clone, Debug)]
pub(crate) struct Memo(u64);

impl Memo {
    /// For options of which nothing was computed yet.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The freshness of a head that is decoded.
    pub(crate) fn freshness(&self, head: &StoredHead, options: &Options) -> Option<Freshness> {
        let made = head.derived(|head| (self.0, Freshness::of(head, options)))?;
        let (owner, freshness) = *made;
        if owner == self.0 { Some(freshness) } else { head.value().map(|head| Freshness::of(head, options)) }
    }
}
