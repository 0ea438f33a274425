use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Epoch, ErrorKind, Event, EventOrigin,
    Frame, Generation, INLINE_MAX, INLINE_TOTAL, Limits, Namespace, Resource, Result, Storage, Ticket,
    Version,
};
use redis::Value;
use tokio::sync::watch;

use crate::{
    RedisStorageBuilder, bodies,
    channel::Channel,
    commit,
    error::error,
    link::Link,
    reply::{array, bytes, duration_millis, epoch, millis, number, text, unexpected, variant},
    schema::{Keys, Shard, hex},
    script::{Call, LOOKUP, PROBE, REMOVE},
};

/// The largest encoded head that is stored or read back; `common.lua` has it, too.
pub(crate) const HEAD_MAX: u64 = 1024 * 1024;

/// The largest encoded inline body that is stored or read back: plaintext, and as much again for its encoding.
/// `common.lua` has it, too.
pub(crate) const INLINE_ENCODED_MAX: u64 = 2 * INLINE_MAX as u64 + 4096;

/// How many removals a shard remembers one by one. Beyond, all lookups before are too old to commit.
pub(crate) const MARKS_MAX: u64 = 1024;

/// One namespace of a Redis server, cluster or replicated set.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct RedisStorage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) link: Arc<dyn Link>,
    /// How to listen; nothing over a connection of the user's own.
    pub(crate) channel: Option<Arc<dyn Channel>>,
    /// Where it is, for logs: never with a user name or a password.
    pub(crate) place: Arc<str>,
    pub(crate) keys: Keys,
    pub(crate) prefix: Arc<str>,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) connect_timeout: Duration,
    pub(crate) origin: EventOrigin,
    pub(crate) closed: watch::Sender<bool>,
}

impl RedisStorage {
    /// Settings to build a storage from.
    pub fn builder() -> RedisStorageBuilder {
        RedisStorageBuilder::default()
    }

    /// The storage that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// Those of [`RedisStorageBuilder::from_url`] and [`RedisStorageBuilder::build`].
    pub async fn from_url(url: &str) -> Result<Self> {
        RedisStorageBuilder::from_url(url)?.build().await
    }

