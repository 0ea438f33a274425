use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, ErrorKind, Frame, Limits, Namespace,
    Resource, Result, Storage, Ticket, Version,
};

use crate::{
    DynamoDbStorageBuilder,
    attribute::{duration_millis, number},
    bodies, commit,
    error::error,
    purges::Known,
    row::Row,
    schema::{Keys, RECORD, SMALL, parts},
};

/// How many pages a lookup reads. A resource is smaller than one, unless others left something there.
const PAGES: u32 = 4;

/// How often a lookup reads again when a body is not beside its record: a transaction is not seen whole at once.
const LOOKS: u32 = 4;

/// One namespace of a DynamoDB table.
///
/// Clones share the client, and what they know of purges.
#[derive(Clone, Debug)]
pub struct DynamoDbStorage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) table: Arc<str>,
    /// Region or endpoint, for logs.
    pub(crate) place: Arc<str>,
    pub(crate) keys: Keys,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) known: Known,
    pub(crate) closed: AtomicBool,
}

impl DynamoDbStorage {
    /// Settings to build a storage from.
    pub fn builder() -> DynamoDbStorageBuilder {
        DynamoDbStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the form.
    ///
    /// # Errors
    /// Those of [`DynamoDbStorageBuilder::from_url`] and [`DynamoDbStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        DynamoDbStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace of the same table, over the same client and with the same settings. Each is closed by itself.
    #[must_use]
    pub fn in_namespace(&self, namespace: Namespace) -> Self {
        let Inner { client, table, place, limits, skew, max_entry_size, known, .. } = &*self.inner;
        let inner = Inner {
            client: client.clone(),
            table: Arc::clone(table),
            place: Arc::clone(place),
            keys: Keys::new(&namespace),
            namespace,
            limits: *limits,
            skew: *skew,
            max_entry_size: *max_entry_size,
            known: known.another(),
            closed: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl Storage for DynamoDbStorage {
    fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let inner = &*self.inner;
        // Before anything is read: what is learnt meanwhile is newer than the ticket.
        let epoch = inner.known.epoch();
        let mut row = inner.look(key).await?;
        let before = row.kept.len();
        row.bound(now);
        // What is to be tidied up is left to a commit that reads the record.
        let untidy = row.garbage > 0 || row.kept.len() < before;
        let epoch = if untidy { Known::untidy(epoch) } else { epoch };
        if row.garbage > 0 {
            inner.report_garbage("lookup", key, row.garbage);
        }
        let record = row.record()?;
        Ok(record.lookup(*key, epoch, now))
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        bodies::read(&self.inner, key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        Ok(bodies::writer(Arc::clone(&self.inner), ticket.key(), body, now))
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
        self.inner.remove(key, only, now).await
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
    /// That the storage was not closed.
    pub(crate) fn open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error(ErrorKind::Closed, operation));
        }
        Ok(())
    }

    /// A resource with the bodies beside it.
    async fn look(&self, key: &CacheKey) -> Result<Row> {
        let pk = self.keys.resource(key);
        let mut looks = 0;
        loop {
            looks += 1;
            let (mut row, missing) = self.look_once(&pk).await?;
            if missing == 0 || looks == LOOKS {
                row.kept.retain(|kept| kept.filled);
                row.garbage += missing;
                return Ok(row);
            }
        }
    }

    /// The same once, and how many bodies were not seen.
    async fn look_once(&self, pk: &str) -> Result<(Row, u64)> {
        let mut row = Row::read(None);
        let mut wanted = 0;
        let mut from = None;
        for _ in 0..PAGES {
            let page = self.page("lookup", pk, from, None).await?;
            for mut item in page.items {
                let Some(sk) = parts(&item).map(|(_, sk)| sk.to_owned()) else { continue };
                if sk == RECORD {
                    row = Row::read(Some(item));
                    wanted = row.kept.iter().filter(|kept| !kept.filled).count() as u64;
                } else if sk.strip_prefix(SMALL).is_some_and(|body| row.fill(body, &mut item)) {
                    wanted -= 1;
                }
            }
            from = page.next;
            if from.is_none() || wanted == 0 {
                break;
            }
        }
        Ok((row, wanted))
    }

    /// How long past its last write a record is kept at least, in milliseconds.
    pub(crate) fn memory(&self) -> u64 {
        duration_millis(self.limits.tombstone())
    }

    /// When DynamoDB may delete what is needed until then: past the grace, and the clocks' difference; in seconds,
    /// rounded up.
    pub(crate) fn expires_secs(&self, until_millis: u64) -> u64 {
        let keep = duration_millis(self.limits.read_grace.saturating_add(self.skew));
        until_millis.saturating_add(keep).div_ceil(1000)
    }

    pub(crate) fn expires(&self, until_millis: u64) -> AttributeValue {
        number(self.expires_secs(until_millis))
    }

    pub(crate) fn report_garbage(&self, operation: &'static str, key: &CacheKey, garbage: u64) {
        tracing::warn!(
            backend = "dynamodb", namespace = %self.namespace, %key, operation, garbage,
            "values that are not ours, or damaged, are passed over"
        );
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStorage")
            .field("table", &self.table)
            .field("place", &self.place)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for DynamoDbStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { table, place, namespace, .. } = &*self.inner;
        write!(f, "dynamodb (table {table}, {place}, namespace {namespace})")
    }
}
