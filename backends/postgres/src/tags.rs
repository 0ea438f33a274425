//! Purging by tag: the purge itself and its first batch are one statement, each further batch is another.

use std::time::SystemTime;

use async_trait::async_trait;
use cache_api::{Event, Result, TagDigest, Tags};

use crate::{
    PostgresStorage,
    connections::Repeat,
    row::{get, nanos, tag_column, unsigned},
};

/// How many resources one transaction purges.
const BATCH: i64 = 256;

#[async_trait]
impl Tags for PostgresStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        if tags.is_empty() {
            return Ok(0);
        }
        let inner = &*self.inner;
        let payloads = inner.sender.payloads(Event::Purged(tags.into()));
        let tags = tag_column(tags);
        let (until, gone_at) = (inner.tombstone_until(now), inner.gone_at(now));
        let mut last: Option<i64> = None;
        let mut purged = 0;
        loop {
            let batch = || {
                let batch = inner.sql(&inner.statements.purge).bind(&tags[..]).bind(until);
                let batch = batch.bind(nanos(now)).bind(gone_at).bind(BATCH).bind(last);
                batch.bind(&*inner.sender.channel).bind(&payloads[..])
            };
            let rows = inner.run("purge", Repeat::Safe, batch).await?;
            let Some(row) = rows.first() else { break };
            purged += unsigned(row, 1).unwrap_or(0);
            last = Some(get(row, 2).unwrap_or(0));
            if get::<i64>(row, 0).is_none_or(|resources| resources < BATCH) {
                break;
            }
        }
        inner.after_write(now).await;
        Ok(purged)
    }
}
