//! The abilities of the reference.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::*;
use futures_util::{FutureExt as _, stream};
use tokio::task::yield_now;

use crate::{
    fault::Fault,
    reference::{Reference, Space},
};

const ANY: TagDigest = TagDigest::from_bytes([b'*'; 16]);

impl Whole for Reference {
    fn whole(&self, _key: &CacheKey, _body: BodyId) -> Option<bytes::Bytes> {
        Some(bytes::Bytes::from_static(b"another's"))
    }
}

#[async_trait]
impl Leases for Reference {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        self.reach(1, 1).await?;
        yield_now().await;
        let token = *BodyId::random()?.as_bytes();
        Ok(self.with(|space| {
            if let Some(until) = space.uncacheable.get(key).copied().filter(|until| now < *until) {
                return Acquired::Uncacheable { until };
            }
            match space.leases.get(key) {
                Some((_, until)) if now < *until => Acquired::Busy { until: *until },
                _ => {
                    let lease = Lease { key: *key, token };
                    space.leases.insert(*key, (lease.clone(), now + ttl));
                    Acquired::Held(lease)
                }
            }
        }))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        self.reach(1, 1).await?;
        Ok(self.with(|space| match space.leases.get_mut(&lease.key) {
            Some((held, until)) if held == lease && now < *until => {
                *until = now + ttl;
                true
            }
            _ => false,
        }))
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        self.reach(1, 1).await?;
        self.with(|space| {
            let held =
                space.leases.get(&lease.key).is_some_and(|(held, until)| held == lease && now < *until);
            if held || self.has(Fault::ReleasesAnyLease) {
                space.leases.remove(&lease.key);
                if let Outcome::Uncacheable(time) = outcome
                    && !self.has(Fault::ForgetsUncacheable)
                {
                    space.uncacheable.insert(lease.key, now + time);
                }
            }
        });
        Ok(())
    }
}

#[async_trait]
impl Tags for Reference {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        self.reach(1, 1).await?;
        yield_now().await;
        let purged = self.with(|space| {
            // One epoch for all: it refuses more than it must.
            let at_once = !self.has(Fault::PurgesInTwoSteps);
            if at_once && !tags.is_empty() && !self.has(Fault::PurgeForgets) {
                space.epoch = Epoch::random()?;
            }
            let mut total = 0;
            let mut gone = Vec::new();
            for record in space.records.values_mut() {
                let every: Vec<_> = record.variants().iter().flat_map(|v| v.tags.iter().copied()).collect();
                let tags =
                    if self.has(Fault::TagsMatchPatterns) && tags.contains(&ANY) { &every } else { tags };
                let (count, bodies) = record.purge(tags, now, &self.limits)?;
                total += count;
                gone.extend(bodies);
            }
            space.retire(&gone, self.grace_from(now));
            Ok(total)
        });
        if self.has(Fault::PurgesInTwoSteps) {
            yield_now().await;
            let epoch = Epoch::random()?;
            self.with(|space| space.epoch = epoch);
        }
        self.tell_purged(tags);
        purged
    }
}

impl Reference {
    fn uses(&self, space: &Space, key: CacheKey, variant: &Variant) -> u64 {
        match space.uses.get(&(key, variant.id)) {
            Some((body, count)) if *body == variant.version.body || self.has(Fault::CountsOn) => *count,
            _ => 0,
        }
    }

    fn found(&self, space: &Space, filter: &Filter, now: SystemTime) -> Vec<Found> {
        let all = space.records.iter().flat_map(|(key, r)| r.variants().iter().map(|v| (*key, v)));
        let live = all.filter(|(_, v)| v.is_live(now) || self.has(Fault::ListsDead));
        let any = self.has(Fault::TagsMatchPatterns) && filter.tag == Some(ANY);
        let some = live.filter(|(_, v)| any || filter.matches(&v.tags, v.stored_at));
        let untold = self.has(Fault::CountsUntagged) && filter.tag.is_some();
        let uses = |key, v: &Variant| if untold { 0 } else { self.uses(space, key, v) };
        let mut found: Vec<_> =
            some.map(|(key, v)| Found::new(key, v).with_uses(Some(uses(key, v)))).collect();
        if self.has(Fault::ListsAPage) {
            found.truncate(1000);
        }
        if self.has(Fault::ListsTwice) && found.len() > 100 {
            found.extend(found.first().cloned());
        }
        found
    }
}

