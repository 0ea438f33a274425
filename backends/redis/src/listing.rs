use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Epoch, Event, Filter, Found, FoundStream, Listing, Result, Swept, Totals};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;

use crate::{
    RedisStorage,
    reply::{array, bytes, epoch_parts, millis, number, text, unexpected, variant},
    schema::{SHARDS, Shard, hex, unhex},
    script::{CLEAR, COUNT, Call, LIST, SWEEP},
    storage::Inner,
    tags::SHARDS_AT_ONCE,
};

/// How many entries one page of a listing holds.
const PAGE: u64 = 64;

/// How many entries a script counts, sweeps or clears.
const BATCH: u64 = 128;

#[async_trait]
impl Listing for RedisStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let pages = Pages {
            inner: &self.inner,
            filter: filter.clone(),
            now,
            at: Some((0, String::new())),
            page: VecDeque::new(),
        };
        Box::pin(stream::try_unfold(pages, Pages::next))
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let inner = &*self.inner;
        let shards = stream::iter(inner.keys.all());
        let totals = shards.map(|shard| async move { inner.count_shard(&shard, filter, now).await });
        let totals = totals.buffer_unordered(SHARDS_AT_ONCE);
        let add = async |sum: Totals, more: Totals| {
            Ok(Totals::new(sum.entries + more.entries, sum.bytes.saturating_add(more.bytes)))
        };
        totals.try_fold(Totals::default(), add).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let shards = stream::iter(inner.keys.all());
        let gone = shards.map(|shard| async move { inner.clear_shard(&shard, now).await });
        let gone = gone.buffer_unordered(SHARDS_AT_ONCE);
        let gone = gone.try_fold(0, async |sum, gone| Ok(sum + gone)).await;
        // Of what a clear that failed has done, too.
        let told = inner.publish("clear", &Event::Cleared).await;
        let gone = gone?;
        told.map(|()| gone)
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        let inner = &*self.inner;
        let shards = stream::iter(inner.keys.all());
        let swept = shards.map(|shard| async move { inner.sweep_shard(&shard, now).await });
        let add = async |sum: Swept, more: Swept| {
            Ok(Swept::new(sum.entries + more.entries, sum.bodies + more.bodies))
        };
        swept.buffer_unordered(SHARDS_AT_ONCE).try_fold(Swept::default(), add).await
    }
}

impl Inner {
    fn page(&self, call: Call, shard: &Shard, filter: &Filter, now: SystemTime, size: u64) -> Call {
        call.arg(shard.resources())
            .arg(millis(now))
            .arg(stored_before(filter))
            .arg(size)
            .arg(filter.tag.map(|tag| hex(tag.as_bytes())).unwrap_or_default())
    }

    async fn count_shard(&self, shard: &Shard, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut after = String::new();
        loop {
            let call = Call::new(&COUNT, [shard.state(), shard.index(), shard.tags()]);
            let call = self.page(call, shard, filter, now, BATCH).arg(after);
            let answer = array(self.run(call, "count").await?);
            totals.entries += number(answer.get(1)).ok_or_else(|| unexpected("count"))?;
            totals.bytes = totals.bytes.saturating_add(number(answer.get(2)).unwrap_or(0));
            after = cursor(&answer);
            if after.is_empty() {
                return Ok(totals);
            }
        }
    }

    async fn clear_shard(&self, shard: &Shard, now: SystemTime) -> Result<u64> {
        let keys = [shard.state(), shard.index(), shard.tags(), shard.due(), shard.cleared()];
        let (epoch, _) = epoch_parts(Epoch::random()?);
        let mut gone = 0;
        let mut old = String::new();
        loop {
            let call = self.shard_call(Call::new(&CLEAR, keys.clone()), shard);
            let call = self.times(call, now).arg(self.memory()).arg(BATCH).arg(epoch.clone()).arg(old);
            let answer = array(self.run(call, "clear").await?);
            gone += number(answer.first()).ok_or_else(|| unexpected("clear"))?;
            if answer.len() == 1 {
                return Ok(gone);
            }
            old = String::from_utf8_lossy(text(answer.get(1))).into_owned();
        }
    }

    async fn sweep_shard(&self, shard: &Shard, now: SystemTime) -> Result<Swept> {
        let keys = [shard.state(), shard.index(), shard.tags(), shard.due()];
        let mut swept = Swept::default();
        let mut after = String::new();
        loop {
            let call = self.shard_call(Call::new(&SWEEP, keys.clone()), shard);
            let call = self.times(call, now).arg(self.memory()).arg(BATCH).arg(after);
            let answer = array(self.run(call, "sweep").await?);
            swept.entries += number(answer.get(1)).ok_or_else(|| unexpected("sweep"))?;
            swept.bodies += number(answer.get(2)).unwrap_or(0);
            after = cursor(&answer);
            if after.is_empty() {
                return Ok(swept);
            }
        }
    }
}

/// Where a script's next page begins; empty after the last.
fn cursor(answer: &[Value]) -> String {
    String::from_utf8_lossy(text(answer.first())).into_owned()
}

/// In whole milliseconds, as instants are stored: what was stored within one counts as at its beginning.
fn stored_before(filter: &Filter) -> u64 {
    filter.stored_before.map_or(u64::MAX >> 11, millis)
}

/// A listing under way: what it holds between two pages is where it stands.
struct Pages<'a> {
    inner: &'a Inner,
    filter: Filter,
    now: SystemTime,
    /// The shard, and the name after which it goes on; `None` after the last page.
    at: Option<(u8, String)>,
    page: VecDeque<Found>,
}

impl Pages<'_> {
    async fn next(mut self) -> Result<Option<(Found, Self)>> {
        loop {
            if let Some(found) = self.page.pop_front() {
                return Ok(Some((found, self)));
            }
            let Some((number, after)) = self.at.take() else {
                return Ok(None);
            };
            let after = self.load(&self.inner.keys.shard(number), after).await?;
            self.at = match (after.is_empty(), number) {
                (false, number) => Some((number, after)),
                (true, SHARDS) => None,
                (true, number) => Some((number + 1, String::new())),
            };
        }
    }

    /// Fills the page, and returns after which name the shard goes on.
    async fn load(&mut self, shard: &Shard, after: String) -> Result<String> {
        let call = Call::new(&LIST, [shard.state(), shard.index(), shard.tags()]);
        let call = self.inner.page(call, shard, &self.filter, self.now, PAGE).arg(after);
        let mut answer = array(self.inner.run(call, "list").await?);
        let mut garbage = number(answer.get(1)).ok_or_else(|| unexpected("list"))?;
        for parts in answer.get_mut(2..).unwrap_or_default().chunks_exact_mut(5) {
            match found(parts) {
                Some(found) => self.page.push_back(found),
                None => garbage += 1,
            }
        }
        if garbage > 0 {
            tracing::warn!(
                backend = "redis", namespace = %self.inner.namespace, operation = "list", garbage,
                "values that are not ours, or damaged, are passed over"
            );
        }
        Ok(cursor(&answer))
    }
}

/// One variant of a page.
fn found(parts: &mut [Value]) -> Option<Found> {
    let [key, id, meta, head, uses] = parts else { return None };
    let key = CacheKey::from_bytes(unhex(text(Some(key)))?);
    let head = bytes(head)?;
    // A listing names no bodies: an inline one comes as a stored one.
    let variant = variant(text(Some(id)), text(Some(meta)), head, None)?;
    Some(Found::new(key, &variant).with_uses(number(Some(uses))))
}
