//! Purging by tag: first the marks, then all that is in the tags' indexes.
//!
//! A commit registers first and looks for marks afterwards. So either it sees the mark, or the purge sees its
//! registration, and writes its record before the purge is acknowledged: then the commit finds another record than it
//! read, and looks again.

use std::{collections::HashSet, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Generation, Result, TagDigest, Tags};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    DynamoDbStorage, attribute::whole, listing::registered, request::AT_ONCE, schema::TAG_SHARDS,
    storage::Inner,
};

/// How many registrations a page of an index has.
const PAGE: i32 = 500;

#[async_trait]
impl Tags for DynamoDbStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let (inner, now) = (&*self.inner, whole(now));
        let mut seen = HashSet::new();
        let tags: &[TagDigest] = &tags.iter().copied().filter(|tag| seen.insert(*tag)).collect::<Vec<_>>();
        let mark = *Generation::random()?.as_bytes();
        let places: Vec<_> = tags.iter().map(|tag| inner.keys.purged(tag)).collect();
        let marks =
            stream::iter(places).map(|place| inner.mark("purge", place, mark, now)).buffer_unordered(AT_ONCE);
        marks.try_collect::<()>().await?;
        let shards: Vec<String> =
            tags.iter().flat_map(|tag| (0..TAG_SHARDS).map(|shard| inner.keys.tag(tag, shard))).collect();
        let purged = stream::iter(shards).map(|shard| inner.purge_shard(shard, tags, now));
        let purged = purged.buffer_unordered(4).try_fold(0, async |sum, gone| Ok(sum + gone)).await?;
        // Not before: a ticket issued until now may have seen what is gone by now.
        inner.known.learn(mark);
        Ok(purged)
    }
}

impl Inner {
    async fn purge_shard(&self, shard: String, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let one = |key: CacheKey| async move { self.purge_one(&key, tags, now).await };
        self.for_each("purge", &shard, now, one).await
    }

    /// Does that to each resource of an index whose registration still counts.
    pub(crate) async fn for_each<F>(
        &self,
        operation: &'static str,
        shard: &str,
        now: SystemTime,
        one: impl Fn(CacheKey) -> F,
    ) -> Result<u64>
    where
        F: Future<Output = Result<u64>> + Send,
    {
        let (mut gone, mut from) = (0, None);
        loop {
            let page = self.page(operation, shard, from, Some(PAGE)).await?;
            let keys: Vec<CacheKey> = page.items.iter().filter_map(|item| registered(item, now)).collect();
            let each = stream::iter(keys).map(&one).buffer_unordered(AT_ONCE);
            gone += each.try_fold(0, async |sum, gone| Ok(sum + gone)).await?;
            from = page.next;
            if from.is_none() {
                return Ok(gone);
            }
        }
    }
}
