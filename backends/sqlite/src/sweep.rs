//! Deleting, in batches of bounded size, each a transaction of its own: what is dead, and what is too much.

use std::{sync::atomic::Ordering, time::SystemTime};

use cache_api::{Result, Swept};
use sqlx::query;

use crate::{
    connections::Write,
    row::{duration_nanos, get, nanos, total, unsigned},
    storage::Inner,
};

/// After how many writes one batch is swept in passing.
const EVERY: u32 = 32;

/// How many rows of each table one batch deletes.
const BATCH: i64 = 128;

/// How many frames one batch deletes: 16 MiB of plaintext.
const FRAMES: i64 = 64;

/// How many free pages a write leaves in the file for the next ones: 4 MiB.
const SPARE_PAGES: u64 = 1024;

/// What one batch deleted.
#[derive(Default)]
struct Batch {
    swept: Swept,
    rows: u64,
}

impl Inner {
    /// Deletes all that is dead, and gives the room back to the file system.
    pub(crate) async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        let mut all = Swept::default();
        loop {
            let batch = self.sweep_batch(now).await?;
            all.entries += batch.swept.entries;
            all.bodies += batch.swept.bodies;
            if batch.rows == 0 {
                break;
            }
        }
        while self.shrink(0).await? {}
        if self.database.path().is_some() {
            // The file ends where its log was moved into it; what readers still need is moved later.
            self.database.pragma("sweep", "PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        Ok(all)
    }

    /// Sweeps one batch in passing, now and then. The write before it is done: a failure is only reported.
    pub(crate) async fn after_write(&self, now: SystemTime) {
        if self.writes.fetch_add(1, Ordering::Relaxed) % EVERY != EVERY - 1 {
            return;
        }
        let swept = async {
            self.sweep_batch(now).await?;
            self.shrink(SPARE_PAGES).await
        };
        self.report(swept.await);
    }

    fn report<T>(&self, outcome: Result<T>) {
        if let Err(cause) = outcome {
            let cause: &dyn std::error::Error = &cause;
            tracing::warn!(backend = "sqlite", namespace = %self.namespace, error = cause, "sweeping failed");
        }
    }

    /// Deletes the rows that `clear` put out of sight.
    pub(crate) async fn delete_cleared(&self) {
        loop {
            let batch = async {
                let mut write = self.database.begin("clear").await?;
                let rows = self.sweep_cleared(&mut write).await?;
                write.commit().await?;
                Ok(rows)
            };
            match batch.await {
                Ok(0) => return,
                Ok(_) => {}
                Err(cause) => return self.report::<()>(Err(cause)),
            }
        }
    }

    async fn sweep_batch(&self, now: SystemTime) -> Result<Batch> {
        let mut batch = Batch::default();
        let mut write = self.database.begin("sweep").await?;
        let of = |sql| self.sql(sql).bind(nanos(now)).bind(BATCH);
        write.execute(of(RETIRE_DEAD).bind(self.read_grace())).await?;
        batch.swept.entries = write.execute(of(DROP_DEAD)).await?;
        batch.rows += batch.swept.entries;
        batch.rows += self.sweep_cleared(&mut write).await?;
        let oldest = nanos(now).saturating_sub(duration_nanos(self.limits.max_write));
        batch.rows += write.execute(of(RETIRE_PENDING).bind(oldest)).await?;
        let frames = self.sql(DROP_FRAMES).bind(nanos(now)).bind(BATCH).bind(FRAMES);
        batch.rows += write.execute(frames).await?;
        batch.swept.bodies = write.execute(of(DROP_BODIES)).await?;
        batch.rows += batch.swept.bodies;
        for sql in [DROP_TOMBSTONES, END_TOMBSTONES, DROP_TAG_TOMBSTONES, DROP_LEASES] {
            batch.rows += write.execute(of(sql)).await?;
        }
        write.commit().await?;
        Ok(batch)
    }

    /// Deletes what a `clear` left behind. Bodies that were being written go with the other pending ones:
    /// their writers learn from the commit.
    async fn sweep_cleared(&self, write: &mut Write<'_>) -> Result<u64> {
        if write.fetch(self.sql(CLEARED)).await?.is_empty() {
            return Ok(0);
        }
        let of = |sql| self.sql(sql).bind(BATCH);
        write.execute(of(RETIRE_CLEARED).bind(self.read_grace())).await?;
        let mut rows = 0;
        for sql in [DROP_CLEARED, DROP_CLEARED_RESOURCES, DROP_CLEARED_TAGS, DROP_CLEARED_LEASES] {
            rows += write.execute(of(sql)).await?;
        }
        rows += write.execute(self.sql(DROP_NAMESPACES)).await?;
        Ok(rows)
    }

    /// Gives some free pages back, if there are more than `spare`; whether there are still more.
    async fn shrink(&self, spare: u64) -> Result<bool> {
        let mut write = self.database.begin("shrink").await?;
        let free = total(&write.fetch(query("SELECT freelist_count FROM pragma_freelist_count")).await?, 0);
        if free <= spare {
            write.commit().await?;
            return Ok(false);
        }
        write.fetch(query("PRAGMA incremental_vacuum(256)")).await?;
        let left = total(&write.fetch(query("SELECT freelist_count FROM pragma_freelist_count")).await?, 0);
        write.commit().await?;
        // A file that another program laid out without `auto_vacuum` keeps its pages.
        Ok(left > spare && left < free)
    }

    /// Brings the namespace back below its bound, and a little more, so that not each commit must; `kept` is
    /// the row just committed.
    pub(crate) async fn evict(&self, kept: i64, now: SystemTime) {
        let Some(max) = self.max_size else { return };
        let target = max - max / 16;
        loop {
            match self.evict_batch(kept, target, now).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(cause) => return self.report::<()>(Err(cause)),
            }
        }
    }

