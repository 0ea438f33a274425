//! Looking: a stream of entries, counts, one resource.

use std::{future::ready, pin::Pin, time::SystemTime};

use cache_api::{CacheKey, Found, Result, Totals};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};

use crate::{
    Admin, EntryFilter, EntryInfo, Progress, Run, State, Target,
    progress::{Fate, Tally},
};

/// The stream that [`Admin::entries`] returns.
pub type EntryStream<'a> = Pin<Box<dyn Stream<Item = Result<EntryInfo>> + Send + 'a>>;

/// What is stored, by its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Entries that are served without asking the origin.
    pub fresh: Totals,
    /// Entries within a stale window.
    pub stale: Totals,
    /// Entries that are used after validation only.
    pub expired: Totals,
    /// Entries whose heads cannot be read.
    pub invalid: Totals,
}

impl Summary {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> Totals {
        [self.fresh, self.stale, self.expired, self.invalid].into_iter().fold(Totals::default(), sum)
    }

    /// Counts one more entry.
    pub fn add(&mut self, entry: &EntryInfo) {
        let totals = match entry.state {
            State::Fresh => &mut self.fresh,
            State::Stale => &mut self.stale,
            State::Expired => &mut self.expired,
            State::Invalid => &mut self.invalid,
        };
        *totals = sum(*totals, Totals::new(1, entry.len));
    }
}

impl Admin {
    /// The live entries that the filter wants, in no order, without their bodies. An entry that stands throughout is
    /// listed once; one stored or removed meanwhile may be or not.
    ///
    /// The store is asked page by page, as the stream is read, and nothing is held in it between two pages.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](cache_api::ErrorKind::Config) where the storage has no listing. The stream itself ends with
    /// an error when the store cannot be read, or the serializer fails otherwise than by damaged bytes.
    pub fn entries(&self, filter: &EntryFilter) -> Result<EntryStream<'_>> {
        let (entries, wanted) = (self.looked_at(filter)?, filter.clone());
        Ok(Box::pin(entries.try_filter(move |entry| ready(wanted.wants(entry)))))
    }

    /// How many live entries the filter wants, and the plaintext bytes of their bodies. Where it names no more than a tag
    /// and times the store counts by itself; otherwise each head is read.
    ///
    /// # Errors
    /// As [`entries`](Admin::entries).
    pub async fn count(&self, filter: &EntryFilter) -> Result<Totals> {
        if filter.is_pushed() {
            let now = self.now();
            return self.listing()?.count(&filter.pushed(now), now).await;
        }
        Ok(self.summary(filter, Run::new()).await?.total())
    }

    /// How many live entries the filter wants, and the plaintext bytes of their bodies, by state. Each head is read.
    ///
    /// # Errors
    /// As [`entries`](Admin::entries).
    pub async fn summary(&self, filter: &EntryFilter, run: Run<'_>) -> Result<Summary> {
        let tally = Tally::begin(self, filter, run).await?;
        let mut entries = self.looked_at(filter)?;
        let mut summary = Summary::default();
        while let Some(entry) = entries.try_next().await? {
            tally.saw();
            if filter.wants(&entry) {
                summary.add(&entry);
                tally.bytes(entry.len);
                tally.ended(if entry.state == State::Invalid { Fate::Invalid } else { Fate::Done });
            }
        }
        Ok(summary)
    }

    /// The live variants that are stored of a resource; none where a request for it would pass the cache.
    ///
    /// # Errors
    /// When the store cannot be read, no key can be made, or the serializer fails otherwise than by damaged bytes.
    pub async fn get(&self, target: &Target) -> Result<Vec<EntryInfo>> {
        match self.key_of(target).await? {
            Some(key) => self.get_key(&key).await,
            None => Ok(Vec::new()),
        }
    }

    /// The same by the resource's key.
    ///
    /// # Errors
    /// As [`get`](Admin::get).
    pub async fn get_key(&self, key: &CacheKey) -> Result<Vec<EntryInfo>> {
        let now = self.now();
        let resource = self.storage.lookup(key, now).await?;
        let mut entries = Vec::with_capacity(resource.variants().len());
        for variant in resource.variants() {
            entries.push(EntryInfo::of(self, Found::new(*key, variant), now).await?);
        }
        Ok(entries)
    }

    /// Whether anything readable is stored of a resource, fresh or not.
    ///
    /// # Errors
    /// As [`get`](Admin::get).
    pub async fn contains(&self, target: &Target) -> Result<bool> {
        Ok(self.get(target).await?.iter().any(|entry| entry.state != State::Invalid))
    }

    /// The entries among which the wanted ones are: those that the store's part of the filter finds.
    pub(crate) fn looked_at(&self, filter: &EntryFilter) -> Result<EntryStream<'_>> {
        let now = self.now();
        let (listing, filter) = (self.listing()?, filter.pushed(now));
        let found = async move {
            self.flush().await;
            listing.list(&filter, now)
        };
        Ok(Box::pin(found.flatten_stream().then(move |found| self.judged(found, now))))
    }

    async fn judged(&self, found: Result<Found>, now: SystemTime) -> Result<EntryInfo> {
        EntryInfo::of(self, found?, now).await
    }

    /// Does something to each entry that the filter wants, some at a time.
    pub(crate) async fn for_each<F, Fut>(
        &self,
        filter: &EntryFilter,
        at_once: usize,
        tally: &Tally<'_>,
        work: F,
    ) -> Result<Progress>
    where
        F: Fn(EntryInfo) -> Fut,
        Fut: Future<Output = Result<Fate>>,
    {
        let entries = self.looked_at(filter)?;
        let wanted = entries.try_filter(|entry| {
            tally.saw();
            ready(filter.wants(entry))
        });
        let work = &work;
        wanted
            .try_for_each_concurrent(at_once.max(1), |entry| async move {
                tally.ended(work(entry).await?);
                Ok(())
            })
            .await?;
        Ok(tally.progress())
    }
}

fn sum(a: Totals, b: Totals) -> Totals {
    Totals::new(a.entries.saturating_add(b.entries), a.bytes.saturating_add(b.bytes))
}
