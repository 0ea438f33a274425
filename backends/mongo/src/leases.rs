use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};
use mongodb::bson::{Document, doc};

use crate::{
    MongoStorage,
    edit::{TRIES, back_off},
    error::is_duplicate,
    schema::{binary, duration_nanos, nanos, time},
    storage::Inner,
};

#[async_trait]
impl Leases for MongoStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let inner = &*self.inner;
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let mut new = inner.until(ttl, now);
        new.insert("token", binary(&lease.token));
        new.insert("held", true);
        let id = inner.names.resource(key);
        let store = inner.store().await?;
        for tried in 0..TRIES {
            // What another holds is not found, and then not inserted either.
            let free = doc! { "_id": &id, "until": { "$not": { "$gt": nanos(now) } } };
            let take = store.leases.update_one(free, doc! { "$set": new.clone() }).upsert(true);
            match inner.run("acquire", take).await {
                Err(held) if is_duplicate(&held) => {}
                done => return done.map(|_| Acquired::Held(lease)),
            }
            let held = inner.run("acquire", store.leases.find_one(doc! { "_id": &id })).await?;
            if let Some(held) = held
                && let Ok(until) = held.get_i64("until")
                && until > nanos(now)
            {
                let until = time(until);
                let is_held = held.get_bool("held").unwrap_or(true);
                return Ok(if is_held { Acquired::Busy { until } } else { Acquired::Uncacheable { until } });
            }
            back_off(tried).await?;
        }
        Err(inner.contended("acquire"))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let inner = &*self.inner;
        let mut ours = inner.held(lease);
        ours.insert("until", doc! { "$gt": nanos(now) });
        let store = inner.store().await?;
        let extend = store.leases.update_one(ours, doc! { "$set": inner.until(ttl, now) });
        Ok(inner.run("extend", extend).await?.matched_count > 0)
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let inner = &*self.inner;
        let store = inner.store().await?;
        match outcome {
            Outcome::Uncacheable(ttl) => {
                let mut new = inner.until(ttl, now);
                new.insert("held", false);
                let release = store.leases.update_one(inner.held(lease), doc! { "$set": new });
                inner.run("release", release).await.map(drop)
            }
            _ => inner.run("release", store.leases.delete_one(inner.held(lease))).await.map(drop),
        }
    }
}

impl Inner {
    /// The lease, as long as it is this holder's.
    fn held(&self, lease: &Lease) -> Document {
        doc! { "_id": self.names.resource(&lease.key), "token": binary(&lease.token), "held": true }
    }

    /// Until when, and when the server drops it.
    fn until(&self, ttl: Duration, now: SystemTime) -> Document {
        let until = nanos(now).saturating_add(duration_nanos(ttl));
        doc! { "until": until, "gone": self.times.retired_gone(until) }
    }
}
