//! When entries were used, told to the storage in batches and never on the way of a hit.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use cache_api::{CacheKey, Use};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    engine::{Engine, Inner},
    found::Found,
    network::Network,
    policy::Controls,
    stats::Operation,
    store::Store,
};

/// How many uses make a batch.
const BATCH: usize = 128;

/// The uses that the storage does not know of yet.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    waiting: Mutex<Vec<Use>>,
    /// The batches that it is being told of.
    under_way: TaskTracker,
}

impl Uses {
    /// Notes a use. Returns a batch when one is full.
    pub(crate) fn note(&self, used: Use) -> Option<Vec<Use>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.capacity() == 0 {
            waiting.reserve_exact(BATCH);
        }
        waiting.push(used);
        (waiting.len() >= BATCH).then(|| std::mem::take(&mut *waiting))
    }

    /// What is noted so far.
    fn take(&self) -> Vec<Use> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// Tells the storage of uses. A failure is reported, and the uses are dropped.
    async fn touch(&self, uses: &[Use]) {
        let Some(touch) = self.storage.abilities().touch.filter(|_| !uses.is_empty()) else { return };
        let now = self.clock.now();
        let _ = self.within(Operation::Touch, self.deadlines.write, touch.touch(uses, now)).await;
    }
}

impl<N: Network> Engine<N> {
    /// Tells the storage of the uses that it does not know of yet, so that what it lists of an entry's uses is as new as
    /// can be. [`close`](Engine::close) and [`settle`](Engine::settle) do so by themselves.
    ///
    /// A failure is reported as any of the storage, and the uses are dropped. So they are when the future is dropped
    /// half-way.
    pub async fn flush_uses(&self) {
        let Some(store) = &self.inner().store else { return };
        let Uses { under_way, .. } = &self.inner().uses;
        let uses = self.inner().uses.take();
        if !self.inner().live.load().client().keep_out_writes(&Controls::new()) {
            store.touch(&uses).await;
        }
        // Closed, it can be waited for; batches are added to it all the same.
        under_way.close();
        let _ = tokio::time::timeout(store.deadlines.write, under_way.wait()).await;
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
            let (store, tracked) = (store.clone(), (self.tasks.token(), self.uses.under_way.token()));
            let touching = async move {
                let _tracked = tracked;
                store.touch(&batch).await;
            };
            tokio::spawn(touching.in_current_span());
        }
    }
}