#[async_trait]
impl Listing for Reference {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let filter = filter.clone();
        let listed = async move {
            match self.reach(1, 1).await {
                Ok(()) => self.with(|space| self.found(space, &filter, now)).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        Box::pin(listed.map(stream::iter).flatten_stream())
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        self.reach(1, 1).await?;
        Ok(self.with(|space| {
            let found = self.found(space, filter, now);
            let bytes = found.iter().map(|f| f.len).sum();
            let pending = space.bodies.values().filter(|kept| !kept.used).count();
            let more = if self.has(Fault::CountsPending) { pending as u64 } else { 0 };
            Totals::new(found.len() as u64 + more, bytes)
        }))
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        self.reach(1, 1).await?;
        yield_now().await;
        let clear = |space: &mut Space| {
            space.epoch = Epoch::random()?;
            let mut total = 0;
            let mut gone = Vec::new();
            let page = if self.has(Fault::ClearsAPage) { 1000 } else { usize::MAX };
            for record in space.records.values_mut().take(page) {
                let (count, bodies) = record.remove(None, now, &self.limits)?;
                total += count;
                gone.extend(bodies);
            }
            space.retire(&gone, self.grace_from(now));
            Ok(total)
        };
        if self.has(Fault::ClearsByPrefix) {
            let mut total = 0;
            for (namespace, space) in self.world.spaces().iter_mut() {
                if namespace.as_str().starts_with(self.namespace().as_str()) {
                    total += clear(space)?;
                }
            }
            return Ok(total);
        }
        let cleared = self.with(clear);
        self.tell_removed(&Event::Cleared);
        cleared
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.reach(1, 1).await?;
        yield_now().await;
        if self.has(Fault::SweepsInTwoSteps) {
            let late = |space: &mut Space| {
                let late = space.bodies.iter().filter(|(_, kept)| kept.drop_at <= now);
                late.map(|(id, _)| *id).collect::<Vec<_>>()
            };
            let late = self.with(late);
            yield_now().await;
            self.with(|space| space.bodies.retain(|id, _| !late.contains(id)));
        }
        Ok(self.with(|space| {
            let mut entries = 0;
            for record in space.records.values_mut() {
                entries += record.sweep(now).0;
            }
            if self.has(Fault::SweepsTombstones) {
                space.epoch = Epoch::NONE;
                space.records.retain(|_, record| !record.variants().is_empty());
            }
            space.records.retain(|_, record| record.dead_at().is_some());
            let before = space.bodies.len();
            let pending_too = self.has(Fault::SweepsPending);
            let orphans_stay = self.has(Fault::LeavesOrphans);
            space.bodies.retain(|_, kept| {
                (now < kept.drop_at && (kept.used || !pending_too)) || (orphans_stay && !kept.used)
            });
            Swept::new(entries, (before - space.bodies.len()) as u64)
        }))
    }
}

#[async_trait]
impl Touch for Reference {
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        self.reach(1, 1).await?;
        let known = self.with(|space| uses.iter().all(|u| space.records.contains_key(&u.key)));
        if !known && self.has(Fault::TouchFails) {
            return Err(Error::new(ErrorKind::Other, "touch"));
        }
        let read = self.has(Fault::CountsInTwoSteps).then(|| self.with(|space| space.uses.clone()));
        if read.is_some() {
            yield_now().await;
        }
        let mut counted = Vec::new();
        self.with(|space| {
            if let Some(read) = read {
                space.uses = read;
            }
            for used in uses {
                let name = (used.key, used.variant);
                let record = space.records.get(&used.key);
                let Some(variant) = record.and_then(|r| r.variants().iter().find(|v| v.id == used.variant))
                else {
                    continue;
                };
                if !(self.has(Fault::CountsOnce) && counted.contains(&name)) {
                    let count = self.uses(space, used.key, variant) + 1;
                    let body = variant.version.body;
                    space.uses.insert(name, (body, count));
                    counted.push(name);
                }
            }
        });
        Ok(())
    }
}