    /// Another namespace over the same connections, with the same settings. Each is closed by itself.
    #[must_use]
    pub fn in_namespace(&self, namespace: Namespace) -> Self {
        let Inner {
            link, channel, place, prefix, limits, skew, max_entry_size, connect_timeout, origin, ..
        } = &*self.inner;
        let inner = Inner {
            link: Arc::clone(link),
            channel: channel.clone(),
            place: Arc::clone(place),
            keys: Keys::new(prefix, &namespace),
            prefix: Arc::clone(prefix),
            namespace,
            limits: *limits,
            skew: *skew,
            max_entry_size: *max_entry_size,
            connect_timeout: *connect_timeout,
            origin: origin.another(),
            closed: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Does once what is needed, so that what is not allowed shows now.
    pub(crate) async fn probe(&self) -> Result<()> {
        let inner = &*self.inner;
        let id = hex(Epoch::random()?.as_bytes());
        let shard = inner.keys.shard(0);
        let call = Call::new(&PROBE, [shard.probe(&format!("{id}h")), shard.probe(&format!("{id}z"))])
            .arg(inner.keys.echo(&id));
        call.run(&*inner.link, "connect").await.map(drop)
    }
}

#[async_trait]
impl Storage for RedisStorage {
    fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let inner = &*self.inner;
        let shard = inner.keys.of(key);
        let (fresh, _) = crate::reply::epoch_parts(Epoch::random()?);
        let call = Call::new(&LOOKUP, [shard.resource(key), shard.state()])
            .arg(millis(now))
            .arg(fresh)
            .arg(duration_millis(inner.limits.max_write))
            .arg(inner.memory())
            .arg(INLINE_TOTAL as u64)
            .arg(shard.bodies());
        let mut values = array(inner.run(call, "lookup").await?);
        if values.len() < 3 {
            return Err(unexpected("lookup"));
        }
        let epoch = epoch(text(values.first()), number(values.get(1)));
        let mut garbage = number(values.get(2)).unwrap_or(0);
        let mut variants = Vec::with_capacity(values.len() / 4);
        for parts in values.get_mut(3..).unwrap_or_default().chunks_exact_mut(4) {
            match found(parts) {
                Some(variant) => variants.push(variant),
                None => garbage += 1,
            }
        }
        if garbage > 0 {
            inner.report_garbage("lookup", key, garbage);
        }
        Ok(Resource::new(*key, Generation::NONE, epoch, variants, now))
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
        commit::commit(&self.inner, ticket, &entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        let shard = inner.keys.of(key);
        let keys = [shard.resource(key), shard.state(), shard.index(), shard.tags(), shard.due()];
        let call = inner.shard_call(Call::new(&REMOVE, keys), &shard).arg(key.to_string());
        let call = inner.times(call, now).arg(inner.memory()).arg(MARKS_MAX);
        let call = match only {
            Some(version) => call.arg(version.body.to_string()).arg(u64::from(version.head)),
            None => call.arg("").arg(""),
        };
        let call = call.arg(inner.keys.events()).arg(inner.message(&Event::Changed(*key)));
        number(Some(&inner.run(call, "remove").await?)).ok_or_else(|| unexpected("remove"))
    }

    fn abilities(&self) -> Abilities<'_> {
        let all = Abilities::none().with_leases(self).with_tags(self).with_listing(self).with_touch(self);
        if self.inner.channel.is_some() { all.with_events(self) } else { all }
    }

    async fn close(&self) -> Result<()> {
        self.inner.closed.send_replace(true);
        Ok(())
    }
}

/// One variant of a lookup's answer.
fn found(parts: &mut [Value]) -> Option<cache_api::Variant> {
    let [id, meta, head, inline] = parts else { return None };
    let head = bytes(head)?;
    let inline = bytes(inline);
    variant(text(Some(id)), text(Some(meta)), head, inline)
}

impl Inner {
    pub(crate) async fn run(&self, call: Call, operation: &'static str) -> Result<Value> {
        self.open_for(operation)?;
        call.run(&*self.link, operation).await
    }

    pub(crate) fn open_for(&self, operation: &'static str) -> Result<()> {
        if *self.closed.borrow() { Err(error(ErrorKind::Closed, operation)) } else { Ok(()) }
    }

    /// What the scripts need to name keys they find.
    pub(crate) fn shard_call(&self, call: Call, shard: &Shard) -> Call {
        call.arg(shard.resources()).arg(shard.bodies())
    }

    /// What the scripts need to let go of bodies: now, the end of their grace, the skew.
    pub(crate) fn times(&self, call: Call, now: SystemTime) -> Call {
        let gone = millis(now).saturating_add(duration_millis(self.limits.read_grace));
        call.arg(millis(now)).arg(gone).arg(duration_millis(self.skew))
    }

    /// How long past its last write a shard remembers removals.
    pub(crate) fn memory(&self) -> u64 {
        duration_millis(self.limits.tombstone().saturating_add(self.skew))
    }

    /// How long past `dead_at` the server keeps an entry.
    pub(crate) fn keep(&self) -> u64 {
        duration_millis(self.limits.read_grace.saturating_add(self.skew))
    }

    pub(crate) fn report_garbage(&self, operation: &'static str, key: &CacheKey, garbage: u64) {
        tracing::warn!(
            backend = "redis", namespace = %self.namespace, %key, operation, garbage,
            "values that are not ours, or damaged, are passed over"
        );
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStorage")
            .field("place", &self.place)
            .field("prefix", &self.prefix)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis ({}, namespace {})", self.inner.place, self.inner.namespace)
    }
}
