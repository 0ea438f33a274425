//! Purging by tag: first the marks, shard by shard, then what has the tags, in pages.
//!
//! In each shard the first script marks the tags: from then on a commit with one of them is refused when its
//! lookup was earlier. Others hear of it when all shards are through, and then the purge is acknowledged.

use std::time::SystemTime;

use async_trait::async_trait;
use cache_api::{Event, Result, TagDigest, Tags};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    RedisStorage,
    reply::{array, number, tag_list, text, unexpected},
    schema::Shard,
    script::{Call, PURGE},
    storage::{Inner, MARKS_MAX},
};

/// How many entries one script purges.
const PAGE: u64 = 64;

/// How many tags one script marks.
const TAGS_AT_ONCE: usize = 128;

/// How many shards are asked at a time: each is one script, and others want their turn.
pub(crate) const SHARDS_AT_ONCE: usize = 16;

#[async_trait]
impl Tags for RedisStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let mut purged = 0;
        for part in tags.chunks(TAGS_AT_ONCE) {
            let tags = &*tag_list(part);
            let shards = stream::iter(inner.keys.all());
            let live = shards.map(|shard| async move { inner.purge_shard(&shard, tags, now).await });
            let live = live.buffer_unordered(SHARDS_AT_ONCE);
            let live = live.try_fold(0, async |sum, live| Ok(sum + live)).await;
            // Of what a purge that failed has done, too.
            let told = inner.publish("purge", &Event::Purged(part.into())).await;
            purged += live?;
            told?;
        }
        Ok(purged)
    }
}

impl Inner {
    async fn purge_shard(&self, shard: &Shard, tags: &str, now: SystemTime) -> Result<u64> {
        let keys = [shard.state(), shard.index(), shard.tags(), shard.due()];
        let mut purged = 0;
        let (mut first, mut tag, mut after) = ("-1".to_owned(), 0, String::new());
        loop {
            let call = self.shard_call(Call::new(&PURGE, keys.clone()), shard);
            let call = self.times(call, now).arg(self.memory()).arg(MARKS_MAX).arg(PAGE);
            let call = call.arg(tags.to_owned()).arg(first).arg(tag).arg(after);
            let answer = array(self.run(call, "purge").await?);
            purged += number(answer.first()).ok_or_else(|| unexpected("purge"))?;
            if answer.len() == 1 {
                return Ok(purged);
            }
            first = String::from_utf8_lossy(text(answer.get(1))).into_owned();
            tag = number(answer.get(2)).ok_or_else(|| unexpected("purge"))?;
            after = String::from_utf8_lossy(text(answer.get(3))).into_owned();
        }
    }
}
