use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Filter, Found, FoundStream, Generation, Listing, Result, Swept, Totals};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    DynamoDbStorage,
    attribute::{Item, count, millis, whole},
    row::Row,
    schema::{EXPIRES, SHARDS, TAG_SHARDS, parts, unhex},
    storage::Inner,
};

/// How many resources one page of a listing reads: their records, of up to 350 KB, lie in memory as a whole.
const PAGE: i32 = 50;

/// How many shards are cleared or swept at a time.
const SHARDS_AT_ONCE: usize = 4;

#[async_trait]
impl Listing for DynamoDbStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let inner = &*self.inner;
        let shards = match &filter.tag {
            Some(tag) => (0..TAG_SHARDS).map(|shard| inner.keys.tag(tag, shard)).collect(),
            None => (0..SHARDS).map(|shard| inner.keys.all(shard)).collect(),
        };
        let pages = Pages { inner, filter: filter.clone(), now, shards, from: None, page: VecDeque::new() };
        Box::pin(stream::try_unfold(pages, Pages::next))
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let add = async |sum: Totals, found: Found| {
            Ok(Totals::new(sum.entries + 1, sum.bytes.saturating_add(found.len)))
        };
        self.list(filter, now).try_fold(Totals::default(), add).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let (inner, now) = (&*self.inner, whole(now));
        let mark = *Generation::random()?.as_bytes();
        let shards = stream::iter(0..SHARDS).map(|shard| inner.clear_shard(shard, mark, now));
        let gone =
            shards.buffer_unordered(SHARDS_AT_ONCE).try_fold(0, async |sum, gone| Ok(sum + gone)).await?;
        // Not before: a ticket issued until now may have seen what is gone by now.
        inner.known.learn(mark);
        Ok(gone)
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.inner.sweep(whole(now)).await
    }
}

impl Inner {
    async fn clear_shard(&self, shard: u8, mark: [u8; 16], now: SystemTime) -> Result<u64> {
        self.mark("clear", self.keys.cleared(shard), mark, now).await?;
        let one = |key: CacheKey| async move { self.clear_one(&key, now).await };
        self.for_each("clear", &self.keys.all(shard), now, one).await
    }
}

/// The resource of a registration that still counts. One that does not is older than any ticket.
pub(crate) fn registered(item: &Item, now: SystemTime) -> Option<CacheKey> {
    if count(item, EXPIRES).is_some_and(|expires| expires.saturating_mul(1000) <= millis(now)) {
        return None;
    }
    key(item)
}

/// The resource of a registration.
pub(crate) fn key(item: &Item) -> Option<CacheKey> {
    unhex(parts(item)?.1).map(CacheKey::from_bytes)
}

/// A listing under way: what it holds between two pages is where it stands.
struct Pages<'a> {
    inner: &'a Inner,
    filter: Filter,
    now: SystemTime,
    /// The first is the one that is read.
    shards: VecDeque<String>,
    from: Option<Item>,
    page: VecDeque<Found>,
}

impl Pages<'_> {
    async fn next(mut self) -> Result<Option<(Found, Self)>> {
        loop {
            if let Some(found) = self.page.pop_front() {
                return Ok(Some((found, self)));
            }
            let Some(shard) = self.shards.front().cloned() else { return Ok(None) };
            let page = self.inner.page("list", &shard, self.from.take(), Some(PAGE)).await?;
            self.load(&page.items).await?;
            self.from = page.next;
            if self.from.is_none() {
                self.shards.pop_front();
            }
        }
    }

    /// Fills the page with what is registered.
    async fn load(&mut self, registrations: &[Item]) -> Result<()> {
        let keys: Vec<CacheKey> =
            registrations.iter().filter_map(|item| registered(item, self.now)).collect();
        let records = keys.iter().map(|key| self.inner.keys.record(key)).collect();
        let mut garbage = 0;
        for item in self.inner.get_all("list", records).await? {
            let Some(key) = record_key(&item) else { continue };
            let row = Row::read(Some(item));
            garbage += row.garbage;
            let variants = row.kept.iter().map(|kept| &kept.variant);
            let matching =
                variants.filter(|v| v.is_live(self.now) && self.filter.matches(&v.tags, v.stored_at));
            self.page.extend(matching.map(|variant| Found::new(key, variant)));
        }
        if garbage > 0 {
            tracing::warn!(
                backend = "dynamodb", namespace = %self.inner.namespace, operation = "list", garbage,
                "values that are not ours, or damaged, are passed over"
            );
        }
        Ok(())
    }
}

/// The resource of a record: the last part of its partition's name.
pub(crate) fn record_key(item: &Item) -> Option<CacheKey> {
    unhex(parts(item)?.0.rsplit(':').next()?).map(CacheKey::from_bytes)
}
