use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_api::{CacheKey, Limits, Namespace, Storage, TagDigest, VariantId};

use crate::{
    Damage, OwnServer, RawStore, Remote, Subject,
    clock::Clock,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure},
    store::Store,
    suite::{Ability, Plan},
};

/// What a case works with: storages in namespaces of its own, a clock, and entries to store.
#[derive(Clone)]
pub(crate) struct Bench(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    clock: Clock,
    /// Random: tells this run of this case from any other.
    id: [u8; 8],
    seeds: AtomicU64,
    opened: Mutex<Vec<Arc<dyn Storage>>>,
}

impl Bench {
    pub(crate) fn new(plan: Arc<Plan>) -> Outcome<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|e| Failure::new(format!("no random bytes: {e}")))?;
        let clock = Clock::start();
        Ok(Self(Arc::new(Inner { plan, clock, id, seeds: AtomicU64::new(1), opened: Mutex::default() })))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The smallest step that the store's expiry can tell.
    pub(crate) fn granularity(&self) -> Duration {
        self.0.plan.granularity
    }

    /// Whether the store deletes by a clock of its own.
    pub(crate) fn native_expiry(&self) -> bool {
        self.0.plan.native_expiry
    }

    /// How many entries are more than any page holds.
    pub(crate) fn many(&self) -> u64 {
        self.0.plan.many
    }

    pub(crate) fn declares(&self, ability: Ability) -> bool {
        !self.0.plan.without.contains(&ability)
    }

    /// Lets `by` pass on the case's clock, and on the server's where it deletes by its own.
    pub(crate) async fn pass(&self, by: Duration) {
        self.clock().advance(by);
        if self.native_expiry() {
            tokio::time::sleep(by).await;
        }
    }

    /// The case's storage, with default limits.
    pub(crate) async fn open(&self) -> Outcome<Store> {
        self.open_with("", Limits::default()).await
    }

    /// One of several storages on the case's store. Where the suite was told so, it is given time to see what another
    /// one changed.
    pub(crate) async fn open_replica(&self) -> Outcome<Store> {
        Ok(self.open().await?.eventual(self.0.plan.eventual))
    }

    /// A storage in the case's namespace with that suffix.
    pub(crate) async fn open_with(&self, suffix: &str, limits: Limits) -> Outcome<Store> {
        Ok(self.store(self.storage(suffix, limits).await?))
    }

    /// A storage in the case's namespace with that suffix, under the serializer that hides what it is given.
    pub(crate) async fn open_hidden(&self, suffix: &str) -> Outcome<Store> {
        let serializer = self.0.plan.hiding.clone();
        let serializer = serializer.ok_or_else(|| Failure::new("no serializer hides what it is given"))?;
        let storage = self.storage(suffix, Limits::default()).await?;
        Ok(Store::new(storage, serializer, self.clock().clone()))
    }

    async fn storage(&self, suffix: &str, limits: Limits) -> Outcome<Arc<dyn Storage>> {
        let namespace = self.namespace(suffix)?;
        let storage = self.0.plan.subject.open(&namespace, limits).await;
        let storage = storage.map_err(|e| Failure::of(&*e).while_doing("the subject does not open"))?;
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&storage));
        Ok(storage)
    }

    /// A storage that is not cleared at the end of the case.
    fn store(&self, storage: Arc<dyn Storage>) -> Store {
        Store::new(storage, Arc::clone(&self.0.plan.serializer), self.clock().clone())
    }

    /// The way to the store.
    pub(crate) fn remote(&self) -> Outcome<&dyn Remote> {
        self.0.plan.subject.remote().ok_or_else(|| Failure::new("the subject is not remote any more"))
    }

    /// A server that the case may kill.
    pub(crate) fn own_server(&self) -> Outcome<Arc<dyn OwnServer>> {
        self.0
            .plan
            .subject
            .own_server()
            .ok_or_else(|| Failure::new("the subject has no server of its own any more"))
    }

    /// A storage over a server at that address, in the case's namespace.
    pub(crate) async fn open_at(&self, remote: &dyn Remote, address: &str) -> Outcome<Store> {
        let storage = remote.open_at(address, &self.namespace("")?, Limits::default()).await;
        Ok(self.store(storage.map_err(|e| Failure::of(&*e).while_doing("the subject does not open there"))?))
    }

    /// A storage on a server that the case started.
    pub(crate) async fn open_on(&self, subject: &dyn Subject) -> Outcome<Store> {
        match subject.remote() {
            Some(remote) => self.open_at(remote, &remote.address()).await,
            None => Err(Failure::new("the server that was started for the case is not remote")),
        }
    }

    /// What the trial of that case is called.
    pub(crate) fn trial(&self, case: &str) -> String {
        format!("{}::{case}", self.0.plan.name)
    }

    /// How many values the store holds of a resource.
    pub(crate) async fn count(&self, key: &CacheKey) -> Outcome<u64> {
        let count = self.raw()?.count(&self.namespace("")?, key).await;
        count.map_err(|e| Failure::of(&*e).while_doing("counting what the store holds"))
    }

    /// All that the store holds of the namespace with that suffix.
    pub(crate) async fn dump(&self, suffix: &str) -> Outcome<Vec<Vec<u8>>> {
        let dump = self.raw()?.dump(&self.namespace(suffix)?).await;
        dump.map_err(|e| Failure::of(&*e).while_doing("reading what the store holds"))
    }

    fn raw(&self) -> Outcome<&dyn RawStore> {
        self.0.plan.subject.raw().ok_or_else(|| Failure::new("the subject has no raw store any more"))
    }

    pub(crate) fn namespace(&self, suffix: &str) -> Outcome<Namespace> {
        let id = u64::from_le_bytes(self.0.id);
        Namespace::new(&format!("conformance-{id:016x}{suffix}")).context("no namespace")
    }

    /// The case's resource of that number.
    pub(crate) fn key(&self, number: u64) -> CacheKey {
        let mut key = [0; 32];
        let bytes = self.0.id.into_iter().chain(number.to_le_bytes()).cycle();
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = from;
        }
        CacheKey::from_bytes(key)
    }

    /// An entry of that resource with content that no other has.
    pub(crate) fn draft(&self, key: CacheKey) -> Draft {
        Draft::new(key, self.seed(), self.clock())
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.seeds.fetch_add(1, Ordering::Relaxed)
    }

    /// A seed of content that no other case has either.
    pub(crate) fn own_seed(&self) -> u64 {
        u64::from_le_bytes(self.0.id).wrapping_add(self.seed())
    }

    /// Damages what the store holds of a resource.
    pub(crate) async fn damage(&self, key: &CacheKey, damage: Damage) -> Outcome<u64> {
        let changed = self.raw()?.damage(&self.namespace("")?, key, damage).await;
        let changed = changed.map_err(|e| Failure::of(&*e).while_doing("damaging the store"))?;
        ensure!(
            changed > 0,
            "damaging the store with {damage:?} changed nothing: the case would check nothing"
        );
        Ok(changed)
    }

    /// Takes out of the store what the case put in, as far as it can.
    pub(crate) async fn clean(&self) {
        let opened = std::mem::take(&mut *self.0.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for storage in opened {
            if let Some(listing) = storage.abilities().listing {
                let later = crate::clock::later(self.clock().now(), storage.limits().tombstone() * 2);
                // Some cases leave a storage closed or damaged: what cannot be cleared expires.
                let _ = listing.clear(self.clock().now()).await;
                let _ = listing.sweep(later).await;
            }
            let _ = storage.close().await;
        }
    }
}

/// The variant of that number.
pub(crate) fn variant(number: u8) -> VariantId {
    VariantId::from_bytes([number; 16])
}

/// The tag of that name.
pub(crate) fn tag(name: &str) -> TagDigest {
    TagDigest::of(name)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
