//! A sound storage with all abilities over maps in this process, and a switch for each fault.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::*;
use tokio::{sync::Semaphore, task::yield_now};

use crate::{copies::Copies, events::Listeners, fault::Fault, wire::Link};

/// What all storages of a process share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) fault: Fault,
    spaces: Mutex<HashMap<Namespace, Space>>,
    writers: Arc<Semaphore>,
    pub(crate) listeners: Listeners,
    pub(crate) copies: Copies,
}

/// How often a variant was used, and with which body.
pub(crate) type Uses = HashMap<(CacheKey, VariantId), (BodyId, u64)>;

/// One namespace.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) records: HashMap<CacheKey, Record>,
    pub(crate) bodies: HashMap<BodyId, Kept>,
    pub(crate) retired: HashSet<BodyId>,
    pub(crate) epoch: Epoch,
    pub(crate) leases: HashMap<CacheKey, (Lease, SystemTime)>,
    pub(crate) uncacheable: HashMap<CacheKey, SystemTime>,
    pub(crate) uses: Uses,
}

/// The frames of a stored body.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) frames: Vec<Frame>,
    pub(crate) drop_at: SystemTime,
    /// Whether a live entry has it.
    pub(crate) used: bool,
}

/// A storage in the world.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) world: Arc<World>,
    namespace: Namespace,
    pub(crate) limits: Limits,
    /// What each operation needs an answer from, if anything.
    link: Option<Arc<Link>>,
    /// Tells this storage and its clones from others.
    pub(crate) origin: u64,
}

impl World {
    pub(crate) fn new(fault: Fault) -> Arc<Self> {
        let writers = Arc::new(Semaphore::new(if fault == Fault::FewWriters { 4 } else { 10_000 }));
        let (listeners, copies) = (Listeners::default(), Copies::default());
        Arc::new(Self { fault, spaces: Mutex::default(), writers, listeners, copies })
    }

    pub(crate) fn spaces(&self) -> MutexGuard<'_, HashMap<Namespace, Space>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Space {
    fn default() -> Self {
        Self {
            records: HashMap::new(),
            bodies: HashMap::new(),
            retired: HashSet::new(),
            epoch: Epoch::NONE,
            leases: HashMap::new(),
            uncacheable: HashMap::new(),
            uses: Uses::new(),
        }
    }
}

impl Space {
    /// Lets bodies go when their readers have had time.
    pub(crate) fn retire(&mut self, bodies: &[BodyId], until: SystemTime) {
        for body in bodies {
            self.retired.insert(*body);
            if let Some(kept) = self.bodies.get_mut(body) {
                (kept.drop_at, kept.used) = (until, false);
            }
        }
    }
}

impl Reference {
    pub(crate) fn open(world: &Arc<World>, namespace: &Namespace, limits: Limits) -> Self {
        let origin = world.listeners.new_origin();
        let storage =
            Self { world: Arc::clone(world), namespace: namespace.clone(), limits, link: None, origin };
        if storage.has(Fault::ForgetsRemovalOnReopen) {
            storage.with(|space| {
                for record in space.records.values_mut() {
                    *record = Record::from_parts(Generation::NONE, record.variants(), None);
                }
            });
        }
        storage
    }

    pub(crate) fn behind(mut self, link: Arc<Link>) -> Self {
        self.link = Some(link);
        self
    }

