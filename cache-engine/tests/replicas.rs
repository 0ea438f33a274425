//! Several engines over one store, as several processes have: one request to the origin for all of them.

use std::{sync::Arc, time::Duration};

use crate::support::{
    self, Bench, Got, Origin, Reply, TellsOfCommits, TestClock, get, memory, settle, with_field,
};
use bytes::Bytes;
use cache_api::{Acquired, CacheKey, Storage};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::{
    Clock as _, Engine, EngineBuilder, Source,
    policy::{Options, Reason},
};
use futures_util::{StreamExt as _, future::join_all, stream};
use http::header;
use tokio::sync::{Barrier, Semaphore};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// Engines over one store and one origin, each with flights of its own.
struct Replicas {
    engines: Vec<Engine<Origin>>,
    storage: Arc<dyn Storage>,
    origin: Origin,
    clock: TestClock,
}

impl Replicas {
    fn new(count: usize, origin: &Origin, configure: impl Fn(EngineBuilder) -> EngineBuilder) -> Self {
        Self::at(TestClock::new(), count, origin, configure)
    }

    fn at(
        clock: TestClock,
        count: usize,
        origin: &Origin,
        configure: impl Fn(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        Self::over(memory(), clock, count, origin, configure)
    }

    fn over(
        storage: Arc<dyn Storage>,
        clock: TestClock,
        count: usize,
        origin: &Origin,
        configure: impl Fn(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let engine = |_| {
            let builder = EngineBuilder::new().storage(Arc::clone(&storage)).clock(Arc::new(clock.clone()));
            configure(builder).build(origin.clone())
        };
        let engines = (0..count).map(engine).collect();
        Self { engines, storage, origin: origin.clone(), clock }
    }

    async fn get(&self, replica: usize) -> Got {
        Got::of(self.engines[replica].handle(get()).await.unwrap()).await.unwrap()
    }

    /// The key of what [`get`] asks for, once it was asked for.
    async fn key(&self) -> CacheKey {
        self.engines[0].handle(get()).await.unwrap().info.key.unwrap()
    }

    /// Takes the lease as a process that is not among these does.
    async fn lease_elsewhere(&self, key: &CacheKey, ttl: Duration) {
        let leases = self.storage.abilities().leases.unwrap();
        let acquired = leases.acquire(key, ttl, self.clock.now()).await.unwrap();
        assert!(matches!(acquired, Acquired::Held(_)), "{acquired:?}");
    }
}

/// An origin whose answers wait at a gate.
fn gated(gate: &Arc<Semaphore>) -> Origin {
    let gate = Arc::clone(gate);
    Origin::new(move |nth, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Reply::new(200, &[FRESH], nth.to_string()))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_cold_requests_of_four_replicas_are_one() {
    let origin = Origin::new(|nth, _| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Reply::new(200, &[FRESH], nth.to_string()))
    });
    let replicas = Arc::new(Replicas::new(4, &origin, |builder| builder));
    let callers = (0..1000).map(|number| {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move { replicas.get(number % 4).await.body })
    });
    for body in join_all(callers).await {
        assert_eq!(body.unwrap(), "0");
    }
    assert_eq!(origin.requests(), 1);
}

#[tokio::test]
async fn validations_are_one() {
    let origin = Origin::new(|_, request| async move {
        settle().await;
        let fields = [FRESH, ("etag", "\"a\"")];
        Ok(match request.headers.get(header::IF_NONE_MATCH) {
            None => Reply::new(200, &fields, "body"),
            Some(_) => Reply::streamed(304, &fields, stream::empty()),
        })
    });
    let replicas = Replicas::new(3, &origin, |builder| builder);
    replicas.get(0).await;
    replicas.clock.forward(100);
    for got in join_all((0..30).map(|number| replicas.get(number % 3))).await {
        assert_eq!(got.text(), "body");
    }
    assert_eq!(origin.requests(), 2);
}

