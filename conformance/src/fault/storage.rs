use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Error, ErrorKind, Frame, Limits,
    Namespace, Resource, Result, Storage, Ticket, Version,
};

use super::{Fault, Injected, Operation, Rule, Seeded, torn, writer::FaultyWriter};

/// A storage that passes everything on to another one, and fails as it was told.
///
/// Clones share what they were told and what was injected. The abilities of the other are all passed on, with faults
/// of their own. Without rules it is as good as the storage it stands on.
#[derive(Clone)]
pub struct FaultyStorage {
    pub(super) inner: Arc<dyn Storage>,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    rules: Vec<Rule>,
    seeded: Option<Seeded>,
    calls: HashMap<Operation, u64>,
    injected: Vec<Injected>,
}

impl FaultyStorage {
    /// A storage that fails nowhere yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// The storage that it stands on, to look past the faults.
    #[must_use]
    pub fn beneath(&self) -> &Arc<dyn Storage> {
        &self.inner
    }

    /// From now on these calls fail.
    pub fn inject(&self, rule: Rule) {
        self.faults().rules.push(rule);
    }

    /// From now on calls fail by chance, where no rule meets them.
    pub fn by_chance(&self, seeded: Seeded) {
        self.faults().seeded = Some(seeded);
    }

    /// Forgets all rules and the seed: nothing fails any more. What hangs goes on hanging.
    pub fn heal(&self) {
        let mut faults = self.faults();
        faults.rules.clear();
        faults.seeded = None;
    }

    /// How often the operation was called, whatever came of it.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.faults().calls.get(&operation).copied().unwrap_or_default()
    }

    /// What was injected so far, in its order.
    #[must_use]
    pub fn injected(&self) -> Vec<Injected> {
        self.faults().injected.clone()
    }

    /// The same, and forgets it: for runs that are long.
    #[must_use]
    pub fn take_injected(&self) -> Vec<Injected> {
        std::mem::take(&mut self.faults().injected)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says what is to go wrong with it.
    pub(super) fn next(&self, operation: Operation, frame: Option<u32>) -> Option<Fault> {
        let mut faults = self.faults();
        let calls = faults.calls.entry(operation).or_default();
        let call = *calls;
        *calls = calls.saturating_add(1);
        // Each rule counts for itself, also the calls that another decides.
        let mut met = None;
        for rule in &mut faults.rules {
            let fault = rule.meet(operation, frame);
            met = met.or(fault);
        }
        let by_chance = || faults.seeded.as_ref().and_then(|seeded| seeded.decide(operation, call));
        let fault = met.or_else(by_chance)?;
        faults.injected.push(Injected { operation, call, fault });
        Some(fault)
    }

    /// A call, with what goes wrong before and after it.
    pub(super) async fn pass<T>(
        &self,
        operation: Operation,
        run: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let fault = self.next(operation, None);
        around(operation, fault, run).await
    }
}

/// What goes wrong with a call before and after it happens.
pub(super) async fn around<T>(
    operation: Operation,
    fault: Option<Fault>,
    run: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    before(operation, fault).await?;
    let outcome = run.await;
    match fault {
        Some(Fault::LostAnswer(kind)) => Err(injected(operation, kind)),
        Some(Fault::HangAfter) => pending().await,
        _ => outcome,
    }
}

pub(super) async fn before(operation: Operation, fault: Option<Fault>) -> Result<()> {
    match fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Error(kind)) => return Err(injected(operation, kind)),
        Some(Fault::Hang) => pending().await,
        _ => {}
    }
    Ok(())
}

pub(super) fn injected(operation: Operation, kind: ErrorKind) -> Error {
    Error::new(kind, operation.name()).with_backend("faulty").with_message(format!("injected: {kind}"))
}

impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults();
        f.debug_struct("FaultyStorage")
            .field("inner", &self.inner)
            .field("rules", &faults.rules)
            .field("seeded", &faults.seeded)
            .field("injected", &faults.injected.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    fn namespace(&self) -> &Namespace {
        self.inner.namespace()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let fault = self.next(Operation::Lookup, None);
        torn::resource(around(Operation::Lookup, fault, self.inner.lookup(key, now)).await?, fault).await
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        let fault = self.next(Operation::Read, None);
        torn::frames(around(Operation::Read, fault, self.inner.read(key, body, frames)).await?, fault).await
    }

    async fn writer(&self, ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        let inner = self.pass(Operation::Writer, self.inner.writer(ticket, body, now)).await?;
        Ok(Box::new(FaultyWriter::new(self.clone(), inner)))
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        self.pass(Operation::Commit, self.inner.commit(ticket, entry, change, now)).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        self.pass(Operation::Remove, self.inner.remove(key, only, now)).await
    }

    fn abilities(&self) -> Abilities<'_> {
        let inner = self.inner.abilities();
        let mut abilities = Abilities::none();
        if inner.leases.is_some() {
            abilities = abilities.with_leases(self);
        }
        if inner.tags.is_some() {
            abilities = abilities.with_tags(self);
        }
        if inner.listing.is_some() {
            abilities = abilities.with_listing(self);
        }
        if inner.touch.is_some() {
            abilities = abilities.with_touch(self);
        }
        if inner.events.is_some() {
            abilities = abilities.with_events(self);
        }
        abilities
    }

    async fn close(&self) -> Result<()> {
        self.pass(Operation::Close, self.inner.close()).await
    }
}
