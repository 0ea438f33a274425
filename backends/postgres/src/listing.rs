use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Event, Filter, Found, FoundStream, Listing, Result, Swept, Totals};
use futures_util::stream;
use sqlx::postgres::PgRow;

use crate::{
    PostgresStorage,
    connections::Repeat,
    row::{self, HEAD_MAX, Query, get, nanos, signed, total, unsigned},
    storage::Inner,
};

/// How many entries one page of a listing holds.
const PAGE: usize = 64;

/// The column of the last use, after those of a lookup.
const USED_AT: usize = 14;

/// The column of how many uses there were.
const USES: usize = 15;

#[async_trait]
impl Listing for PostgresStorage {
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
        let inner = &*self.inner;
        let count = || {
            let of = |statement| inner.sql(statement).bind(nanos(now)).bind(stored_before(filter));
            match &filter.tag {
                Some(tag) => of(&inner.statements.count_tag).bind(&tag.as_bytes()[..]),
                None => of(&inner.statements.count),
            }
        };
        let rows = inner.run("count", Repeat::Safe, count).await?;
        Ok(Totals::new(total(&rows, 0), total(&rows, 1)))
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let payload = inner.sender.payloads(Event::Cleared).concat();
        let clear = || {
            let clear = inner.sql(&inner.statements.clear).bind(nanos(now));
            clear.bind(&*inner.sender.channel).bind(&payload)
        };
        let live = inner.run("clear", Repeat::Safe, clear).await?;
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
            let rows = self.inner.run("list", Repeat::Safe, || self.query(&after)).await?;
            if rows.len() == PAGE {
                self.after = rows.last().and_then(position);
            }
            self.page = rows.iter().filter_map(|row| self.found(row)).collect();
        }
    }

    fn query<'q>(&'q self, after: &'q After) -> Query<'q> {
        let statements = &self.inner.statements;
        let sql = if self.filter.tag.is_some() { &statements.list_tag } else { &statements.list };
        let page = self.inner.sql(sql);
        let page = page.bind(nanos(self.now)).bind(stored_before(&self.filter));
        let page = page.bind(signed(PAGE)).bind(signed(HEAD_MAX));
        match &self.filter.tag {
            Some(tag) => page.bind(&tag.as_bytes()[..]).bind(after.row),
            None => page.bind(&after.key).bind(&after.variant),
        }
    }

    fn found(&self, row: &PgRow) -> Option<Found> {
        let key = get(row, 0).and_then(|key| CacheKey::try_from_slice(key).ok());
        let found = key.zip(row::variant(row, 2)).map(|(key, variant)| Found::new(key, &variant));
        let used_at = get(row, USED_AT).map(row::time);
        let found = found.map(|found| found.with_used_at(used_at).with_uses(unsigned(row, USES)));
        if found.is_none() {
            self.inner.corrupt(None, row, 1);
        }
        found
    }
}

fn position(row: &PgRow) -> Option<After> {
    Some(After { key: get(row, 0)?, row: get(row, 1)?, variant: get(row, 2)? })
}