#[tokio::test]
async fn refreshes_in_the_background_are_one() {
    let gate = Arc::new(Semaphore::new(1));
    let origin = Origin::new({
        let gate = Arc::clone(&gate);
        move |nth, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                let fields = [("cache-control", "max-age=1, stale-while-revalidate=600")];
                Ok(Reply::new(200, &fields, nth.to_string()))
            }
        }
    });
    let replicas = Replicas::new(3, &origin, |builder| builder);
    replicas.get(0).await;
    replicas.clock.forward(10);
    for got in join_all((0..3).map(|replica| replicas.get(replica))).await {
        assert_eq!((got.text(), got.info.source), ("0", Source::Stale));
    }
    gate.add_permits(10);
    join_all(replicas.engines.iter().map(Engine::close)).await.into_iter().for_each(|closed| closed.unwrap());
    assert_eq!(origin.requests(), 2);
}

#[tokio::test]
async fn early_refreshes_are_one() {
    let (gate, clock) = (Arc::new(Semaphore::new(1)), TestClock::new());
    let origin = Origin::new({
        let (gate, clock) = (Arc::clone(&gate), clock.clone());
        move |nth, _| {
            let (gate, clock) = (Arc::clone(&gate), clock.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                clock.forward(2);
                Ok(Reply::new(200, &[FRESH], nth.to_string()))
            }
        }
    });
    // So eager that it is always due.
    let eager = Options::new().early_refresh(f32::MAX);
    let replicas = Replicas::at(clock, 3, &origin, |builder| builder.options(eager.clone()));
    replicas.get(0).await;
    for got in join_all((0..9).map(|number| replicas.get(number % 3))).await {
        assert_eq!((got.text(), got.info.source), ("0", Source::Store));
        assert!(got.info.reasons.contains(Reason::EarlyRefresh));
    }
    gate.add_permits(10);
    join_all(replicas.engines.iter().map(Engine::close)).await.into_iter().for_each(|closed| closed.unwrap());
    assert_eq!(origin.requests(), 2);
}

/// Who wants the lease that this process is giving back waits for that, and does not ask for it time and again.
#[tokio::test(start_paused = true)]
async fn a_lease_on_its_way_back_is_asked_for_once() {
    let origin = Origin::new(|nth, request| async move {
        let fields = [("cache-control", "max-age=1"), ("etag", "\"a\"")];
        Ok(match request.headers.get(header::IF_NONE_MATCH) {
            None => Reply::new(200, &fields, nth.to_string()),
            Some(_) => Reply::streamed(304, &fields, stream::empty()),
        })
    });
    let storage = FaultyStorage::new(memory());
    storage.inject(Rule::on(Operation::Release, Fault::Delay(Duration::from_millis(50))));
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
    for nth in 1..=20 {
        bench.get().await;
        bench.clock.forward(2);
        assert_eq!(bench.origin.requests(), nth);
        assert_eq!(storage.calls(Operation::Acquire), nth as u64);
    }
}

/// Two replicas over a store with events; the origin takes its time.
fn told(storage: &TellsOfCommits, origin_takes: Duration) -> Replicas {
    let origin = Origin::new(move |nth, _| async move {
        tokio::time::sleep(origin_takes).await;
        Ok(Reply::new(200, &[("cache-control", "max-age=1")], nth.to_string()))
    });
    Replicas::over(Arc::new(storage.clone()), TestClock::new(), 2, &origin, |builder| builder)
}

impl Replicas {
    /// How much later the second replica has its answer than the first one, over several fetches.
    async fn lags(&self) -> Vec<Duration> {
        let mut lags = Vec::new();
        for nth in 0..8 {
            let at = async |replica| (self.get(replica).await, tokio::time::Instant::now());
            let ((led, first), (followed, second)) = tokio::join!(at(0), at(1));
            assert_eq!((led.text(), followed.text()), (&*nth.to_string(), &*nth.to_string()));
            lags.push(second.max(first) - second.min(first));
            self.clock.forward(2);
        }
        assert_eq!(self.origin.requests(), 8);
        lags
    }
}