    /// Gives so many bytes to the server, and waits for so many of it.
    pub(crate) async fn reach(&self, gives: usize, takes: usize) -> Result<()> {
        match &self.link {
            Some(link) => link.ask(gives, takes).await,
            None => Ok(()),
        }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.world.fault == fault
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Space) -> T) -> T {
        let one = Namespace::default();
        let namespace = if self.has(Fault::OneNamespace) { &one } else { &self.namespace };
        work(self.world.spaces().entry(namespace.clone()).or_default())
    }

    /// Under which name a record is kept.
    pub(crate) fn filed(&self, key: &CacheKey) -> CacheKey {
        let mut bytes = *key.as_bytes();
        if self.has(Fault::KeysAsText) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        }
        if self.has(Fault::KeysEndAtNul) {
            bytes.iter_mut().skip_while(|byte| **byte != 0).for_each(|byte| *byte = 0);
        }
        CacheKey::from_bytes(bytes)
    }

    pub(crate) fn grace_from(&self, now: SystemTime) -> SystemTime {
        now + if self.has(Fault::NoReadGrace) { Duration::ZERO } else { self.limits.read_grace }
    }

    fn apply(
        &self,
        space: &mut Space,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        let keeps = matches!(change, Change::Keep(_));
        if ticket.epoch() != space.epoch && *ticket.key() == entry.key {
            let old = ticket.is_expired(now, &self.limits);
            return Ok(Committed::Refused(if old { Refusal::TicketExpired } else { Refusal::Removed }));
        }
        if let Change::Put(Body::Stored(body)) = &change
            && !space.bodies.contains_key(&body.id)
            && !self.has(Fault::CommitsNoBody)
            && !ticket.is_expired(now, &self.limits)
        {
            return Ok(Committed::Refused(Refusal::BodyGone));
        }
        let mut limits = self.limits;
        if self.has(Fault::IgnoresTicketAge) {
            limits = limits.with_max_write(Duration::from_secs(1_000_000_000));
        }
        let record = space.records.entry(self.filed(&entry.key)).or_default();
        let applied = record.commit(ticket, entry, change, now, &limits)?;
        let retired_before = &space.retired;
        if let Committed::Stored { version, dead_at } = applied.committed
            && let Some(kept) = space.bodies.get_mut(&version.body)
            && !(keeps && self.has(Fault::PartsApart))
            && !(retired_before.contains(&version.body) && self.has(Fault::LeavesRetired))
        {
            let grace = if self.has(Fault::PartsApart) { Duration::ZERO } else { self.limits.read_grace };
            (kept.drop_at, kept.used) = (dead_at + grace, true);
        }
        space.retire(&applied.retired, self.grace_from(now));
        if self.has(Fault::NoReadGrace) {
            space.bodies.retain(|_, kept| kept.used || kept.drop_at > now);
        }
        Ok(applied.committed)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reference ({:?}, namespace {})", self.world.fault, self.namespace)
    }
}

