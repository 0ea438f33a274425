//! Removals: a record is read, changed by the rules, and replaced if it is still the same.

use std::time::SystemTime;

use cache_api::{BodyId, CacheKey, Generation, Record, Result, TagDigest, Version};

use crate::{
    attribute::{binary, duration_millis, millis, whole},
    error::contended,
    request::{CONTENDED, pause},
    row::Row,
    storage::Inner,
    write::{Effects, LetGo, RecordWrite, Wrote},
};

/// What a change to a record comes to.
pub(crate) struct Altered {
    /// The variants that went and count.
    pub(crate) gone: u64,
    /// The bodies that went.
    pub(crate) bodies: Vec<BodyId>,
    /// Whether the record is to be written at all.
    pub(crate) write: bool,
}

impl Inner {
    pub(crate) async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let now = whole(now);
        let change = |record: &mut Record| {
            let (gone, bodies) = record.remove(only, now, &self.limits)?;
            let write = only.is_none() || !bodies.is_empty();
            Ok(Altered { gone, bodies, write })
        };
        self.alter("remove", key, now, change).await
    }

    /// What a purge by tag does to one resource that may have one of the tags.
    ///
    /// The record is written even where it has none of them: a commit that knows it as it was is to look again, and then
    /// finds the purge.
    pub(crate) async fn purge_one(&self, key: &CacheKey, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let change = |record: &mut Record| {
            let (_, mut bodies) = record.sweep(now);
            let (gone, purged) = record.purge(tags, now, &self.limits)?;
            bodies.extend(purged);
            Ok(Altered { gone, bodies, write: true })
        };
        self.alter("purge", key, now, change).await
    }

    /// What `clear` does to one resource.
    pub(crate) async fn clear_one(&self, key: &CacheKey, now: SystemTime) -> Result<u64> {
        let change = |record: &mut Record| {
            let (gone, bodies) = record.remove(None, now, &self.limits)?;
            Ok(Altered { gone, bodies, write: true })
        };
        self.alter("clear", key, now, change).await
    }

    /// Returns how many variants went.
    pub(crate) async fn alter(
        &self,
        operation: &'static str,
        key: &CacheKey,
        now: SystemTime,
        change: impl Fn(&mut Record) -> Result<Altered>,
    ) -> Result<u64> {
        let mut row = Row::read(self.get(operation, self.keys.record(key)).await?);
        let mut sent: Option<(aws_sdk_dynamodb::types::AttributeValue, u64)> = None;
        for attempt in 1..=CONTENDED {
            if let Some((_, gone)) = sent.take_if(|(stamp, _)| row.stamp.as_ref() == Some(stamp)) {
                // It was written after all, and the answer was lost.
                return Ok(gone);
            }
            let mut record = row.record()?;
            let Altered { gone, bodies, write } = change(&mut record)?;
            if !write && row.garbage == 0 {
                return Ok(gone);
            }
            let new = row.changed(&record, None);
            let stamp = binary(*Generation::random()?.as_bytes());
            let item = new.item(self, key, &stamp, now).await?;
            let effects = Effects { let_go: self.let_go(&row, &bodies, now), ..Effects::default() };
            match self.write(operation, key, RecordWrite::whole(self, key, &row, item), effects).await? {
                Wrote::Done => return Ok(gone),
                Wrote::Lost(Some(item)) => row = Row::read(Some(item)),
                Wrote::Lost(None) | Wrote::BodyGone => {
                    row = Row::read(self.get(operation, self.keys.record(key)).await?);
                }
            }
            sent = Some((stamp, gone));
            pause(attempt, 3).await;
        }
        Err(contended(operation))
    }

    /// What becomes of bodies that a record let go: readable for the grace, counted from when they died.
    pub(crate) fn let_go(&self, row: &Row, bodies: &[BodyId], now: SystemTime) -> Vec<LetGo> {
        let grace = duration_millis(self.limits.read_grace);
        let gone = bodies.iter().filter_map(|body| row.find(body));
        let gone = gone.map(|kept| LetGo {
            body: kept.variant.version.body,
            form: kept.form,
            until: millis(now.min(kept.variant.dead_at)).saturating_add(grace),
        });
        gone.collect()
    }
}
