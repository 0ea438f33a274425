//! A store in this process that several storages share, and hear of each other: memory, with events.
//!
//! An answer can be held back, and the channel cut, refused and silenced.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::*;
use cache_backend_memory::MemoryStorage;
use cache_conformance::{Opened, Subject, fault::Operation};
use tokio::sync::oneshot;

/// How often a channel shows life.
const BEAT: Duration = Duration::from_secs(5);

/// A store, and who listens to it.
#[derive(Debug)]
pub(crate) struct Hub {
    memory: MemoryStorage,
    listeners: Mutex<Vec<(usize, Arc<EventSender>)>>,
    replicas: Mutex<usize>,
    gates: Mutex<Vec<(Operation, Gate)>>,
    refuses: AtomicBool,
    silent: AtomicBool,
}

/// An answer that is held back.
#[derive(Debug)]
struct Gate {
    reached: oneshot::Sender<()>,
    open: oneshot::Receiver<()>,
}

/// The other side of it.
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    open: oneshot::Sender<()>,
}

impl Held {
    /// Returns when the store has done what it was asked; its answer is on its way.
    pub(crate) async fn reached(&mut self) {
        (&mut self.reached).await.unwrap();
    }

    pub(crate) fn release(self) {
        self.open.send(()).unwrap();
    }
}

impl Hub {
    pub(crate) fn new(namespace: Namespace, limits: Limits) -> Arc<Self> {
        let memory = MemoryStorage::builder().namespace(namespace).limits(limits).build().unwrap();
        Arc::new(Self {
            memory,
            listeners: Mutex::default(),
            replicas: Mutex::default(),
            gates: Mutex::default(),
            refuses: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        })
    }

    /// Another storage on the store.
    pub(crate) fn replica(self: &Arc<Self>) -> Replica {
        let mut replicas = lock(&self.replicas);
        *replicas += 1;
        Replica { hub: Arc::clone(self), number: *replicas }
    }

    /// Holds the next answer to that operation back.
    pub(crate) fn hold(&self, operation: Operation) -> Held {
        let ((reached, reached_by), (opened_by, open)) = (oneshot::channel(), oneshot::channel());
        lock(&self.gates).push((operation, Gate { reached, open }));
        Held { reached: reached_by, open: opened_by }
    }

    /// All subscriptions break.
    pub(crate) fn cut(&self) {
        lock(&self.listeners).clear();
    }

    /// From now on nobody can subscribe, or again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// From now on nothing comes over the channel, or again.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn subscriptions(&self) -> usize {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|(_, sender)| !sender.is_closed());
        listeners.len()
    }

    /// Tells all but the replica of that number.
    pub(crate) fn tell(&self, from: usize, event: &Event) {
        if !self.silent.load(Ordering::SeqCst) {
            for (number, sender) in &*lock(&self.listeners) {
                if *number != from {
                    sender.send(event.clone());
                }
            }
        }
    }

    async fn pass(&self, operation: Operation) {
        let gate = {
            let mut gates = lock(&self.gates);
            let at = gates.iter().position(|(of, _)| *of == operation);
            at.map(|at| gates.remove(at).1)
        };
        if let Some(gate) = gate {
            gate.reached.send(()).unwrap();
            gate.open.await.unwrap();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A storage on the hub.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    hub: Arc<Hub>,
    number: usize,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hub://{}", self.namespace())
    }
}

#[async_trait]
impl Storage for Replica {
    fn namespace(&self) -> &Namespace {
        self.hub.memory.namespace()
    }

    fn limits(&self) -> Limits {
        self.hub.memory.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let found = self.hub.memory.lookup(key, now).await;
        self.hub.pass(Operation::Lookup).await;
        found
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        self.hub.memory.read(key, body, frames).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.hub.memory.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        let key = entry.key;
        let committed = self.hub.memory.commit(ticket, entry, change, now).await?;
        if matches!(committed, Committed::Stored { .. }) {
            self.hub.tell(self.number, &Event::Changed(key));
        }
        self.hub.pass(Operation::Commit).await;
        Ok(committed)
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let removed = self.hub.memory.remove(key, only, now).await;
        self.hub.tell(self.number, &Event::Changed(*key));
        self.hub.pass(Operation::Remove).await;
        removed
    }

    fn abilities(&self) -> Abilities<'_> {
        let memory = self.hub.memory.abilities();
        let abilities = memory.with_tags(self).with_listing(self);
        abilities.with_events(self)
    }

    async fn close(&self) -> Result<()> {
        lock(&self.hub.listeners).retain(|(number, _)| *number != self.number);
        Ok(())
    }
}

#[async_trait]
impl Tags for Replica {
    async fn purge(&self, tags: &[TagDigest], now: SystemTime) -> Result<u64> {
        let purged = self.hub.memory.abilities().tags.unwrap().purge(tags, now).await;
        self.hub.tell(self.number, &Event::Purged(tags.into()));
        self.hub.pass(Operation::Purge).await;
        purged
    }
}

#[async_trait]
impl Listing for Replica {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        self.hub.memory.abilities().listing.unwrap().list(filter, now)
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        self.hub.memory.abilities().listing.unwrap().count(filter, now).await
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let cleared = self.hub.memory.abilities().listing.unwrap().clear(now).await;
        self.hub.tell(self.number, &Event::Cleared);
        self.hub.pass(Operation::Clear).await;
        cleared
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.hub.memory.abilities().listing.unwrap().sweep(now).await
    }
}

#[async_trait]
impl Events for Replica {
    async fn subscribe(&self) -> Result<EventStream> {
        if self.hub.refuses.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "subscribe"));
        }
        let (sender, stream) = event_channel();
        sender.send(Event::Heartbeat);
        let sender = Arc::new(sender);
        let weak = Arc::downgrade(&sender);
        lock(&self.hub.listeners).push((self.number, sender));
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let Some(sender) = weak.upgrade().filter(|sender| !sender.is_closed()) else { break };
                if !hub.silent.load(Ordering::SeqCst) {
                    sender.send(Event::Heartbeat);
                }
            }
        });
        Ok(stream)
    }
}

/// The hubs of a suite, one for each namespace.
#[derive(Default)]
pub(crate) struct Hubs(Mutex<HashMap<Namespace, Arc<Hub>>>);

#[async_trait]
impl Subject for Hubs {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let mut hubs = lock(&self.0);
        let hub = hubs.entry(namespace.clone()).or_insert_with(|| Hub::new(namespace.clone(), limits));
        Ok(Arc::new(hub.replica()))
    }
}
