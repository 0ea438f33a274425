//! Ends of freshness that move on with each use, written beside the answer and never on the way of a hit.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache_api::{CacheKey, Change, Entry, Version};
use tracing::Instrument;

use crate::engine::{Inner, view};
use crate::found::Found;
use crate::network::{Network, Request};
use crate::policy;
use crate::sets::Sets;
use crate::store::Store;

/// The entries whose heads are being rewritten by this process.
#[derive(Debug, Default)]
pub(crate) struct Slides(Mutex<HashSet<(CacheKey, Version)>>);

impl Slides {
    fn running(&self) -> MutexGuard<'_, HashSet<(CacheKey, Version)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Network> Inner<N> {
    /// Moves the end of what was served on, where it slides. A head that anyone else has changed meanwhile stays as it is.
    pub(crate) fn slide(
        self: &Arc<Self>,
        sets: &Sets,
        store: &Store,
        request: &Request<N::Body>,
        key: CacheKey,
        found: &Found,
        index: usize,
    ) {
        let options = sets.of(request);
        if options.sliding.is_none() {
            return;
        }
        let Some(variant) = found.variant(index) else { return };
        let Some(head) = variant.head.value() else { return };
        let now = self.clock.now();
        let Some((head, keep_until)) = policy::slide(options, &view(request, &key), head, now) else {
            return;
        };
        let entry = (key, variant.version);
        if !self.slides.running().insert(entry) {
            return;
        }
        let cell = store.head_cell(head, store.place(&key, variant));
        let slid = Entry::new(key, variant.id, cell, now, keep_until).with_tags(Arc::clone(&variant.tags));
        let (ticket, change) = (found.ticket().clone(), Change::Keep(variant.version));
        let (inner, store, tracked) = (Arc::clone(self), store.clone(), self.tasks.token());
        let sliding = async move {
            let _tracked = tracked;
            // A failure is reported where it happens; the next use tries again.
            let _ = store.commit(&ticket, slid, change).await;
            inner.slides.running().remove(&entry);
        };
        tokio::spawn(sliding.in_current_span());
    }
}