/// Where the store tells what others commit, who waits for it asks at once, and not after a pause of up to 200 ms.
#[tokio::test(start_paused = true)]
async fn what_another_process_stores_wakes_who_waits() {
    let storage = TellsOfCommits::new(memory());
    let replicas = told(&storage, Duration::from_secs(3));
    let lags = replicas.lags().await;
    assert!(lags.iter().all(|lag| *lag <= Duration::from_millis(10)), "{lags:?}");
    // One for each replica that ever waited, and not one a wait.
    let subscriptions = storage.ability.subscriptions();
    assert!((1..=2).contains(&subscriptions), "{subscriptions}");
    // It ends when nobody waited for a while, and with its engine.
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(storage.ability.standing(), 0);
    tokio::join!(replicas.get(0), replicas.get(1));
    assert_eq!(storage.ability.standing(), 1);
    drop(replicas);
    settle().await;
    assert_eq!(storage.ability.standing(), 0);
}

/// A channel that is down costs no more than the pauses.
#[tokio::test(start_paused = true)]
async fn without_its_events_a_store_is_asked_from_time_to_time() {
    let storage = TellsOfCommits::new(memory());
    storage.ability.fail();
    let lags = told(&storage, Duration::from_secs(3)).lags().await;
    assert!(lags.iter().all(|lag| *lag <= Duration::from_millis(200)), "{lags:?}");
    assert!(storage.ability.subscriptions() >= 2);
}

/// Most fetches are over before a subscription would help.
#[tokio::test(start_paused = true)]
async fn short_waits_subscribe_to_nothing() {
    let storage = TellsOfCommits::new(memory());
    told(&storage, Duration::from_millis(10)).lags().await;
    assert_eq!(storage.ability.subscriptions(), 0);
}

