use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};
use sqlx::sqlite::SqliteRow;

use crate::{
    SqliteStorage,
    row::{Query, duration_nanos, get, nanos, time},
    storage::Inner,
};

const STATE: &str = "
SELECT l.until, l.uncacheable_until FROM namespace s JOIN lease l ON l.namespace = s.id AND l.key = ?2
WHERE s.name = ?1 AND s.cleared_at IS NULL";

/// Only over one that has ended.
const ACQUIRE: &str = "
INSERT INTO lease (namespace, key, token, until, uncacheable_until)
SELECT id, ?2, ?3, ?4, ?5 FROM namespace WHERE name = ?1 AND cleared_at IS NULL
ON CONFLICT (namespace, key) DO UPDATE
SET token = excluded.token, until = excluded.until, uncacheable_until = excluded.uncacheable_until
WHERE until <= ?5 AND uncacheable_until <= ?5";

const EXTEND: &str = "
UPDATE lease SET until = ?4 WHERE key = ?2 AND token = ?3 AND until > ?5
    AND namespace = (SELECT id FROM namespace WHERE name = ?1 AND cleared_at IS NULL)";

const RELEASE: &str = "
DELETE FROM lease WHERE key = ?2 AND token = ?3
    AND namespace = (SELECT id FROM namespace WHERE name = ?1 AND cleared_at IS NULL)";

const RELEASE_UNCACHEABLE: &str = "
UPDATE lease SET until = ?4, uncacheable_until = ?5, token = zeroblob(16) WHERE key = ?2 AND token = ?3
    AND namespace = (SELECT id FROM namespace WHERE name = ?1 AND cleared_at IS NULL)";

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
        let mut write = inner.database.begin("acquire").await?;
        let acquire = inner.lease(ACQUIRE, &lease).bind(until(now, ttl)).bind(nanos(now));
        if write.execute(acquire).await? > 0 {
            write.commit().await?;
            return Ok(Acquired::Held(lease));
        }
        let rows = write.fetch(state()).await?;
        write.commit().await?;
        // Neither ours nor anybody's: a lease that never was held is lost as soon as it is extended.
        Ok(taken(&rows, now).unwrap_or(Acquired::Held(lease)))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let mut write = self.inner.database.begin("extend").await?;
        let extend = self.inner.lease(EXTEND, lease).bind(until(now, ttl)).bind(nanos(now));
        let extended = write.execute(extend).await?;
        write.commit().await?;
        Ok(extended > 0)
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let mut write = self.inner.database.begin("release").await?;
        let release = match outcome {
            Outcome::Uncacheable(ttl) => {
                self.inner.lease(RELEASE_UNCACHEABLE, lease).bind(nanos(now)).bind(until(now, ttl))
            }
            _ => self.inner.lease(RELEASE, lease),
        };
        write.execute(release).await?;
        write.commit().await
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
