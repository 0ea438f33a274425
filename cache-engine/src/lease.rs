//! Single flight across processes: the leader of a flight takes the resource's lease in the store that they share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use cache_api::{Acquired, CacheKey, Lease, Outcome};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    flight::FlightKey,
    meters::Began,
    news::{self, News},
    settings::Settings,
    stats::{Leader, Operation, Wait},
    store::Store,
};

/// The first pause before a lease that another holds is asked for again; each pause is twice the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Who is to pause for so long hears of what is stored, where the store has events: that takes a subscription, and most fetches are
/// over sooner.
const LONG_PAUSE: Duration = Duration::from_millis(40);

/// The shortest pause between two prolongations of a lease.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// What came of asking for a lease.
pub(crate) enum Crossing {
    /// It is ours. Whoever held it before may have stored what is wanted: look again.
    Held(Box<Held>),
    /// Another holds it.
    Busy,
    /// Nobody is to wait: the last answer was for its caller alone, and is remembered as such until then.
    Uncacheable(SystemTime),
    /// There are no leases, the store fails, or another holds it for too long.
    Open,
}

/// A lease that is held. It is kept alive until it is released, or dropped, which releases it too.
#[derive(Debug)]
pub(crate) struct Held {
    released: Option<Release>,
    keeper: AbortHandle,
    runtime: Handle,
}

#[derive(Debug)]
struct Release {
    store: Store,
    lease: Lease,
    returns: Returns,
    /// How long an answer that cannot be stored is remembered.
    hit_for_miss: Duration,
    /// Who closes the engine waits for leases to be given back.
    tasks: TaskTracker,
}

/// The leases that this process is giving back. Who wants one of them next waits for that, and not as for another's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Returns(Arc<Mutex<HashMap<CacheKey, watch::Receiver<()>>>>);

/// A lease that is being given back, until this is dropped.
struct Return {
    returns: Returns,
    key: CacheKey,
    over: watch::Sender<()>,
}

impl Returns {
    fn begin(&self, key: CacheKey) -> Return {
        let (over, under_way) = watch::channel(());
        self.lock().insert(key, under_way);
        Return { returns: self.clone(), key, over }
    }

    /// Waits until that lease is given back, if it is being.
    async fn over(&self, key: &CacheKey) {
        let under_way = self.lock().get(key).cloned();
        if let Some(mut under_way) = under_way {
            // Nothing is ever sent: it ends when the other end goes.
            let _ = under_way.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        let mut returns = self.returns.lock();
        // It may be given back another time already.
        if returns.get(&self.key).is_some_and(|one| one.same_channel(&self.over.subscribe())) {
            returns.remove(&self.key);
        }
    }
}

/// How this process takes leases, waits for those of others, and gives its own back.
#[derive(Debug)]
pub(crate) struct Leasing {
    returns: Returns,
    news: News,
    tasks: TaskTracker,
}

impl Leasing {
    /// Who closes the engine waits for these tasks.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { returns: Returns::default(), news: News::default(), tasks }
    }

    /// Takes the lease of what a flight wants, if nobody holds it.
    pub(crate) async fn acquire(&self, store: &Store, flight: &FlightKey, settings: &Settings) -> Crossing {
        let leases = store.storage.abilities().leases.filter(|_| !settings.lease.is_zero());
        let Some(leases) = leases else { return Crossing::Open };
        let key = lease_key(flight);
        // A store that is slow with that is as slow with this.
        let _ = timeout(store.deadlines.read, self.returns.over(&key)).await;
        let now = store.clock.now();
        let acquire = leases.acquire(&key, settings.lease, now);
        match store.within(Operation::Acquire, store.deadlines.read, acquire).await {
            Ok(Acquired::Held(lease)) => {
                let release = Release {
                    store: store.clone(),
                    lease,
                    returns: self.returns.clone(),
                    hit_for_miss: settings.hit_for_miss,
                    tasks: self.tasks.clone(),
                };
                Crossing::Held(Box::new(release.keep(settings.lease)))
            }
            Ok(Acquired::Busy { .. }) => Crossing::Busy,
            Ok(Acquired::Uncacheable { until }) => Crossing::Uncacheable(until),
            _ => Crossing::Open,
        }
    }