    /// Whether there is more to evict.
    async fn evict_batch(&self, kept: i64, target: u64, now: SystemTime) -> Result<bool> {
        let mut write = self.database.begin("evict").await?;
        let sizes = write.fetch(self.sql(SIZES)).await?;
        let over = total(&sizes, 0).saturating_sub(target);
        let retired = total(&sizes, 1);
        let mut freed = 0_u64;
        let mut evicted = Vec::new();
        if over > 0 {
            let oldest = write.fetch(self.sql(LEAST_USED).bind(kept).bind(BATCH)).await?;
            for row in &oldest {
                if freed >= over {
                    break;
                }
                freed = freed.saturating_add(unsigned(row, 1).unwrap_or(0));
                evicted.extend(get::<i64>(row, 0));
            }
            self.drop_variants(&mut write, &evicted, self.gone_at(now)).await?;
        }
        // What was retired keeps its grace, unless it takes a quarter of the bound.
        let mut hastened = 0;
        if retired > target / 4 {
            write.execute(self.sql(HASTEN).bind(nanos(now)).bind(BATCH / 8)).await?;
            let frames = self.sql(DROP_FRAMES).bind(nanos(now)).bind(BATCH).bind(FRAMES);
            hastened += write.execute(frames).await?;
            hastened += write.execute(self.sql(DROP_BODIES).bind(nanos(now)).bind(BATCH)).await?;
        }
        write.commit().await?;
        Ok(hastened > 0 || (freed < over && !evicted.is_empty()))
    }
}

const RETIRE_DEAD: &str = "
UPDATE body SET gone_at = dead.dead_at + $4
FROM (SELECT v.stored, v.dead_at FROM namespace s
    JOIN variant v ON v.namespace = s.id AND v.dead_at <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL ORDER BY v.dead_at, v.id LIMIT $3) dead
WHERE body.id = dead.stored AND body.gone_at IS NULL";

const DROP_DEAD: &str = "
DELETE FROM variant WHERE id IN (SELECT v.id FROM namespace s
    JOIN variant v ON v.namespace = s.id AND v.dead_at <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL ORDER BY v.dead_at, v.id LIMIT $3)";

const RETIRE_PENDING: &str = "
UPDATE body SET gone_at = $2 WHERE id IN (SELECT b.id FROM namespace s
    JOIN body b ON b.namespace = s.id AND b.committed = 0 AND b.gone_at IS NULL AND b.began_at < $4
    WHERE s.name = $1 LIMIT $3)";

/// Both look at the same bodies: those first to go.
const DROP_FRAMES: &str = "
DELETE FROM frame WHERE rowid IN (
    SELECT f.rowid FROM (SELECT b.id FROM namespace s
        JOIN body b ON b.namespace = s.id AND b.gone_at <= $2
        WHERE s.name = $1 ORDER BY b.gone_at, b.id LIMIT $3) gone
    JOIN frame f ON f.body = gone.id LIMIT $4)";

const DROP_BODIES: &str = "
DELETE FROM body WHERE id IN (
    SELECT gone.id FROM (SELECT b.id FROM namespace s
        JOIN body b ON b.namespace = s.id AND b.gone_at <= $2
        WHERE s.name = $1 ORDER BY b.gone_at, b.id LIMIT $3) gone
    WHERE NOT EXISTS (SELECT 1 FROM frame WHERE body = gone.id))";

