use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, ErrorKind, Frame, Limits, Namespace,
    Record, Resource, Result, Storage, Ticket, Version,
};
use object_store::path::Path;

use crate::{
    ObjectStoreStorageBuilder,
    bodies::{self, Written},
    commit,
    connect::Link,
    error::error,
    marks::Seen,
    objects::Objects,
    resources::{Edit, Loaded, Recent},
    schema::Names,
};

/// One namespace of a bucket, a container, a directory or a store in memory.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct ObjectStoreStorage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) link: Arc<Link>,
    pub(crate) objects: Objects,
    pub(crate) names: Names,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    /// What this process knows of the marks.
    pub(crate) known: AtomicU64,
    pub(crate) recent: Recent,
    /// The bodies that this process wrote lately.
    pub(crate) written: Written,
    pub(crate) closed: AtomicBool,
}

impl ObjectStoreStorage {
    /// Settings to build a storage from.
    pub fn builder() -> ObjectStoreStorageBuilder {
        ObjectStoreStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// Those of [`ObjectStoreStorageBuilder::from_url`] and [`ObjectStoreStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        ObjectStoreStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace over the same connections, with the same settings. Each is closed by itself.
    #[must_use]
    pub fn in_namespace(&self, namespace: Namespace) -> Self {
        let Inner { link, limits, skew, max_entry_size, .. } = &*self.inner;
        Self { inner: Arc::new(Inner::new(Arc::clone(link), namespace, *limits, *skew, *max_entry_size)) }
    }
}

#[async_trait]
impl Storage for ObjectStoreStorage {
    fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let inner = self.inner.ready("lookup").await?;
        // What is known before the resource is read is known of it.
        let knowledge = inner.known();
        Ok(match inner.load(key, "lookup").await? {
            Loaded::There(held) => {
                let write = held.state.write.first_chunk().copied();
                held.state.record.lookup(*key, Seen { knowledge, write }.epoch(), now)
            }
            // A commit finds out what to do about garbage.
            Loaded::Absent | Loaded::Garbage(_) => {
                Record::absent().lookup(*key, Seen { knowledge, write: None }.epoch(), now)
            }
        })
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        bodies::read(self.inner.ready("read").await?, key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.inner.ready("write").await?;
        Ok(bodies::writer(Arc::clone(&self.inner), *ticket.key(), body, now))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        commit::commit(self.inner.ready("commit").await?, ticket, entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let inner = self.inner.ready("remove").await?;
        let remove = inner.change(key, now, "remove", |state| {
            let version = |version| state.record.variants().iter().any(|v| v.version == version);
            if only.is_some_and(|only| !version(only)) {
                return Ok(Edit::Leave(0));
            }
            state.dying = None;
            state.apply(now, &inner.limits, |record| record.remove(only, now, &inner.limits)).map(Edit::Write)
        });
        remove.await
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none().with_leases(self).with_tags(self).with_listing(self)
    }

    async fn close(&self) -> Result<()> {
        self.inner.closed.store(true, Ordering::Release);
        Ok(())
    }
}

impl Inner {
    pub(crate) fn new(
        link: Arc<Link>,
        namespace: Namespace,
        limits: Limits,
        skew: Duration,
        max_entry_size: Option<u64>,
    ) -> Self {
        Self {
            objects: link.objects.clone(),
            names: Names::new(&link.prefix, &namespace),
            link,
            namespace,
            limits,
            skew,
            max_entry_size,
            known: AtomicU64::new(0),
            recent: Recent::default(),
            written: Written::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// This, once it is certain that the store does what is needed, and unless it is closed.
    pub(crate) async fn ready(&self, operation: &'static str) -> Result<&Self> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error(ErrorKind::Closed, operation));
        }
        self.link.probed(&self.names).await?;
        Ok(self)
    }

    pub(crate) fn report_garbage(&self, operation: &'static str, object: &Path) {
        tracing::warn!(
            backend = "object-store", namespace = %self.namespace, %object, operation,
            "an object that is not ours, or damaged, is passed over"
        );
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreStorage")
            .field("place", &self.objects.place)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ObjectStoreStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object-store ({}, namespace {})", self.inner.objects.place, self.inner.namespace)
    }
}
