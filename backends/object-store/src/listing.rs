use std::{collections::HashSet, time::SystemTime};

use async_trait::async_trait;
use cache_api::{Filter, Found, FoundStream, Listing, Result, Swept, Totals};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};

use crate::{
    ObjectStoreStorage,
    objects::AT_ONCE,
    resources::{Edit, Listed},
    schema::{self, Kind},
    storage::Inner,
    sweep,
    tags::to_the_end,
};

#[async_trait]
impl Listing for ObjectStoreStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let filter = filter.clone();
        let listed = stream::once(self.inner.ready("list"))
            .map_ok(move |inner| inner.found(filter.clone(), now, "list"));
        Box::pin(listed.try_flatten())
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let found = self.inner.ready("count").await?.found(filter.clone(), now, "count");
        let add = |sum: Totals, found: Found| {
            future::ok(Totals::new(sum.entries.saturating_add(1), sum.bytes.saturating_add(found.len)))
        };
        found.try_fold(Totals::default(), add).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let storage = self.clone();
        to_the_end("clear", async move {
            let inner = storage.inner.ready("clear").await?;
            inner.mark(None, now, "clear").await?;
            let clear = |listed| async move { inner.clear_resource(listed, now).await };
            let cleared = inner.resources("clear").map_ok(clear).try_buffer_unordered(AT_ONCE);
            cleared.try_fold(0_u64, |sum, count| future::ok(sum.saturating_add(count))).await
        })
        .await
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        sweep::sweep(self.inner.ready("sweep").await?, now).await
    }
}

impl Inner {
    /// All resources, in the order in which the store lists them.
    pub(crate) fn resources(&self, operation: &'static str) -> impl Stream<Item = Result<Listed>> + Send {
        let listed = self.objects.list(&self.names.all(Kind::Resources), operation);
        listed.try_filter_map(|meta| {
            let parts = self.names.parts::<1>(Kind::Resources, &meta.location);
            let key = parts.and_then(|[key]| schema::key(key));
            future::ok(key.map(|key| Listed { key, e_tag: meta.e_tag }))
        })
    }

    fn found(
        &self,
        filter: Filter,
        now: SystemTime,
        operation: &'static str,
    ) -> impl Stream<Item = Result<Found>> + Send {
        let listed = match filter.tag {
            Some(tag) => {
                // A resource may be registered more than once, and a store need not list by name.
                let mut seen = HashSet::new();
                let listed = self.registered(tag, operation).map_ok(|(key, _)| Listed { key, e_tag: None });
                listed.try_filter(move |listed| future::ready(seen.insert(listed.key))).left_stream()
            }
            None => self.resources(operation).right_stream(),
        };
        let look = move |listed: Listed| async move {
            Ok((listed.key, self.load_listed(&listed, operation).await?))
        };
        let loaded = listed.map_ok(look).try_buffer_unordered(AT_ONCE);
        let wanted = loaded.map_ok(move |(key, loaded)| {
            let variants = loaded.state().map(|state| state.record.variants()).unwrap_or_default();
            let wanted = variants.iter().filter(|v| v.is_live(now) && filter.matches(&v.tags, v.stored_at));
            stream::iter(wanted.map(|variant| Ok(Found::new(key, variant))).collect::<Vec<_>>())
        });
        wanted.try_flatten()
    }

    async fn clear_resource(&self, listed: Listed, now: SystemTime) -> Result<u64> {
        let loaded = self.load_listed(&listed, "clear").await?;
        let clear = self.change_loaded(&listed.key, loaded, now, "clear", |state| {
            if state.is_absent() {
                return Ok(Edit::Leave(0));
            }
            state.dying = None;
            state.apply(now, &self.limits, |record| record.remove(None, now, &self.limits)).map(Edit::Write)
        });
        clear.await
    }
}
