use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};
use sqlx::sqlite::SqliteRow;

use crate::{
    SqliteStorage,
    row::{Query, duration_nanos, get, nanos, time, transaction},
    storage::Inner,
};

const STATE: &str = "
SELECT l.until, l.uncacheable_until FROM namespace s JOIN lease l ON l.namespace = s.id AND l.key = $2
WHERE s.name = $1 AND s.cleared_at IS NULL";

/// Only over one that has ended.
const ACQUIRE: &str = transaction!(
    "INSERT INTO lease (namespace, key, token, until, uncacheable_until)
    SELECT id, $2, $3, $4, $5 FROM namespace WHERE name = $1 AND cleared_at IS NULL
    ON CONFLICT (namespace, key) DO UPDATE
    SET token = excluded.token, until = excluded.until, uncacheable_until = excluded.uncacheable_until
    WHERE until <= $5 AND uncacheable_until <= $5",
    "SELECT l.until, l.uncacheable_until, l.token = $3
    FROM namespace s JOIN lease l ON l.namespace = s.id AND l.key = $2
    WHERE s.name = $1 AND s.cleared_at IS NULL",
);

const EXTEND: &str = transaction!(
    "UPDATE lease SET until = $4 WHERE key = $2 AND token = $3 AND until > $5
        AND namespace = (SELECT id FROM namespace WHERE name = $1 AND cleared_at IS NULL)
    RETURNING 1",
);

const RELEASE: &str = transaction!(
    "DELETE FROM lease WHERE key = $2 AND token = $3
        AND namespace = (SELECT id FROM namespace WHERE name = $1 AND cleared_at IS NULL)",
);

const RELEASE_UNCACHEABLE: &str = transaction!(
    "UPDATE lease SET until = $4, uncacheable_until = $5, token = zeroblob(16) WHERE key = $2 AND token = $3
        AND namespace = (SELECT id FROM namespace WHERE name = $1 AND cleared_at IS NULL)",
);

#[async_trait]
impl Leases for SqliteStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let inner = &*self.inner;
        // Those who wait ask often: they do not queue up among the writers.
        let state = || inner.sql(STATE).bind(key.as_bytes().to_vec());
        if let Some(taken) = taken(&inner.database.read("acquire", state).await?, now) {
            return Ok(taken);
        }
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let acquire = || inner.lease(ACQUIRE, &lease).bind(until(now, ttl)).bind(nanos(now));
        let rows = inner.database.run("acquire", acquire).await?;
        let ours = rows.first().is_none_or(|row| get(row, 2) == Some(1_i64));
        // Where there is no row to take (somebody deleted the namespace's), nobody else has the lease either.
        Ok(taken(&rows, now).filter(|_| !ours).unwrap_or(Acquired::Held(lease)))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let extend = || self.inner.lease(EXTEND, lease).bind(until(now, ttl)).bind(nanos(now));
        Ok(!self.inner.database.run("extend", extend).await?.is_empty())
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let release = || match outcome {
            Outcome::Uncacheable(ttl) => {
                self.inner.lease(RELEASE_UNCACHEABLE, lease).bind(nanos(now)).bind(until(now, ttl))
            }
            _ => self.inner.lease(RELEASE, lease),
        };
        self.inner.database.run("release", release).await.map(drop)
    }
}

impl Inner {
    fn lease(&self, sql: &'static str, lease: &Lease) -> Query {
        self.sql(sql).bind(lease.key.as_bytes().to_vec()).bind(lease.token.to_vec())
    }
}

fn until(now: SystemTime, ttl: Duration) -> i64 {
    nanos(now).saturating_add(duration_nanos(ttl))
}

/// Who has the lease, or what its last holder found.
fn taken(rows: &[SqliteRow], now: SystemTime) -> Option<Acquired> {
    let row = rows.first()?;
    let (until, uncacheable): (i64, i64) = (get(row, 0)?, get(row, 1)?);
    if until > nanos(now) {
        return Some(Acquired::Busy { until: time(until) });
    }
    (uncacheable > nanos(now)).then(|| Acquired::Uncacheable { until: time(uncacheable) })
}
