use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};

use crate::{
    PostgresStorage,
    connections::Repeat,
    row::{Query, duration_nanos, get, nanos, time},
    statements::Statement,
    storage::Inner,
};

#[async_trait]
impl Leases for PostgresStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let inner = &*self.inner;
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let acquire =
            || inner.lease(&inner.statements.acquire_lease, &lease).bind(until(now, ttl)).bind(nanos(now));
        let rows = inner.run("acquire", Repeat::Safe, acquire).await?;
        let state = rows.first().and_then(|row| {
            let token: &[u8] = get(row, 0)?;
            Some((token == lease.token, get::<i64>(row, 1)?, get::<i64>(row, 2)?))
        });
        Ok(match state {
            Some((false, until, _)) if until > nanos(now) => Acquired::Busy { until: time(until) },
            Some((false, _, until)) => Acquired::Uncacheable { until: time(until) },
            // Where there is no row to take (somebody deleted the namespace's), nobody else has the lease
            // either.
            _ => Acquired::Held(lease),
        })
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let inner = &*self.inner;
        let extend =
            || inner.lease(&inner.statements.extend_lease, lease).bind(until(now, ttl)).bind(nanos(now));
        Ok(!inner.run("extend", Repeat::Safe, extend).await?.is_empty())
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let inner = &*self.inner;
        let release = || match outcome {
            Outcome::Uncacheable(ttl) => {
                let release = inner.lease(&inner.statements.release_uncacheable, lease);
                release.bind(nanos(now)).bind(until(now, ttl))
            }
            _ => inner.lease(&inner.statements.release_lease, lease),
        };
        inner.run("release", Repeat::Safe, release).await.map(drop)
    }
}

impl Inner {
    fn lease<'q>(&'q self, statement: &Statement, lease: &'q Lease) -> Query<'q> {
        self.sql(statement).bind(&lease.key.as_bytes()[..]).bind(&lease.token[..])
    }
}

fn until(now: SystemTime, ttl: Duration) -> i64 {
    nanos(now).saturating_add(duration_nanos(ttl))
}
