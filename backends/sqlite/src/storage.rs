use std::{
    fmt,
    ops::Range,
    sync::{Arc, atomic::AtomicU32},
    time::SystemTime,
};

use async_trait::async_trait;
use cache_api::{
    Abilities, Body, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Epoch, ErrorKind, Frame,
    Generation, INLINE_TOTAL, InlineBody, Limits, Namespace, Resource, Result, Storage, StoredBody, Ticket,
    Variant, Version,
};
use sqlx::{query, sqlite::SqliteRow};

use crate::{
    SqliteStorageBuilder, bodies, commit,
    connections::Database,
    error::error,
    row::{
        self, HEAD_MAX, INLINE_ENCODED_MAX, Query, duration_nanos, get, nanos, signed, total, transaction,
    },
};

/// One namespace of an SQLite database, in a file or in memory.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqliteStorage {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) database: Arc<Database>,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) max_size: Option<u64>,
    pub(crate) max_entry_size: u64,
    /// Writes since the last sweep in passing.
    pub(crate) writes: AtomicU32,
}

impl SqliteStorage {
    /// Settings to build a storage from.
    pub fn builder() -> SqliteStorageBuilder {
        SqliteStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// Those of [`SqliteStorageBuilder::from_url`] and [`SqliteStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        SqliteStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace of the same database, with the same settings and over the same connections, which
    /// [`close`](Storage::close) on either closes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn in_namespace(&self, namespace: Namespace) -> Result<Self> {
        let Inner { database, limits, max_size, max_entry_size, .. } = &*self.inner;
        let database = Arc::clone(database);
        Self::over(database, namespace, *limits, *max_size, *max_entry_size).with_namespace(true).await
    }

    pub(crate) fn over(
        database: Arc<Database>,
        namespace: Namespace,
        limits: Limits,
        max_size: Option<u64>,
        max_entry_size: u64,
    ) -> Self {
        let writes = AtomicU32::new(0);
        let inner = Inner { database, namespace, limits, max_size, max_entry_size, writes };
        Self { inner: Arc::new(inner) }
    }

    /// Itself, once the database knows the namespace.
    pub(crate) async fn with_namespace(self, create: bool) -> Result<Self> {
        let Inner { database, namespace, .. } = &*self.inner;
        if !database.read("open", || self.inner.sql(NAMESPACE)).await?.is_empty() {
            return Ok(self);
        }
        if !create {
            let message = format!("{} has no namespace {namespace}", database.name());
            return Err(error(ErrorKind::Config, "open").with_message(message));
        }
        let mut write = database.begin("open").await?;
        write.execute(self.inner.sql(NEW_NAMESPACE)).await?;
        write.commit().await?;
        Ok(self)
    }
}

/// The variant with its inline body, if `budget` still holds it, else with one to be read. Commits see to it that
/// it does, by their own clocks.
fn within(budget: &mut u64, mut variant: Variant) -> Variant {
    if let Body::Inline(InlineBody { id, len, .. }) = variant.body {
        match budget.checked_sub(len) {
            Some(rest) => *budget = rest,
            None => variant.body = Body::Stored(StoredBody { id, frames: 1, len, limit: variant.limit }),
        }
    }
    variant
}

/// The row of a namespace, as most statements find it.
const NAMESPACE: &str = "SELECT id FROM namespace WHERE name = $1 AND cleared_at IS NULL";

pub(crate) const NEW_NAMESPACE: &str =
    "INSERT OR IGNORE INTO namespace (name, epoch) VALUES ($1, randomblob(8))";

/// A row for each live variant, one with nothing but the epoch and the generation where there is none. What is
/// larger than any commit writes is not loaded.
///
/// The limit is no parameter: SQLite plans by its value, and prepares a statement anew each time that one is bound.
const LOOKUP: &str = "
SELECT s.epoch, s.purges, r.generation, v.id,
    v.variant, v.body, v.heads, v.stored, v.frames, v.len, v.stored_at, v.dead_at, v.limit_at,
    iif(length(v.tags) <= $4, v.tags, NULL), iif(length(c.head) <= $4, c.head, NULL),
    iif(length(c.inline) <= $5, c.inline, NULL),
    (SELECT count(*) FROM (SELECT 1 FROM variant WHERE resource = r.id AND dead_at > $3 LIMIT 2)) > 1
FROM namespace s
LEFT JOIN resource r ON r.namespace = s.id AND r.key = $2
LEFT JOIN variant v ON v.resource = r.id AND v.dead_at > $3
LEFT JOIN content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL
LIMIT 64";

impl Inner {
    /// A statement whose first parameter is the namespace's name.
    pub(crate) fn sql(&self, sql: &'static str) -> Query {
        query(sql).bind(self.namespace.as_str().to_owned())
    }

    /// When a body that nothing has any more from `now` on may be deleted.
    pub(crate) fn gone_at(&self, now: SystemTime) -> i64 {
        nanos(now).saturating_add(self.read_grace())
    }

    pub(crate) fn read_grace(&self) -> i64 {
        duration_nanos(self.limits.read_grace)
    }

