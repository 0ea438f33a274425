use std::{
    fmt,
    future::IntoFuture,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Error, ErrorKind, Frame, Generation,
    Limits, Namespace, Resource, Result, Storage, Ticket, Version,
};
use tokio::sync::OnceCell;

use crate::{
    MongoStorageBuilder, bodies, commit,
    connect::{Collections, Server},
    document::{Found, Part},
    error::error,
    marks::epoch,
    removal::What,
    schema::{Names, Times},
};

/// One namespace of the cache's collections in a MongoDB database.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct MongoStorage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) server: Arc<Server>,
    pub(crate) names: Names,
    pub(crate) times: Times,
    pub(crate) max_entry_size: Option<u64>,
    /// The last mark of a purge that is known here.
    pub(crate) mark: AtomicI64,
    pub(crate) marked: OnceCell<()>,
    pub(crate) closed: AtomicBool,
}

impl MongoStorage {
    /// Settings to build a storage from.
    pub fn builder() -> MongoStorageBuilder {
        MongoStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// Those of [`MongoStorageBuilder::from_url`] and [`MongoStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        MongoStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace over the same connections, with the same settings. Each is closed by itself.
    ///
    /// Its first lookup also reads which purges were last.
    #[must_use]
    pub fn in_namespace(&self, namespace: Namespace) -> Self {
        let Inner { server, times, max_entry_size, .. } = &*self.inner;
        Self { inner: Arc::new(Inner::new(Arc::clone(server), namespace, *times, *max_entry_size)) }
    }
}

#[async_trait]
impl Storage for MongoStorage {
    fn namespace(&self) -> &Namespace {
        self.inner.names.namespace()
    }

    fn limits(&self) -> Limits {
        self.inner.times.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let inner = &*self.inner;
        inner.ready().await?;
        // Before the query: purges that are marked later are since.
        let mark = inner.mark();
        match inner.find(key, Part::All, "lookup").await? {
            Found::Absent => Ok(Resource::new(*key, Generation::NONE, epoch(0, mark), [], now)),
            Found::Garbage(_) => {
                inner.report_garbage(key);
                Ok(Resource::new(*key, Generation::random()?, epoch(0, mark), [], now))
            }
            Found::Sane(seen) => {
                if !seen.garbage.is_empty() {
                    inner.report_garbage(key);
                }
                let revision = if seen.is_plain(now) { seen.revision } else { 0 };
                Ok(seen.record.lookup(*key, epoch(revision, mark), now))
            }
        }
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        bodies::read(&self.inner, key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        Ok(bodies::writer(Arc::clone(&self.inner), *ticket.key(), body, now))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        commit::commit(&self.inner, ticket, entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        self.inner.remove(key, only.map_or(What::All, What::Version), now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none().with_leases(self).with_tags(self).with_listing(self)
    }

    async fn close(&self) -> Result<()> {
        if !self.inner.closed.swap(true, Ordering::AcqRel) {
            self.inner.server.leave().await;
        }
        Ok(())
    }
}

impl Inner {
    pub(crate) fn new(
        server: Arc<Server>,
        namespace: Namespace,
        times: Times,
        max_entry_size: Option<u64>,
    ) -> Self {
        server.enter();
        Self {
            server,
            names: Names::new(namespace),
            times,
            max_entry_size,
            mark: AtomicI64::new(0),
            marked: OnceCell::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// The collections, after making sure once that they are ours.
    pub(crate) async fn store(&self) -> Result<Arc<Collections>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error(ErrorKind::Closed, "connect"));
        }
        self.server.collections().await
    }

    /// What is done once before the first lookup.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.marked.get_or_try_init(|| self.load_mark()).await.map(drop)
    }

    pub(crate) async fn run<T>(
        &self,
        operation: &'static str,
        command: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> Result<T> {
        self.server.run(operation, command).await
    }

    /// The error where others came before, again and again.
    pub(crate) fn contended(&self, operation: &'static str) -> Error {
        error(ErrorKind::Unavailable, operation).with_message("others change the resource all the time")
    }

    pub(crate) fn report_garbage(&self, key: &CacheKey) {
        tracing::warn!(
            backend = "mongo", namespace = %self.names.namespace(), %key,
            "a document that is not ours, or damaged, is passed over"
        );
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStorage")
            .field("server", &self.server)
            .field("namespace", self.names.namespace())
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MongoStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mongo ({}, namespace {})", self.inner.server, self.inner.names.namespace())
    }
}