#[async_trait]
impl Storage for Reference {
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        self.reach(1, 1).await?;
        yield_now().await;
        match self.world.fault {
            Fault::Hangs => std::future::pending().await,
            Fault::BlocksItsThread => loop {
                std::thread::park();
            },
            Fault::Panics => panic!("a fault"),
            _ => {}
        }
        let (record, epoch) = self
            .with(|space| (space.records.get(&self.filed(key)).cloned().unwrap_or_default(), space.epoch));
        let last_is_dead = record.variants().last().is_some_and(|v| !v.is_live(now));
        if self.has(Fault::DiesWhole) && last_is_dead {
            return Ok(Resource::new(*key, record.generation(), epoch, [], now));
        }
        if self.has(Fault::ServesDead) || self.has(Fault::InlineWithoutBound) {
            let dead_too = self.has(Fault::ServesDead);
            let found = record.variants().iter().filter(|v| dead_too || v.is_live(now)).cloned();
            return Ok(Resource::new(*key, record.generation(), epoch, found.collect::<Vec<_>>(), now));
        }
        if self.has(Fault::FailsOnGarbage) {
            for variant in record.variants().iter().filter(|v| v.head.value().is_none()) {
                let place = Place::head(&self.namespace, *key, variant.id, variant.version.body);
                variant.head.decode(&CborSerializer::new(), &place).await?;
            }
        }
        if self.has(Fault::LooksUpInTwoSteps) {
            yield_now().await;
            let newer = self.with(|space| space.records.get(key).cloned().unwrap_or_default());
            let pairs = record.variants().iter().zip(newer.variants()).filter(|(v, _)| v.is_live(now));
            let mixed = pairs.map(|(old, new)| {
                let mut variant = new.clone();
                variant.head = old.head.clone();
                variant
            });
            return Ok(Resource::new(*key, record.generation(), epoch, mixed.collect::<Vec<_>>(), now));
        }
        Ok(self.copied(key, record.lookup(*key, epoch, now)))
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        self.reach(1, frames.len() * FRAME_SIZE).await?;
        yield_now().await;
        self.with(|space| {
            let record = space.records.get(&self.filed(key));
            let mut body = body;
            if self.has(Fault::ReadsOtherBytes)
                && let Some(other) = record.and_then(|r| r.variants().last())
            {
                body = other.version.body;
            }
            let inline = record.and_then(|r| r.inline(body)).map(std::slice::from_ref);
            let all = inline.or_else(|| space.bodies.get(&body).map(|kept| &*kept.frames));
            let mut range = frames.start as usize..frames.end as usize;
            if self.has(Fault::ReadsShort)
                && let Some(all) = all
            {
                range = range.start.min(all.len())..range.end.min(all.len());
            }
            let some = all.and_then(|all| all.get(range));
            some.map(<[_]>::to_vec).ok_or_else(|| Error::new(ErrorKind::Gone, "read"))
        })
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        let permit = Arc::clone(&self.world.writers).acquire_owned().await.unwrap();
        let limit = self.limits.retention_from(now);
        self.with(|space| {
            let kept = Kept { frames: Vec::new(), drop_at: now + self.limits.max_write, used: false };
            space.bodies.insert(body, kept);
            if self.has(Fault::ShowsPending) {
                let entry = Entry::new(
                    *ticket.key(),
                    VariantId::ONLY,
                    StoredHead::from_bytes(bytes::Bytes::new()),
                    now,
                    limit,
                );
                let stored = StoredBody { id: body, frames: 1, len: 0, limit };
                let record = space.records.entry(*ticket.key()).or_default();
                let variant = Variant::new(entry, Body::Stored(stored), 0, limit);
                *record = Record::from_parts(record.generation(), [variant], None);
            }
        });
        let storage = self.clone();
        Ok(frame_writer(body, limit, move |_, frame| {
            let (storage, _open) = (storage.clone(), &permit);
            async move {
                storage.reach(frame.bytes().await?.len(), 1).await?;
                yield_now().await;
                let frames = |kept: &mut Kept| kept.frames.push(frame);
                storage
                    .with(|space| space.bodies.get_mut(&body).map(frames))
                    .ok_or_else(|| Error::new(ErrorKind::Gone, "write"))
            }
        }))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        mut entry: Entry,
        mut change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        self.reach(100, 1).await?;
        yield_now().await;
        let mut ticket = ticket.clone();
        let key = entry.key;
        self.with(|space| self.bend(space, &mut ticket, &mut entry, &mut change));
        let id = match &change {
            Change::Put(body) => body.id(),
            Change::Keep(version) => version.body,
        };
        if self.has(Fault::TellsTooEarly) {
            self.tell(&Event::Changed(key));
            for _ in 0..20 {
                yield_now().await;
            }
        }
        let committed = match self.world.fault {
            Fault::LosesUpdates => {
                let before = self.with(|space| space.records.get(&key).cloned().unwrap_or_default());
                yield_now().await;
                self.with(|space| {
                    space.records.insert(key, before);
                    self.apply(space, &ticket, entry, change, now)
                })
            }
            Fault::ChecksThenPublishes => {
                let read = self.with(|space| space.records.get(&key).cloned().unwrap_or_default());
                if read.generation() != ticket.generation() {
                    return Ok(Committed::Refused(Refusal::Removed));
                }
                yield_now().await;
                self.with(|space| {
                    let now_is = space.records.entry(key).or_default().generation();
                    let at = ticket.issued_at();
                    let found = Resource::new(key, now_is, space.epoch, read.variants(), at);
                    self.apply(space, found.ticket(), entry, change, now)
                })
            }
            Fault::TearsOnCancellation => {
                let (committed, frames) = self.with(|space| {
                    let committed = self.apply(space, &ticket, entry, change, now);
                    let frames = space.bodies.get_mut(&id).map(|kept| std::mem::take(&mut kept.frames));
                    (committed, frames)
                });
                yield_now().await;
                self.with(|space| {
                    if let (Some(kept), Some(frames)) = (space.bodies.get_mut(&id), frames) {
                        kept.frames = frames;
                    }
                });
                committed
            }
            Fault::RefusesRepeats => self.with(|space| {
                let found =
                    space.records.get(&key).map(|r| r.variants().iter().any(|v| v.version.body == id));
                if found == Some(true) && matches!(change, Change::Put(_)) {
                    return Ok(Committed::Refused(Refusal::Replaced));
                }
                self.apply(space, &ticket, entry, change, now)
            }),
            _ => self.with(|space| self.apply(space, &ticket, entry, change, now)),
        };
        self.forget_copy(&key);
        self.tell_changed(&key, &committed);
        committed
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        self.reach(1, 1).await?;
        yield_now().await;
        self.forget_copy(key);
        let removed = self.with(|space| {
            if self.has(Fault::ForgetsRemovalOfAbsent) && !space.records.contains_key(key) {
                return Ok(0);
            }
            let record = space.records.entry(self.filed(key)).or_default();
            let mut only = only;
            if only.is_some() && self.has(Fault::RemovesAnyVersion) {
                only = record.variants().first().map(|v| v.version);
            }
            let (count, bodies) = record.remove(only, now, &self.limits)?;
            if only.is_none() && self.has(Fault::CountsGenerations) {
                *record = Record::from_parts(Generation::from_counter(1), [], record.tombstone_until());
            }
            space.retire(&bodies, self.grace_from(now));
            if self.has(Fault::NoReadGrace) {
                space.bodies.retain(|_, kept| kept.used || kept.drop_at > now);
            }
            Ok(count)
        });
        self.tell_removed(&Event::Changed(*key));
        removed
    }

    fn abilities(&self) -> Abilities<'_> {
        let all = Abilities::none().with_leases(self).with_tags(self).with_listing(self).with_events(self);
        let all = if self.has(Fault::WholeIsOther) { all.with_whole(self) } else { all };
        if self.has(Fault::ForgetsAbility) { all } else { all.with_touch(self) }
    }

    async fn close(&self) -> Result<()> {
        self.stop_listening();
        Ok(())
    }
}
