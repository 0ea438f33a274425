//! Removing a resource, a version, what has a tag, or all.

use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Generation, Record, Result, TagDigest, Tags, Version};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{Document, RawDocumentBuf, doc};

use crate::{
    MongoStorage,
    document::{Found, Part, Seen},
    edit::{TRIES, back_off, revision},
    error::{failed, is_duplicate},
    listing::Pages,
    marks::TAGS_AT_ONCE,
    schema::binary,
    storage::Inner,
};

/// How many resources are changed at a time.
const AT_ONCE: usize = 16;

/// What to remove of a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    All,
    Version(Version),
    Tagged(&'a [TagDigest]),
}

#[async_trait]
impl Tags for MongoStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let mut purged = 0;
        for tags in tags.chunks(TAGS_AT_ONCE) {
            inner.leave_marks(Some(tags), now, "purge").await?;
            for tag in tags {
                let filter = doc! { "t": binary(tag.as_bytes()) };
                purged += inner.remove_found(filter, What::Tagged(tags), now, "purge").await?;
            }
        }
        Ok(purged)
    }
}

impl Inner {
    /// Removes it, and returns how many live variants went.
    pub(crate) async fn remove(&self, key: &CacheKey, what: What<'_>, now: SystemTime) -> Result<u64> {
        let found = self.find(key, Part::Outline, "remove").await?;
        self.remove_from(key, found, what, now, "remove").await
    }

    /// Removes from everything that a query finds, in pages.
    pub(crate) async fn remove_found(
        &self,
        filter: Document,
        what: What<'_>,
        now: SystemTime,
        operation: &'static str,
    ) -> Result<u64> {
        let mut pages = Pages::new(self, filter, Part::Outline, operation);
        let mut removed = 0;
        while let Some(page) = pages.next().await? {
            let page: VecDeque<(CacheKey, Found)> = page;
            let gone = stream::iter(page)
                .map(|(key, found)| async move { self.remove_from(&key, found, what, now, operation).await });
            let gone = gone.buffer_unordered(AT_ONCE).try_fold(0, async |sum, gone| Ok(sum + gone));
            removed += gone.await?;
        }
        Ok(removed)
    }

    /// Moves the generations of all resources that hold nothing, in one step; returns their new revision. Who
    /// registered in one and did not commit yet is refused.
    pub(crate) async fn move_empty(&self, now: SystemTime) -> Result<i64> {
        let empty = doc! {
            "n": self.names.namespace().as_str(),
            "_id": self.names.after(&self.names.first()),
            "v": Document::new(),
        };
        let moved = revision()?;
        let update = doc! {
            "$set": { "rev": moved, "g": binary(Generation::random()?.as_bytes()), "t": [] },
            "$max": { "gone": self.times.gone(self.times.remembered(now)) },
        };
        let store = self.store().await?;
        self.run("clear", store.resources.update_many(empty, update)).await?;
        Ok(moved)
    }

    async fn remove_from(
        &self,
        key: &CacheKey,
        mut found: Found,
        what: What<'_>,
        now: SystemTime,
        operation: &'static str,
    ) -> Result<u64> {
        for tried in 0..TRIES {
            match found {
                Found::Sane(seen) => {
                    let Some((record, live)) = self.without(&seen, what, now)? else { return Ok(0) };
                    if self.replace(key, &seen, &record, None, now).await? {
                        return Ok(live);
                    }
                }
                Found::Garbage(revision) => {
                    if self.mend(key, revision, now).await? {
                        return Ok(0);
                    }
                }
                Found::Absent => match what {
                    What::All => {
                        if self.entomb(key, now, operation).await? {
                            return Ok(0);
                        }
                    }
                    What::Version(_) | What::Tagged(_) => return Ok(0),
                },
            }
            back_off(tried).await?;
            found = self.find(key, Part::Outline, operation).await?;
        }
        Err(self.contended(operation))
    }

    /// The record after a removal, and how many live variants went; `None` when there is nothing to change.
    fn without(&self, seen: &Seen, what: What<'_>, now: SystemTime) -> Result<Option<(Record, u64)>> {
        let mut record = seen.record.clone();
        let limits = &self.times.limits;
        let live = match what {
            What::All => record.remove(None, now, limits)?.0,
            What::Version(version) => {
                if !record.variants().iter().any(|v| v.version == version) {
                    return Ok(None);
                }
                record.remove(Some(version), now, limits)?.0
            }
            What::Tagged(tags) => {
                let live = record.purge(tags, now, limits)?.0;
                // Who registered and did not commit yet is refused.
                record = record.with_generation(Generation::random()?);
                live
            }
        };
        Ok(Some((record, live)))
    }

    /// Leaves a tombstone where nothing is; `false` when something is by now.
    async fn entomb(&self, key: &CacheKey, now: SystemTime, operation: &'static str) -> Result<bool> {
        let empty = self.empty(key, Generation::random()?, now)?;
        let empty = RawDocumentBuf::try_from(&empty).map_err(|cause| failed(operation, cause.into()))?;
        let store = self.store().await?;
        match self.run(operation, store.resources.insert_one(empty)).await {
            Err(lost) if is_duplicate(&lost) => Ok(false),
            done => done.map(|_| true),
        }
    }
}