    /// The same, and waits for who holds it, up to the wait that the settings allow. Never [`Crossing::Busy`].
    pub(crate) async fn wait(&self, store: &Store, flight: &FlightKey, settings: &Settings) -> Crossing {
        // A wait beyond what an instant can hold has no end.
        let end = Instant::now().checked_add(settings.wait_for_leader);
        let (mut pause, mut has_paused, mut wait) = (FIRST_PAUSE, false, None);
        let began = Began::now();
        let ended = |wait| store.observer.waits.ended((Leader::Replica, wait), &began);
        loop {
            match self.acquire(store, flight, settings).await {
                Crossing::Busy => {}
                crossing => {
                    if has_paused {
                        ended(Wait::Over);
                    }
                    return crossing;
                }
            }
            let until = Instant::now() + jittered(pause);
            if end.is_some_and(|end| until > end) {
                ended(Wait::GaveUp);
                tracing::debug!(storage = %store.storage, "another process took too long: fetching without its lease");
                return Crossing::Open;
            }
            if pause >= LONG_PAUSE && wait.is_none() {
                wait = self.news.of(flight.0, &store.storage);
            }
            has_paused = true;
            tokio::select! {
                () = tokio::time::sleep_until(until) => pause = (pause * 2).min(LONGEST_PAUSE),
                // What is stored is told before its lease is back, if only just.
                () = news(&mut wait) => pause = FIRST_PAUSE,
            }
        }
    }
}

/// Never resolves where there is nobody to tell.
async fn news(wait: &mut Option<news::Wait>) {
    match wait {
        Some(wait) => wait.news().await,
        None => std::future::pending().await,
    }
}

impl Held {
    /// Gives the lease back, and says what came of it.
    pub(crate) fn release(mut self, is_cacheable: bool) {
        self.give_back(is_cacheable);
    }

    fn give_back(&mut self, is_cacheable: bool) {
        let Some(Release { store, lease, returns, hit_for_miss, tasks }) = self.released.take() else {
            return;
        };
        self.keeper.abort();
        let outcome = if is_cacheable { Outcome::Done } else { Outcome::Uncacheable(hit_for_miss) };
        let (tracked, under_way) = (tasks.token(), returns.begin(lease.key));
        let giving_back = async move {
            let _until_done = (tracked, under_way);
            let Some(leases) = store.storage.abilities().leases else { return };
            let release = leases.release(&lease, outcome, store.clock.now());
            // A failure is reported; the lease then ends by itself.
            let _ = store.within(Operation::Release, store.deadlines.write, release).await;
        };
        self.runtime.spawn(giving_back.in_current_span());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back(true);
    }
}

impl Release {
    fn keep(self, ttl: Duration) -> Held {
        let runtime = Handle::current();
        let (store, lease) = (self.store.clone(), self.lease.clone());
        let keeping = async move {
            loop {
                tokio::time::sleep((ttl / 3).max(SHORTEST_REST)).await;
                let Some(leases) = store.storage.abilities().leases else { return };
                let extend = leases.extend(&lease, ttl, store.clock.now());
                // A lease that is lost stays lost: the ticket keeps what is stored under it from overwriting.
                if let Ok(false) = store.within(Operation::Extend, store.deadlines.write, extend).await {
                    return;
                }
            }
        };
        let keeper = runtime.spawn(keeping.in_current_span());
        Held { keeper: keeper.abort_handle(), released: Some(self), runtime }
    }
}

/// Between half of it and all: processes that wait for one lease do not ask for it all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Requests that are known to select different variants do not wait for each other.
fn lease_key((key, selection): &FlightKey) -> CacheKey {
    if *selection == [0; 16] {
        return *key;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"http-cache/lease/1\0").update(key.as_bytes()).update(selection);
    CacheKey::from_bytes(*hasher.finalize().as_bytes())
}
