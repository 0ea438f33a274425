use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use cache_api::{
    Abilities, Body, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Epoch, Event, EventOrigin,
    Frame, Generation, INLINE_TOTAL, Limits, MAX_VARIANTS, Namespace, Resource, Result, Storage, Ticket,
    Version,
};
use sqlx::{postgres::PgRow, query};
use tokio::sync::OnceCell;

use crate::{
    PostgresStorageBuilder, bodies, commit,
    connections::{Connections, Repeat},
    events::channel,
    notices::{Notices, Sender},
    row::{
        self, HEAD_MAX, INLINE_ENCODED_MAX, INLINE_ENCODED_TOTAL, Query, duration_nanos, get, nanos, signed,
        total,
    },
    schema::Schema,
    statements::{Statement, Statements},
};

/// One namespace of the cache's schema in a PostgreSQL database.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct PostgresStorage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) connections: Arc<Connections>,
    /// Shared, as the connections are.
    pub(crate) notices: Arc<Notices>,
    pub(crate) sender: Sender,
    schema: Schema,
    pub(crate) statements: Arc<Statements>,
    /// Whether the schema was found to be ours, and the namespace has its row.
    ready: OnceCell<()>,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) max_entry_size: u64,
    /// Writes since the last sweep in passing.
    pub(crate) writes: AtomicU32,
}

impl PostgresStorage {
    /// Settings to build a storage from.
    pub fn builder() -> PostgresStorageBuilder {
        PostgresStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the parameters.
    ///
    /// # Errors
    /// Those of [`PostgresStorageBuilder::from_url`] and [`PostgresStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        PostgresStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace of the same schema, with the same settings and over the same connections, which
    /// [`close`](Storage::close) on either closes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn in_namespace(&self, namespace: Namespace) -> Result<Self> {
        let Inner { notices, sender, schema, limits, max_entry_size, .. } = &*self.inner;
        let (notices, origin) = (Arc::clone(notices), sender.origin.another());
        let other = Self::new(notices, origin, schema.clone(), namespace, *limits, *max_entry_size);
        other.inner.ready().await?;
        Ok(other)
    }

    pub(crate) fn new(
        notices: Arc<Notices>,
        origin: EventOrigin,
        schema: Schema,
        namespace: Namespace,
        limits: Limits,
        max_entry_size: u64,
    ) -> Self {
        let statements = Arc::new(Statements::in_schema(&schema.name));
        let inner = Inner {
            connections: Arc::clone(notices.connections()),
            notices,
            sender: Sender { channel: channel(&schema.name, &namespace), origin },
            schema,
            statements,
            ready: OnceCell::new(),
            namespace,
            limits,
            max_entry_size,
            writes: AtomicU32::new(0),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    /// Makes sure, at the first use, that the schema is ours and the namespace is there.
    pub(crate) async fn ready(&self) -> Result<()> {
        let open = async || {
            self.schema.open(&self.connections).await?;
            self.name_again().await
        };
        self.ready.get_or_try_init(open).await.map(drop)
    }

    /// Gives the namespace its row, unless it has one.
    async fn name_again(&self) -> Result<()> {
        let new = || self.sql(&self.statements.new_namespace);
        self.connections.run("open", Repeat::Safe, new).await.map(drop)
    }

    pub(crate) async fn run<'q>(
        &self,
        operation: &'static str,
        repeat: Repeat,
        statement: impl Fn() -> Query<'q> + Send + Sync,
    ) -> Result<Vec<PgRow>> {
        self.ready().await?;
        self.connections.run(operation, repeat, statement).await
    }

    /// A statement whose first parameter is the namespace's name.
    pub(crate) fn sql<'q>(&'q self, statement: &Statement) -> Query<'q> {
        query(statement.sql()).bind(self.namespace.as_str())
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
impl Storage for PostgresStorage {
    fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let inner = &*self.inner;
        let lookup = || {
            inner
                .sql(&inner.statements.lookup)
                .bind(&key.as_bytes()[..])
                .bind(nanos(now))
                .bind(signed(MAX_VARIANTS))
                .bind(signed(HEAD_MAX))
                .bind(signed(INLINE_ENCODED_MAX))
                .bind(signed(INLINE_ENCODED_TOTAL))
        };
        let mut rows = inner.run("lookup", Repeat::Safe, lookup).await?;
        if rows.is_empty() {
            // A crash of the server empties unlogged tables, the namespace's row with them.
            inner.name_again().await?;
            rows = inner.run("lookup", Repeat::Safe, lookup).await?;
        }
        Ok(inner.resource(key, &rows, now))
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
        let inner = &*self.inner;
        let payload = inner.sender.payloads(Event::Changed(*key)).concat();
        let (key, channel) = (&key.as_bytes()[..], &*inner.sender.channel);
        let (now_, gone_at) = (nanos(now), inner.gone_at(now));
        let rows = match &only {
            Some(Version { body, head }) => {
                let remove = || {
                    let remove = inner.sql(&inner.statements.remove_version).bind(key);
                    let remove = remove.bind(&body.as_bytes()[..]).bind(i64::from(*head));
                    remove.bind(now_).bind(gone_at).bind(channel).bind(&payload)
                };
                inner.run("remove", Repeat::Safe, remove).await?
            }
            None => {
                let until = inner.tombstone_until(now);
                let remove = || {
                    let remove = inner.sql(&inner.statements.remove_resource).bind(key);
                    remove.bind(until).bind(now_).bind(gone_at).bind(channel).bind(&payload)
                };
                inner.run("remove", Repeat::Safe, remove).await?
            }
        };
        inner.after_write(now).await;
        Ok(total(&rows, 0))
    }