/// The lease of a process that died ends, and with it the wait.
#[tokio::test(start_paused = true)]
async fn a_dead_leader_holds_nobody_up_for_long() {
    let gate = Arc::new(Semaphore::new(1));
    let replicas = Arc::new(Replicas::new(1, &gated(&gate), |builder| builder));
    let key = replicas.key().await;
    replicas.storage.remove(&key, None, replicas.clock.now()).await.unwrap();
    replicas.lease_elsewhere(&key, Duration::from_secs(5)).await;
    let waiting = tokio::spawn({
        let replicas = Arc::clone(&replicas);
        async move { replicas.get(0).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(replicas.origin.requests(), 1, "the lease lives still");
    replicas.clock.forward(5);
    gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().text(), "1");
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_another_process_fetches_for_itself() {
    let gate = Arc::new(Semaphore::new(10));
    let replicas = Replicas::new(1, &gated(&gate), |builder| builder.wait_for_leader(Duration::from_secs(2)));
    let key = replicas.key().await;
    replicas.storage.remove(&key, None, replicas.clock.now()).await.unwrap();
    replicas.lease_elsewhere(&key, Duration::from_secs(3600)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(replicas.get(0).await.text(), "1");
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Settings of any size work.
#[tokio::test]
async fn extreme_settings_are_no_panic() {
    for extreme in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let origin = Origin::always(200, &[FRESH], "body");
        let configure =
            |builder: EngineBuilder| builder.wait_for_leader(extreme).lease(extreme).hit_for_miss(extreme);
        let replicas = Replicas::new(2, &origin, configure);
        assert_eq!((replicas.get(0).await.text(), replicas.get(1).await.text()), ("body", "body"));
        assert_eq!(origin.requests(), 1);
    }
}

/// A lease is given back when its fetch ends, however that ends.
#[tokio::test]
async fn leases_are_given_back() {
    let origin = Origin::new(|nth, _| async move {
        match nth {
            0 => Ok(Reply::new(200, &[("cache-control", "max-age=1")], "stored")),
            1 => Ok(Reply::new(503, &[], "not stored")),
            2 => Err(support::OriginError("down")),
            _ => std::future::pending().await,
        }
    });
    let replicas = Replicas::new(1, &origin, |builder| builder);
    let mut key = None;
    for nth in 0..4 {
        match nth {
            3 => {
                // Its caller goes away.
                let cut = tokio::time::timeout(Duration::from_millis(50), replicas.engines[0].handle(get()));
                assert!(cut.await.is_err());
            }
            _ => {
                if let Ok(answered) = replicas.engines[0].handle(get()).await {
                    key = answered.info.key.or(key);
                    Got::of(answered).await.unwrap();
                }
            }
        }
        assert_eq!(origin.requests(), nth + 1);
        settle().await;
        replicas.lease_elsewhere(&key.unwrap(), Duration::from_millis(1)).await;
        replicas.clock.forward(10);
    }
}

/// All ask at once: they meet at the origin, which answers none of them before all are there.
#[tokio::test]
async fn what_must_not_be_stored_is_not_queued_for() {
    let meeting = Arc::new(Barrier::new(50));
    let origin = Origin::new({
        move |nth, _| {
            let meeting = Arc::clone(&meeting);
            async move {
                if nth > 0 {
                    meeting.wait().await;
                }
                Ok(Reply::new(200, &[("cache-control", "no-store")], nth.to_string()))
            }
        }
    });
    let replicas = Replicas::new(5, &origin, |builder| builder);
    let key = replicas.key().await;
    settle().await;
    // Replica 0 remembers, the others learn of it from the store.
    let all = join_all((0..50).map(|number| replicas.get(number % 5)));
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("they stand in a queue");
    assert_eq!(origin.requests(), 51);
    // And not for ever.
    replicas.clock.forward(10);
    replicas.lease_elsewhere(&key, Duration::from_secs(1)).await;
}

/// Requests that are known to select different variants do not wait for each other.
#[tokio::test]
async fn variants_do_not_wait_for_each_other() {
    let meeting = Arc::new(Barrier::new(2));
    let origin = Origin::new({
        move |nth, request| {
            let meeting = Arc::clone(&meeting);
            async move {
                if nth > 0 {
                    meeting.wait().await;
                }
                let language = request.headers[header::ACCEPT_LANGUAGE].to_str().unwrap().to_owned();
                Ok(Reply::new(200, &[FRESH, ("vary", "accept-language")], language))
            }
        }
    });
    let replicas = Replicas::new(2, &origin, |builder| builder);
    let ask = |replica: usize, language: &'static str| {
        let engine = replicas.engines[replica].clone();
        async move {
            let answered = engine.handle(with_field(get(), "accept-language", language)).await.unwrap();
            Got::of(answered).await.unwrap().text().to_owned()
        }
    };
    assert_eq!(ask(0, "en").await, "en");
    let both = async { tokio::join!(ask(0, "de"), ask(1, "fr")) };
    let both = tokio::time::timeout(Duration::from_secs(20), both).await.expect("one waits for the other");
    assert_eq!(both, ("de".to_owned(), "fr".to_owned()));
}

/// A caller that does not read its body does not hold other processes up.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_gives_its_lease_up() {
    let origin = Origin::new(|_, _| async {
        let body = stream::iter(0..1000).map(|_| Ok(Bytes::from_static(&[7; 10_000])));
        Ok(Reply::streamed(200, &[FRESH], body))
    });
    let replicas = Replicas::new(2, &origin, |builder| builder);
    let unread = replicas.engines[0].handle(get()).await.unwrap();
    let other = tokio::time::timeout(Duration::from_secs(10), replicas.get(1)).await.expect("held up");
    assert_eq!(other.body.len(), 10_000_000);
    assert_eq!(origin.requests(), 2);
    assert_eq!(Got::of(unread).await.unwrap().body.len(), 10_000_000);
}
