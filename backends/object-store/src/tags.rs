//! Purging by tag: a mark first, then every resource that is registered under the tags is rewritten, and the
//! registration deleted.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{BodyId, CacheKey, ErrorKind, Result, TagDigest, Tags};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use object_store::path::Path;

use crate::{
    ObjectStoreStorage,
    error::error,
    objects::AT_ONCE,
    resources::Edit,
    schema::{self, Kind},
    storage::Inner,
};

#[async_trait]
impl Tags for ObjectStoreStorage {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        if tags.is_empty() {
            return Ok(0);
        }
        let (storage, tags) = (self.clone(), tags.to_vec());
        to_the_end("purge", async move {
            let inner = storage.inner.ready("purge").await?;
            inner.mark(Some(&tags), now, "purge").await?;
            let mut purged = 0_u64;
            for tag in &tags {
                purged = purged.saturating_add(inner.purge_tag(*tag, &tags, now).await?);
            }
            Ok(purged)
        })
        .await
    }
}

/// Does what was begun even where nobody waits for it any more: a removal that is done by halves helps nobody.
pub(crate) async fn to_the_end<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|cause| Err(error(ErrorKind::Other, operation).with_source(cause)))
}

impl Inner {
    /// The resources that are registered under a tag, as often as they are, and the names of the registrations.
    pub(crate) fn registered(
        &self,
        tag: TagDigest,
        operation: &'static str,
    ) -> impl Stream<Item = Result<(CacheKey, Path)>> + Send {
        let listed = self.objects.list(&self.names.registered(&tag), operation);
        listed.try_filter_map(|meta| {
            let parts = self.names.parts::<3>(Kind::Tags, &meta.location);
            let key = parts.and_then(|[_, key, unique]| schema::named_at(unique).and(schema::key(key)));
            future::ok(key.map(|key| (key, meta.location)))
        })
    }

    async fn purge_tag(&self, tag: TagDigest, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let purge = |(key, registration)| async move {
            let purged = self.purge_resource(&key, tags, now).await?;
            if purged.is_some() {
                self.objects.delete(vec![registration], "purge").await?;
            }
            Ok(purged.unwrap_or_default())
        };
        let purged = self.registered(tag, "purge").map_ok(purge).try_buffer_unordered(AT_ONCE);
        purged.try_fold(0_u64, |sum, count| future::ok(sum.saturating_add(count))).await
    }

    /// Rewrites the resource even where nothing in it has the tags: a commit under way must see that, and
    /// registers anew. `None` where there is nothing to rewrite.
    async fn purge_resource(
        &self,
        key: &CacheKey,
        tags: &[TagDigest],
        now: SystemTime,
    ) -> Result<Option<u64>> {
        let purge = self.change(key, now, "purge", |state| {
            // A commit that places it from now on reads the mark.
            if state.is_absent() {
                return Ok(Edit::Leave(None));
            }
            let purge = state.apply(now, &self.limits, |record| record.purge(tags, now, &self.limits));
            Ok(Edit::Write(Some(purge?)))
        });
        purge.await
    }
}

/// Makes the resource one that a purge of these tags finds.
pub(crate) async fn register(
    inner: &Inner,
    tags: &[TagDigest],
    key: &CacheKey,
    now: SystemTime,
) -> Result<()> {
    let registrations = stream::iter(tags.to_vec()).map(|tag| async move {
        let unique = schema::unique(now, BodyId::random()?);
        inner.objects.write(&inner.names.registration(&tag, key, &unique), Bytes::new(), "commit").await
    });
    registrations.buffer_unordered(AT_ONCE).try_collect().await
}
