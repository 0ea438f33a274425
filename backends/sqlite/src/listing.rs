use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Filter, Found, FoundStream, Listing, Result, Swept, Totals};
use futures_util::stream;
use sqlx::sqlite::SqliteRow;

use crate::{
    SqliteStorage,
    row::{self, HEAD_MAX, Query, get, nanos, signed, total, transaction, unsigned},
    storage::Inner,
};

/// How many entries one page of a listing holds.
const PAGE: usize = 64;

/// The column of the last use, after those of a lookup.
const USED_AT: usize = 14;

/// The column of how many uses there were.
const USES: usize = 15;

/// The columns of a page, which are those of a lookup; an inline body is none of them.
macro_rules! page {
    ($from:literal) => {
        concat!(
            "SELECT r.key, v.id,
                v.variant, v.body, v.heads, v.stored, v.frames, v.len, v.stored_at, v.dead_at, v.limit_at,
                iif(length(v.tags) <= $5, v.tags, NULL), iif(length(c.head) <= $5, c.head, NULL), x'',
                v.used_at, v.uses
            FROM namespace s ",
            $from,
            " LEFT JOIN content c ON c.variant = v.id
            WHERE s.name = $1 AND s.cleared_at IS NULL "
        )
    };
}

/// After the key and the variant of the page before, along the unique indexes.
const LIST: &str = concat!(
    page!(
        "JOIN resource r ON r.namespace = s.id AND r.key >= $6
        JOIN variant v ON v.resource = r.id AND v.dead_at > $2 AND v.stored_at < $3
            AND (r.key > $6 OR v.variant > $7)"
    ),
    "ORDER BY r.key, v.variant LIMIT $4"
);

/// After the row of the page before.
const LIST_TAG: &str = concat!(
    page!(
        "JOIN tag t ON t.namespace = s.id AND t.tag = $6 AND t.variant > $7
        JOIN variant v ON v.id = t.variant AND v.dead_at > $2 AND v.stored_at < $3
        JOIN resource r ON r.id = v.resource"
    ),
    "ORDER BY t.variant LIMIT $4"
);

const COUNT: &str = "
SELECT count(*), sum(v.len) FROM namespace s
JOIN variant v ON v.namespace = s.id AND v.dead_at > $2 AND v.stored_at < $3
WHERE s.name = $1 AND s.cleared_at IS NULL";

const COUNT_TAG: &str = "
SELECT count(*), sum(v.len) FROM namespace s
JOIN tag t ON t.namespace = s.id AND t.tag = $4
JOIN variant v ON v.id = t.variant AND v.dead_at > $2 AND v.stored_at < $3
WHERE s.name = $1 AND s.cleared_at IS NULL";

const CLEAR: &str = transaction!(
    "SELECT count(*) FROM namespace s JOIN variant v ON v.namespace = s.id AND v.dead_at > $2
    WHERE s.name = $1 AND s.cleared_at IS NULL",
    "UPDATE namespace SET cleared_at = $2 WHERE name = $1 AND cleared_at IS NULL",
    "INSERT INTO namespace (name, epoch) VALUES ($1, randomblob(8))",
);

#[async_trait]
impl Listing for SqliteStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let pages = Pages {
            inner: &self.inner,
            filter: filter.clone(),
            now,
            after: Some(After::default()),
            page: VecDeque::new(),
        };
        Box::pin(stream::try_unfold(pages, Pages::next))
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let rows = self.inner.database.read("count", || {
            let (sql, tag) = match filter.tag {
                Some(tag) => (COUNT_TAG, Some(tag.as_bytes().to_vec())),
                None => (COUNT, None),
            };
            let count = self.inner.sql(sql).bind(nanos(now)).bind(stored_before(filter));
            match tag {
                Some(tag) => count.bind(tag),
                None => count,
            }
        });
        let rows = rows.await?;
        Ok(Totals::new(total(&rows, 0), total(&rows, 1)))
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let live = inner.database.run("clear", || inner.sql(CLEAR).bind(nanos(now))).await?;
        // All is out of sight; the rows go now, or with the next sweeps.
        inner.delete_cleared().await;
        Ok(total(&live, 0))
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.inner.sweep(now).await
    }
}

fn stored_before(filter: &Filter) -> i64 {
    filter.stored_before.map_or(i64::MAX, nanos)
}

/// A listing under way: what it holds between two pages is where it stands.
struct Pages<'a> {
    inner: &'a Inner,
    filter: Filter,
    now: SystemTime,
    /// `None` after the last page.
    after: Option<After>,
    page: VecDeque<Found>,
}

#[derive(Clone, Default)]
struct After {
    key: Vec<u8>,
    variant: Vec<u8>,
    row: i64,
}

impl Pages<'_> {
    async fn next(mut self) -> Result<Option<(Found, Self)>> {
        loop {
            if let Some(found) = self.page.pop_front() {
                return Ok(Some((found, self)));
            }
            let Some(after) = self.after.take() else {
                return Ok(None);
            };
            let rows = self.inner.database.read("list", || self.query(&after)).await?;
            if rows.len() == PAGE {
                self.after = rows.last().and_then(position);
            }
            self.page = rows.iter().filter_map(|row| self.found(row)).collect();
        }
    }

    fn query(&self, after: &After) -> Query {
        let sql = if self.filter.tag.is_some() { LIST_TAG } else { LIST };
        let page = self.inner.sql(sql);
        let page = page.bind(nanos(self.now)).bind(stored_before(&self.filter));
        let page = page.bind(signed(PAGE)).bind(signed(HEAD_MAX));
        match self.filter.tag {
            Some(tag) => page.bind(tag.as_bytes().to_vec()).bind(after.row),
            None => page.bind(after.key.clone()).bind(after.variant.clone()),
        }
    }

    fn found(&self, row: &SqliteRow) -> Option<Found> {
        let key = get(row, 0).and_then(|key| CacheKey::try_from_slice(key).ok());
        let found = key.zip(row::variant(row, 2)).map(|(key, variant)| Found::new(key, &variant));
        let used_at = get(row, USED_AT).map(row::time);
        let found = found.map(|found| found.with_used_at(used_at).with_uses(unsigned(row, USES)));
        if found.is_none() {
            let namespace = &self.inner.namespace;
            tracing::warn!(backend = "sqlite", %namespace, row = get::<i64>(row, 1), "a corrupt row is passed over");
        }
        found
    }
}

fn position(row: &SqliteRow) -> Option<After> {
    Some(After { key: get(row, 0)?, row: get(row, 1)?, variant: get(row, 2)? })
}
