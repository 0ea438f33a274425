//! When entries were last used, told to the storage in batches and never on the way of a hit.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use cache_api::{CacheKey, Use};
use tracing::Instrument;

use crate::{engine::Inner, found::Found, network::Network, stats::Operation, store::Store};

/// How many uses make a batch.
const BATCH: usize = 128;

/// The uses that the storage does not know of yet.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<Vec<Use>>);

impl Uses {
    /// Notes a use. Returns a batch when one is full.
    pub(crate) fn note(&self, used: Use) -> Option<Vec<Use>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.capacity() == 0 {
            waiting.reserve_exact(BATCH);
        }
        waiting.push(used);
        (waiting.len() >= BATCH).then(|| std::mem::take(&mut *waiting))
    }

    /// What is noted so far.
    pub(crate) fn take(&self) -> Vec<Use> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// Tells the storage of uses. A failure is reported, and the uses are dropped.
    pub(crate) async fn touch(&self, uses: &[Use]) {
        let Some(touch) = self.storage.abilities().touch.filter(|_| !uses.is_empty()) else { return };
        let now = self.clock.now();
        let _ = self.within(Operation::Touch, self.deadlines.write, touch.touch(uses, now)).await;
    }
}

impl<N: Network> Inner<N> {
    /// Notes that an entry was served, for a storage that evicts what is not used.
    pub(crate) fn note_use(
        &self,
        store: &Store,
        key: CacheKey,
        found: &Found,
        index: usize,
        now: SystemTime,
    ) {
        if store.storage.abilities().touch.is_none() {
            return;
        }
        let Some(variant) = found.variant(index) else { return };
        if let Some(batch) = self.uses.note(Use { key, variant: variant.id, at: now }) {
            let (store, tracked) = (store.clone(), self.tasks.token());
            let touching = async move {
                let _tracked = tracked;
                store.touch(&batch).await;
            };
            tokio::spawn(touching.in_current_span());
        }
    }
}