const DROP_TOMBSTONES: &str = "
DELETE FROM resource WHERE id IN (SELECT r.id FROM namespace s
    JOIN resource r ON r.namespace = s.id AND r.tombstone_until <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM variant WHERE resource = r.id) LIMIT $3)";

const END_TOMBSTONES: &str = "
UPDATE resource SET tombstone_until = NULL WHERE id IN (SELECT r.id FROM namespace s
    JOIN resource r ON r.namespace = s.id AND r.tombstone_until <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL
        AND EXISTS (SELECT 1 FROM variant WHERE resource = r.id) LIMIT $3)";

const DROP_TAG_TOMBSTONES: &str = "
DELETE FROM tag_tombstone WHERE (namespace, tag) IN (SELECT t.namespace, t.tag FROM namespace s
    JOIN tag_tombstone t ON t.namespace = s.id AND t.until <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL LIMIT $3)";

const DROP_LEASES: &str = "
DELETE FROM lease WHERE (namespace, key) IN (SELECT l.namespace, l.key FROM namespace s
    JOIN lease l ON l.namespace = s.id AND l.until <= $2 AND l.uncacheable_until <= $2
    WHERE s.name = $1 AND s.cleared_at IS NULL LIMIT $3)";

const CLEARED: &str = "
SELECT id FROM namespace WHERE name = $1 AND cleared_at IS NOT NULL LIMIT 1";

const RETIRE_CLEARED: &str = "
UPDATE body SET gone_at = gone.cleared_at + $3
FROM (SELECT v.stored, s.cleared_at FROM namespace s JOIN variant v ON v.namespace = s.id
    WHERE s.name = $1 AND s.cleared_at IS NOT NULL ORDER BY s.id, v.dead_at, v.id LIMIT $2) gone
WHERE body.id = gone.stored AND body.gone_at IS NULL";

const DROP_CLEARED: &str = "
DELETE FROM variant WHERE id IN (SELECT v.id FROM namespace s JOIN variant v ON v.namespace = s.id
    WHERE s.name = $1 AND s.cleared_at IS NOT NULL ORDER BY s.id, v.dead_at, v.id LIMIT $2)";

const DROP_CLEARED_RESOURCES: &str = "
DELETE FROM resource WHERE id IN (SELECT r.id FROM namespace s JOIN resource r ON r.namespace = s.id
    WHERE s.name = $1 AND s.cleared_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM variant WHERE resource = r.id) LIMIT $2)";

const DROP_CLEARED_TAGS: &str = "
DELETE FROM tag_tombstone WHERE (namespace, tag) IN (SELECT t.namespace, t.tag FROM namespace s
    JOIN tag_tombstone t ON t.namespace = s.id
    WHERE s.name = $1 AND s.cleared_at IS NOT NULL LIMIT $2)";

const DROP_CLEARED_LEASES: &str = "
DELETE FROM lease WHERE (namespace, key) IN (SELECT l.namespace, l.key FROM namespace s
    JOIN lease l ON l.namespace = s.id
    WHERE s.name = $1 AND s.cleared_at IS NOT NULL LIMIT $2)";

/// Those of which nothing is left.
const DROP_NAMESPACES: &str = "
DELETE FROM namespace AS s WHERE name = $1 AND cleared_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM variant v WHERE v.namespace = s.id)
    AND NOT EXISTS (SELECT 1 FROM resource r WHERE r.namespace = s.id)
    AND NOT EXISTS (SELECT 1 FROM tag_tombstone t WHERE t.namespace = s.id)
    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.namespace = s.id)
    AND NOT EXISTS (SELECT 1 FROM body b WHERE b.namespace = s.id AND b.committed = 0 AND b.gone_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM body b WHERE b.namespace = s.id AND b.gone_at IS NOT NULL)";

const SIZES: &str = "SELECT live, retired FROM namespace WHERE name = $1 AND cleared_at IS NULL";

const LEAST_USED: &str = "
SELECT v.id, v.size FROM namespace s JOIN variant v ON v.namespace = s.id AND v.id <> $2
WHERE s.name = $1 AND s.cleared_at IS NULL ORDER BY v.used_at, v.id LIMIT $3";

const HASTEN: &str = "
UPDATE body SET gone_at = $2 WHERE gone_at > $2 AND id IN (SELECT b.id FROM namespace s
    JOIN body b ON b.namespace = s.id AND b.gone_at IS NOT NULL
    WHERE s.name = $1 AND s.cleared_at IS NULL ORDER BY b.gone_at, b.id LIMIT $3)";