    pub(crate) fn tombstone_until(&self, now: SystemTime) -> i64 {
        nanos(now).saturating_add(duration_nanos(self.limits.tombstone()))
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let lookup = || {
            self.inner
                .sql(LOOKUP)
                .bind(key.as_bytes().to_vec())
                .bind(nanos(now))
                .bind(signed(HEAD_MAX))
                .bind(signed(INLINE_ENCODED_MAX))
        };
        // A resource with one variant or none is one row.
        let complete = |rows: &[SqliteRow]| rows.first().and_then(|row| get(row, 16)) == Some(0_i64);
        let rows = self.inner.database.read_until("lookup", lookup, complete);
        let rows = rows.await?;
        let Some(first) = rows.first() else {
            tracing::warn!(backend = "sqlite", namespace = %self.inner.namespace, "the namespace's row is gone");
            return Ok(Resource::new(*key, Generation::NONE, Epoch::NONE, [], now));
        };
        let epoch = row::epoch(get(first, 0), get(first, 1));
        let generation = row::generation(get(first, 2));
        let mut variants = Vec::with_capacity(rows.len());
        let mut inline = INLINE_TOTAL as u64;
        for row in rows.iter().filter(|row| get::<i64>(row, 3).is_some()) {
            let variant = row::variant(row, 4).map(|variant| within(&mut inline, variant));
            match variant {
                Some(variant) => variants.push(variant),
                None => tracing::warn!(
                    backend = "sqlite", namespace = %self.inner.namespace, %key, row = get::<i64>(row, 3),
                    "a corrupt row is passed over"
                ),
            }
        }
        Ok(Resource::new(*key, generation, epoch, variants, now))
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        bodies::read(&self.inner, key, body, frames).await
    }

    async fn writer(&self, _ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        Ok(Box::new(bodies::Writer::new(Arc::clone(&self.inner), body, now)))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        commit::commit(&self.inner, ticket, &entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        match only {
            Some(version) => self.inner.remove_version(key, version, now).await,
            None => self.inner.remove_resource(key, now).await,
        }
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none().with_leases(self).with_tags(self).with_listing(self).with_touch(self)
    }

    async fn close(&self) -> Result<()> {
        self.inner.database.close().await
    }
}

impl Inner {
    async fn remove_resource(&self, key: &CacheKey, now: SystemTime) -> Result<u64> {
        let remove = || {
            self.sql(REMOVE_RESOURCE)
                .bind(key.as_bytes().to_vec())
                .bind(self.tombstone_until(now))
                .bind(nanos(now))
                .bind(self.gone_at(now))
        };
        let live = self.database.run("remove", remove).await?;
        self.after_write(now).await;
        Ok(total(&live, 0))
    }

    async fn remove_version(&self, key: &CacheKey, version: Version, now: SystemTime) -> Result<u64> {
        let remove = || {
            self.sql(REMOVE_VERSION)
                .bind(key.as_bytes().to_vec())
                .bind(version.body.as_bytes().to_vec())
                .bind(i64::from(version.head))
                .bind(nanos(now))
                .bind(self.gone_at(now))
        };
        let live = self.database.run("remove", remove).await?;
        self.after_write(now).await;
        Ok(total(&live, 0))
    }
}

/// The tombstone comes first: a resource without one goes with its last variant.
const REMOVE_RESOURCE: &str = transaction!(
    "INSERT INTO resource (namespace, key, generation, tombstone_until)
    SELECT id, $2, randomblob(16), $3 FROM namespace WHERE name = $1 AND cleared_at IS NULL
    ON CONFLICT (namespace, key) DO UPDATE
    SET generation = excluded.generation, tombstone_until = excluded.tombstone_until",
    "SELECT count(*) FROM namespace s
    JOIN resource r ON r.namespace = s.id AND r.key = $2
    JOIN variant v ON v.resource = r.id AND v.dead_at > $4
    WHERE s.name = $1 AND s.cleared_at IS NULL",
    "UPDATE body SET gone_at = $5 WHERE gone_at IS NULL AND id IN (
        SELECT v.stored FROM namespace s
        JOIN resource r ON r.namespace = s.id AND r.key = $2
        JOIN variant v ON v.resource = r.id AND v.stored IS NOT NULL
        WHERE s.name = $1 AND s.cleared_at IS NULL)",
    "DELETE FROM variant WHERE resource = (
        SELECT r.id FROM namespace s JOIN resource r ON r.namespace = s.id AND r.key = $2
        WHERE s.name = $1 AND s.cleared_at IS NULL)",
);

const REMOVE_VERSION: &str = transaction!(
    "UPDATE body SET gone_at = $6 WHERE gone_at IS NULL AND id IN (
        SELECT v.stored FROM namespace s
        JOIN resource r ON r.namespace = s.id AND r.key = $2
        JOIN variant v ON v.resource = r.id AND v.body = $3 AND v.heads = $4
        WHERE s.name = $1 AND s.cleared_at IS NULL)",
    "DELETE FROM variant WHERE resource = (
        SELECT r.id FROM namespace s JOIN resource r ON r.namespace = s.id AND r.key = $2
        WHERE s.name = $1 AND s.cleared_at IS NULL) AND body = $3 AND heads = $4
    RETURNING dead_at > $5",
);

impl fmt::Display for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite ({}, namespace {})", self.inner.database.name(), self.inner.namespace)
    }
}

#[cfg(test)]
mod tests {
    use cache_api::MAX_VARIANTS;

    use super::*;

    /// No result tells of it, only the time that a hit takes.
    #[test]
    fn a_lookup_is_planned_once() {
        assert!(LOOKUP.ends_with(&format!("LIMIT {MAX_VARIANTS}")), "{LOOKUP}");
    }
}