    fn abilities(&self) -> Abilities<'_> {
        let all = Abilities::none().with_leases(self).with_tags(self).with_listing(self).with_touch(self);
        all.with_events(self)
    }

    async fn close(&self) -> Result<()> {
        let connections = &self.inner.connections;
        if connections.is_closed() {
            return Ok(());
        }
        let told = self.inner.notices.flush().await;
        connections.close().await;
        told
    }
}

impl Inner {
    /// The rows of a lookup. What is not as a commit wrote it is passed over.
    fn resource(&self, key: &CacheKey, rows: &[PgRow], now: SystemTime) -> Resource {
        let Some(first) = rows.first() else {
            tracing::warn!(backend = "postgres", namespace = %self.namespace, "the namespace's row is gone");
            return Resource::new(*key, Generation::NONE, Epoch::NONE, [], now);
        };
        let epoch = row::epoch(get(first, 0), get(first, 1));
        let generation = row::generation(get(first, 2));
        let mut variants = Vec::with_capacity(rows.len());
        let mut inline = INLINE_TOTAL as u64;
        for row in rows.iter().filter(|row| get::<i64>(row, 3).is_some()) {
            let variant = row::variant(row, 4).filter(|variant| match &variant.body {
                Body::Inline(body) => inline.checked_sub(body.len).map(|rest| inline = rest).is_some(),
                Body::Stored(_) => true,
            });
            match variant {
                Some(variant) => variants.push(variant),
                None => self.corrupt(Some(key), row, 3),
            }
        }
        Resource::new(*key, generation, epoch, variants, now)
    }

    /// Reports a row that no commit wrote.
    pub(crate) fn corrupt(&self, key: Option<&CacheKey>, row: &PgRow, column: usize) {
        tracing::warn!(
            backend = "postgres", namespace = %self.namespace, key = key.map(tracing::field::display),
            row = get::<i64>(row, column), "a corrupt row is passed over"
        );
    }

    /// How many writes of this process came before, to do now and then what not each needs to.
    pub(crate) fn count_write(&self) -> u32 {
        self.writes.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("connections", &self.connections)
            .field("schema", &self.schema)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PostgresStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { connections, schema, namespace, .. } = &*self.inner;
        write!(f, "postgres ({}, schema {}, namespace {namespace})", connections.place(), schema.name)
    }
}
