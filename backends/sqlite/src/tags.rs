//! Purging by tag.
//!
//! The first transaction counts the namespace's purges up and leaves that number at each tag: from then on a
//! commit with such a tag is refused when its lookup saw a lower one. The entries go in batches, the first of
//! them in that same transaction.

use std::time::SystemTime;

use async_trait::async_trait;
use cache_api::{Result, TagDigest, Tags};
use sqlx::query;

use crate::{
    SqliteStorage,
    connections::Write,
    row::{get, nanos, signed, tag_set},
    storage::Inner,
};

/// How many variants one transaction purges.
const BATCH: usize = 256;

const COUNT_UP: &str = "
UPDATE namespace SET purges = purges + 1 WHERE name = $1 AND cleared_at IS NULL
RETURNING id, purges, (SELECT seq FROM sqlite_sequence WHERE name = 'variant')";

const TOMBSTONES: &str = "
INSERT INTO tag_tombstone (namespace, tag, purge, until)
SELECT $1, unhex(value), $2, $3 FROM json_each($4) WHERE true
ON CONFLICT (namespace, tag) DO UPDATE SET purge = excluded.purge, until = max(until, excluded.until)";

/// Variants that were there when the purge began; later ones saw it.
const TAGGED: &str = "
SELECT DISTINCT t.variant, v.dead_at > $4 FROM tag t JOIN variant v ON v.id = t.variant
WHERE t.namespace = $1 AND t.tag IN (SELECT unhex(value) FROM json_each($2)) AND t.variant <= $3
LIMIT $5";

const ENTOMB: &str = "
UPDATE resource SET generation = randomblob(16), tombstone_until = $2
WHERE id IN (SELECT resource FROM variant WHERE id IN (SELECT value FROM json_each($1)))";

#[async_trait]
impl Tags for SqliteStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        if tags.is_empty() {
            return Ok(0);
        }
        let inner = &*self.inner;
        let set = tag_set(tags);
        let mut write = inner.database.begin("purge").await?;
        let counted = write.fetch(inner.sql(COUNT_UP)).await?;
        let Some(row) = counted.first() else {
            write.commit().await?;
            return Ok(0);
        };
        let (namespace, number): (i64, i64) = (get(row, 0).unwrap_or(0), get(row, 1).unwrap_or(i64::MAX));
        let last: i64 = get(row, 2).unwrap_or(0);
        let until = inner.tombstone_until(now);
        let tombstones = query(TOMBSTONES).bind(namespace).bind(number).bind(until).bind(set.clone());
        write.execute(tombstones).await?;
        let mut purged = 0;
        loop {
            let batch = inner.purge_batch(&mut write, namespace, &set, last, now).await?;
            write.commit().await?;
            purged += batch.live;
            if batch.all < BATCH {
                break;
            }
            write = inner.database.begin("purge").await?;
        }
        inner.after_write(now).await;
        Ok(purged)
    }
}

struct Batch {
    all: usize,
    live: u64,
}

impl Inner {
    async fn purge_batch(
        &self,
        write: &mut Write<'_>,
        namespace: i64,
        set: &str,
        last: i64,
        now: SystemTime,
    ) -> Result<Batch> {
        let tagged = query(TAGGED).bind(namespace).bind(set.to_owned()).bind(last).bind(nanos(now));
        let rows = write.fetch(tagged.bind(signed(BATCH))).await?;
        let variants: Vec<i64> = rows.iter().filter_map(|row| get(row, 0)).collect();
        let live = rows.iter().filter(|row| get(row, 1) == Some(1_i64)).count() as u64;
        if !variants.is_empty() {
            let entomb = query(ENTOMB).bind(id_set(&variants)).bind(self.tombstone_until(now));
            write.execute(entomb).await?;
            self.drop_variants(write, &variants, self.gone_at(now)).await?;
        }
        Ok(Batch { all: rows.len(), live })
    }

    /// Deletes variants; their stored bodies stay readable until `gone_at`.
    pub(crate) async fn drop_variants(
        &self,
        write: &mut Write<'_>,
        variants: &[i64],
        gone_at: i64,
    ) -> Result<()> {
        let set = id_set(variants);
        write.execute(query(RETIRE).bind(set.clone()).bind(gone_at)).await?;
        write.execute(query(DROP).bind(set)).await?;
        Ok(())
    }
}

const RETIRE: &str = "
UPDATE body SET gone_at = $2 WHERE gone_at IS NULL AND id IN (
    SELECT stored FROM variant WHERE id IN (SELECT value FROM json_each($1)) AND stored IS NOT NULL)";

const DROP: &str = "DELETE FROM variant WHERE id IN (SELECT value FROM json_each($1))";

/// A JSON array of row ids, bound as one parameter.
fn id_set(rows: &[i64]) -> String {
    let ids: Vec<_> = rows.iter().map(i64::to_string).collect();
    format!("[{}]", ids.join(","))
}
