use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::SystemTime};

use async_trait::async_trait;
use cache_api::{
    CacheKey, Filter, Found, FoundStream, Listing, Result, Swept, TagDigest, Tags, Totals, Touch, Use,
};
use futures_util::{Stream, StreamExt, stream};

use crate::{MemoryStorage, slot::Slot};

/// How many records are looked at before other tasks get their turn.
const PAGE: usize = 256;

type Page = Vec<(Arc<CacheKey>, Arc<Slot>)>;

impl MemoryStorage {
    /// All slots, those of past eras too. What stands throughout is met once. No lock is held between pages.
    fn pages(&self) -> impl Stream<Item = Page> + Send + '_ {
        stream::unfold(self.shared.records.iter(), |mut slots| async {
            let page: Page = slots.by_ref().take(PAGE).collect();
            if page.is_empty() {
                return None;
            }
            yield_now().await;
            Some((page, slots))
        })
    }

    fn found(&self, filter: &Filter, now: SystemTime) -> impl Stream<Item = Found> + Send + use<'_> {
        let filter = filter.clone();
        let matching = move |(key, slot): (Arc<CacheKey>, Arc<Slot>)| {
            let visible = slot.era() == self.shared.removals.era();
            let wanted = slot
                .variants()
                .iter()
                .filter(|v| visible && v.is_live(now) && filter.matches(&v.tags, v.stored_at));
            wanted.map(|v| Found::new(*key, v).with_uses(Some(slot.uses(v)))).collect::<Vec<_>>()
        };
        self.pages()
            .flat_map(move |page| stream::iter(page.into_iter().flat_map(&matching).collect::<Vec<_>>()))
    }
}

#[async_trait]
impl Listing for MemoryStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        Box::pin(self.found(filter, now).map(Ok))
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let add = |sum: Totals, found: Found| async move {
            Totals::new(sum.entries.saturating_add(1), sum.bytes.saturating_add(found.len))
        };
        Ok(self.found(filter, now).fold(Totals::default(), add).await)
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        // From here on all is invisible; what follows counts and frees.
        self.shared.removals.end_era();
        let mut removed = 0_u64;
        let mut pages = pin!(self.pages());
        while let Some(page) = pages.next().await {
            for (key, _) in page {
                removed = removed.saturating_add(self.shared.free_past_era(&key, now)?);
            }
        }
        Ok(removed)
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        let mut entries = 0_u64;
        let mut pages = pin!(self.pages());
        while let Some(page) = pages.next().await {
            for (key, slot) in page {
                if slot.era() != self.shared.removals.era() {
                    // A clear was cut off.
                    self.shared.free_past_era(&key, now)?;
                } else if slot.variants().iter().any(|v| !v.is_live(now)) {
                    entries = entries.saturating_add(self.shared.sweep(&key, now)?);
                }
            }
        }
        self.shared.leases.sweep(now);
        let bodies = self.shared.transit.sweep(now);
        self.shared.records.run_pending_tasks();
        Ok(Swept::new(entries, bodies))
    }
}

#[async_trait]
impl Tags for MemoryStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        self.shared.removals.purge(tags);
        let mut removed = 0_u64;
        let mut pages = pin!(self.pages());
        while let Some(page) = pages.next().await {
            for (key, slot) in page {
                if slot.variants().iter().any(|v| v.tags.iter().any(|tag| tags.contains(tag))) {
                    removed = removed.saturating_add(self.shared.purge(&key, tags, now)?);
                }
            }
        }
        Ok(removed)
    }
}

#[async_trait]
impl Touch for MemoryStorage {
    /// To what evicts, a lookup is a use by itself; this tells it of those that were answered elsewhere, and counts all.
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        for used in uses {
            if let Some(slot) = self.shared.records.get(&used.key) {
                slot.count_use(used.variant);
            }
        }
        Ok(())
    }
}

/// Lets other tasks of this thread run, on any runtime.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
