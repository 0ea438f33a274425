//! What is counted, by a snapshot and by a recorder; spans and events; and the tables that name them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it fails"
)]

mod events;
mod recording;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cache_api::{ErrorKind, Keyed, key_fn};
use cache_conformance::fault::{Fault, FaultyStorage, Operation as Fails, Rule};
use cache_engine::{
    EngineBuilder, Request,
    policy::{Controls, Expiry, Forward, Mode, Options},
    stats::{
        Bypass, Ended, Failure, Flow, Leader, NotStored, Operation, Outcome, Purpose, Refresh, Reply, Stats,
        Stored, Wait,
    },
};
use futures_util::{FutureExt, future::join_all, stream};
use http::{Method, StatusCode};
use recording::seen;
use support::{Bench, Got, Origin, OriginError, Reply as Answer, chunked, get, memory, pattern, settle};

const REQUESTS: &str = "http_cache_requests_total";
const FETCHES: &str = "http_cache_origin_request_duration_seconds";
const OPERATIONS: &str = "http_cache_storage_operation_duration_seconds";
const ERRORS: &str = "http_cache_storage_errors_total";

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

fn with(controls: impl FnOnce(&mut Controls)) -> Request<Bytes> {
    let mut request = get();
    controls(&mut request.controls);
    request
}

/// An origin that answers so at first, and then confirms it, refuses, fails or answers anew.
fn changing(first: &'static [(&str, &str)], then: fn() -> Result<Answer, OriginError>) -> Origin {
    Origin::new(
        move |nth, _| async move { if nth == 0 { Ok(Answer::new(200, first, "first")) } else { then() } },
    )
}

async fn hit() -> Bench {
    let bench = Bench::new(Origin::always(200, FRESH, "answer"));
    for _ in 0..3 {
        bench.get().await;
    }
    bench
}

#[test]
fn a_hit_and_a_miss() {
    let (bench, seen) = seen(hit());
    let stats = bench.engine.stats();
    assert_eq!((stats.requests.get(Outcome::Miss), stats.requests.get(Outcome::Hit)), (1, 2));
    assert_eq!((stats.requests.total(), stats.hit_ratio()), (3, Some(2.0 / 3.0)));
    assert_eq!((stats.forwards.get(Forward::UriMiss), stats.forwards.total()), (1, 1));
    assert_eq!((stats.stored.get(Stored::Response), stats.not_stored.total()), (1, 0));
    assert_eq!((stats.body_bytes.get(Flow::Store), stats.body_bytes.get(Flow::Origin)), (12, 6));
    assert_eq!(stats.origin_requests.get((Purpose::Fetch, Reply::Success)), 1);
    let storage = stats.storage.as_ref().unwrap();
    assert_eq!((&*storage.backend, storage.breaker_open), ("memory", false));
    // The leader of a flight looks again when it has the lease.
    assert_eq!(storage.operations.get((Operation::Lookup, Ended::Ok)), 4);
    assert_eq!((storage.operations.of(Operation::Commit), storage.errors.total()), (1, 0));

    assert_eq!(seen.count(REQUESTS, &[("outcome", "hit")]), 2.0);
    assert_eq!(seen.count(FETCHES, &[("purpose", "fetch"), ("reply", "2xx")]), 1.0);
    assert_eq!(seen.count("http_cache_body_bytes_total", &[("source", "store")]), 12.0);
    assert_eq!(
        seen.count(OPERATIONS, &[("backend", "memory"), ("operation", "lookup"), ("result", "ok")]),
        4.0
    );

    let spans = seen.spans("http_cache.request");
    assert_eq!(spans.len(), 3);
    let last = &spans[2].fields;
    let key = bench.engine.handle(get()).now_or_never().unwrap().unwrap().info.key.unwrap().to_string();
    for (field, value) in
        [("method", "GET"), ("host", "origin.test"), ("outcome", "hit"), ("status", "200"), ("key", &*key)]
    {
        assert_eq!(last[field], value);
    }
    assert!(last["reason"].starts_with("the stored response is fresh"), "{last:?}");
    assert_eq!(seen.spans("http_cache.fetch")[0].within, ["http_cache.request"]);
    assert!(seen.spans("http_cache.storage").iter().all(|span| span.within.contains(&"http_cache.request")));
}

async fn stale() -> Bench {
    let bench =
        Bench::new(Origin::always(200, &[("cache-control", "max-age=1, stale-while-revalidate=60")], "x"));
    bench.get().await;
    bench.clock.forward(10);
    bench.get().await;
    settle().await;
    bench.get().await;
    bench
}

#[test]
fn a_stale_answer_and_its_refresh() {
    let (bench, seen) = seen(stale());
    let stats = bench.engine.stats();
    assert_eq!(
        [Outcome::Miss, Outcome::Stale, Outcome::Hit].map(|outcome| stats.requests.get(outcome)),
        [1, 1, 1]
    );
    assert_eq!(stats.refreshes.get(Refresh::Done), 1);
    assert_eq!(stats.origin_requests.get((Purpose::Refresh, Reply::Success)), 1);
    let fetches = seen.spans("http_cache.fetch");
    assert_eq!(fetches[1].fields["purpose"], "refresh");
    assert_eq!(fetches[1].within, ["http_cache.request", "http_cache.refresh"]);
}

async fn revalidated() -> Bench {
    const STALE: &[(&str, &str)] = &[("cache-control", "max-age=1"), ("etag", "\"a\"")];
    let bench = Bench::new(changing(STALE, || Ok(Answer::new(304, STALE, ""))));
    bench.get().await;
    bench.clock.forward(10);
    bench.get().await;
    bench
}

#[test]
fn a_validation() {
    let (bench, seen) = seen(revalidated());
    let stats = bench.engine.stats();
    assert_eq!((stats.requests.get(Outcome::Revalidated), stats.forwards.get(Forward::Stale)), (1, 1));
    assert_eq!((stats.stored.get(Stored::Response), stats.stored.get(Stored::Head)), (1, 1));
    assert_eq!(seen.count(FETCHES, &[("purpose", "validate"), ("reply", "3xx")]), 1.0);
    assert_eq!(seen.spans("http_cache.request")[1].fields["outcome"], "revalidated");
}

/// What fails: the origin, the caller's patience, what the caller asks for.
async fn failing() -> Bench {
    const STALE: &[(&str, &str)] = &[("cache-control", "max-age=1, stale-if-error=60")];
    let bench = Bench::new(changing(STALE, || Err(OriginError("down"))));
    bench.get().await;
    bench.clock.forward(10);
    bench.get().await;
    bench.clock.forward(100);
    bench.engine.handle(get()).await.unwrap_err();
    bench.send(with(|controls| controls.only_if_cached = true)).await;
    bench
        .engine
        .handle(with(|controls| (controls.only_if_cached, controls.reload) = (true, true)))
        .await
        .unwrap_err();
    bench
}

#[test]
fn a_failing_origin() {
    let (bench, seen) = seen(failing());
    let stats = bench.engine.stats();
    let outcomes = [Outcome::StaleIfError, Outcome::Error, Outcome::Unsatisfiable];
    assert_eq!(outcomes.map(|outcome| stats.requests.get(outcome)), [1, 2, 1]);
    assert_eq!((stats.origin_requests.of(Purpose::Fetch), stats.negative_hits, stats.in_flight), (3, 0, 0));
    assert_eq!(seen.count(FETCHES, &[("reply", "error")]), 2.0);
}

async fn past() -> Vec<(Bypass, Stats)> {
    let origin = || Origin::always(200, FRESH, "answer");
    let plain = |bench: Bench| (bench, get());
    let keyless = |answer: fn() -> cache_api::Result<Keyed>| {
        let key = key_fn(move |_: &cache_api::KeyRequest<'_>| async move { answer() });
        plain(Bench::with(origin(), memory(), |builder| builder.key(Arc::new(key))))
    };
    let closed = Bench::new(origin());
    closed.engine.close().await.unwrap();
    let disabled = Bench { engine: EngineBuilder::new().build(origin()), ..Bench::new(origin()) };
    let suspended = Bench::new(origin());
    let _guard = suspended.engine.suspend();
    let mut post = get();
    post.method = Method::POST;
    let cases = [
        (Bypass::Disabled, plain(disabled)),
        (Bypass::Closed, plain(closed)),
        (Bypass::Suspended, plain(suspended)),
        (Bypass::Key, keyless(|| Ok(Keyed::Bypass("not this".into())))),
        (Bypass::Key, keyless(|| Err(cache_api::Error::new(ErrorKind::Other, "key")))),
        (Bypass::Caller, (Bench::new(origin()), with(|controls| controls.bypass = true))),
        (Bypass::Method, (Bench::new(origin()), post)),
        (Bypass::Host, (Bench::new(origin()), support::with_field(get(), "host", "another.test"))),
    ];
    let mut all = Vec::new();
    for (reason, (bench, request)) in cases {
        bench.send(request).await;
        all.push((reason, bench.engine.stats()));
    }
    all
}

#[test]
fn what_goes_past_is_counted_by_why() {
    let (all, seen) = seen(past());
    for (reason, stats) in &all {
        assert_eq!((stats.bypasses.get(*reason), stats.bypasses.total()), (1, 1), "{reason} {stats}");
        assert_eq!((stats.requests.get(Outcome::Bypass), stats.requests.total()), (1, 1), "{reason}");
        assert_eq!(stats.origin_requests.get((Purpose::Bypass, Reply::Success)), 1, "{reason}");
        assert_eq!(stats.not_stored.total(), 0, "{reason}");
    }
    assert_eq!(seen.count("http_cache_bypasses_total", &[("reason", "key")]), 2.0);
    assert_eq!(seen.said("the key function lets the request pass") + seen.said("no key could be made"), 2);
}

async fn negative() -> Bench {
    let bench = Bench::new(Origin::always(404, FRESH, "none"));
    bench.get().await;
    bench.get().await;
    bench
}

#[test]
fn a_stored_error_is_a_hit_of_its_own_kind() {
    let (bench, seen) = seen(negative());
    let stats = bench.engine.stats();
    assert_eq!((stats.requests.get(Outcome::Hit), stats.negative_hits), (1, 1));
    assert_eq!(seen.count("http_cache_negative_hits_total", &[]), 1.0);
}

fn slow(seconds: u64) -> Origin {
    Origin::new(move |nth, _| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(Answer::new(200, FRESH, nth.to_string()))
    })
}

/// Requests that wait for another, for long enough and not; and for another process.
async fn waiting() -> [Stats; 3] {
    let together = Bench::new(slow(5));
    join_all((0..3).map(|_| together.get())).await;
    let impatient =
        |storage| Bench::with(slow(5), storage, |builder| builder.wait_for_leader(Duration::from_secs(1)));
    let gone = impatient(memory());
    join_all((0..2).map(|_| gone.get())).await;

    let storage = memory();
    let replica = impatient(Arc::clone(&storage));
    let key = replica.get().await.info.key.unwrap();
    for held in [500, 5000] {
        replica.clock.forward(1000);
        storage.remove(&key, None, replica.now()).await.unwrap();
        let lease = storage.abilities().leases.unwrap();
        lease.acquire(&key, Duration::from_secs(3600), replica.now()).await.unwrap();
        let release = async {
            tokio::time::sleep(Duration::from_millis(held)).await;
            replica.clock.forward(4000);
        };
        tokio::join!(release, replica.get());
    }
    [together, gone, replica].map(|bench| bench.engine.stats())
}

#[test]
fn waiting_for_another() {
    let ([together, gone, replica], seen) = seen(waiting());
    assert_eq!((together.collapsed, together.origin_requests.total()), (2, 1));
    assert_eq!(together.waits.get((Leader::Process, Wait::Over)), 2);
    assert_eq!(gone.waits.get((Leader::Process, Wait::GaveUp)), 1);
    assert_eq!(replica.waits.get((Leader::Replica, Wait::Over)), 1, "{replica}");
    assert_eq!(replica.waits.get((Leader::Replica, Wait::GaveUp)), 1, "{replica}");
    assert_eq!(seen.count("http_cache_leader_wait_duration_seconds", &[("result", "over")]), 3.0);
}

async fn abandoned() -> Bench {
    let bench = Bench::new(slow(60));
    let mut request = Box::pin(bench.engine.handle(get()));
    assert!(futures_util::poll!(&mut request).is_pending());
    settle().await;
    assert_eq!(bench.engine.stats().in_flight, 1);
    drop(request);
    settle().await;
    bench
}

#[test]
fn a_caller_that_goes_away() {
    let (bench, seen) = seen(abandoned());
    let stats = bench.engine.stats();
    assert_eq!((stats.requests.get(Outcome::Abandoned), stats.requests.total(), stats.in_flight), (1, 1, 0));
    assert_eq!(stats.origin_requests.get((Purpose::Fetch, Reply::Abandoned)), 1);
    assert_eq!(seen.count("http_cache_origin_requests_in_flight", &[]), 0.0);
    assert_eq!(seen.spans("http_cache.request")[0].fields["outcome"], "abandoned");
}

/// A storage that fails until it is left alone, and then works again; with the gauge of the breaker meanwhile.
async fn broken() -> (Bench, [Stats; 2]) {
    let storage = FaultyStorage::new(memory());
    let bench = Bench::with(Origin::always(200, FRESH, "x"), Arc::new(storage.clone()), |builder| {
        builder
            .breaker_failures(2)
            .probe_interval(Duration::from_secs(1))
            .read_deadline(Duration::from_millis(20))
    });
    storage.inject(Rule::on(Fails::Lookup, Fault::Error(ErrorKind::Unavailable)).once());
    storage.inject(Rule::on(Fails::Lookup, Fault::Hang));
    for _ in 0..3 {
        bench.get().await;
    }
    let open = bench.engine.stats();
    storage.heal();
    tokio::time::advance(Duration::from_secs(2)).await;
    bench.get().await;
    settle().await;
    let closed = bench.engine.stats();
    (bench, [open, closed])
}

#[test]
fn a_storage_that_fails() {
    let ((_bench, [open, closed]), seen) = seen(broken());
    let open = open.storage.unwrap();
    assert_eq!(&*open.backend, "faulty-memory");
    assert_eq!(open.errors.get((Operation::Lookup, Failure::Unavailable)), 1);
    assert_eq!(open.errors.get((Operation::Lookup, Failure::Timeout)), 1);
    assert_eq!(open.operations.get((Operation::Lookup, Ended::Error)), 1);
    assert_eq!(open.operations.get((Operation::Lookup, Ended::Timeout)), 1);
    assert_eq!((open.skipped.get(Operation::Lookup), open.breaker_open, open.breaker_openings), (1, true, 1));
    let closed = closed.storage.unwrap();
    assert_eq!((closed.operations.get((Operation::Probe, Ended::Ok)), closed.breaker_open), (1, false));

    assert_eq!(seen.count(ERRORS, &[("backend", "faulty-memory"), ("kind", "timeout")]), 1.0);
    assert_eq!(seen.count(OPERATIONS, &[("operation", "lookup"), ("result", "timeout")]), 1.0);
    assert_eq!(seen.count("http_cache_storage_breaker_openings_total", &[]), 1.0);
    assert_eq!(seen.count("http_cache_storage_breaker_open", &[]), 0.0);
    assert_eq!(seen.said("storage failed"), 2);
    // An event tells of which request it is.
    assert!(
        seen.events
            .iter()
            .filter(|said| said.level == "warn")
            .all(|said| said.within[0] == "http_cache.request")
    );
}

#[test]
fn an_open_breaker_is_in_the_gauge_until_its_engine_goes() {
    let open = |is_kept: bool| {
        let storage = FaultyStorage::new(memory());
        storage.inject(Rule::on(Fails::Lookup, Fault::Error(ErrorKind::Unavailable)));
        async move {
            let bench = Bench::with(Origin::always(200, FRESH, "x"), Arc::new(storage), |builder| {
                builder.breaker_failures(1)
            });
            bench.get().await;
            settle().await;
            is_kept.then_some(bench)
        }
    };
    for (is_kept, expected) in [(true, 1.0), (false, 0.0)] {
        let (_bench, seen) = seen(open(is_kept));
        assert_eq!(seen.count("http_cache_storage_breaker_open", &[]), expected);
    }
}

/// A body that is read from the store in part, and then from the origin.
async fn resumed() -> Stats {
    let storage = FaultyStorage::new(memory());
    let whole = pattern(3_000_000);
    let body = whole.clone();
    let origin = Origin::new(move |_, _| {
        let reply = Answer::streamed(200, FRESH, stream::iter(chunked(&body)));
        async { Ok(reply) }
    });
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
    bench.get().await;
    let hit = bench.engine.handle(get()).await.unwrap();
    storage.inject(Rule::on(Fails::Read, Fault::Error(ErrorKind::Unavailable)));
    assert!(Got::of(hit).await.unwrap().body == whole);
    bench.engine.stats()
}

#[test]
fn bytes_of_a_body_from_both_places() {
    let (stats, _) = seen(resumed());
    assert_eq!(stats.origin_requests.of(Purpose::Resume), 1);
    assert!(stats.body_bytes.get(Flow::Store) > 0, "{stats}");
    assert_eq!(stats.body_bytes.total(), 6_000_000);
}

/// Why an answer is not stored, each with an engine of its own.
async fn not_stored() -> Vec<(NotStored, Stats)> {
    type Case = (NotStored, Request<Bytes>, fn(EngineBuilder) -> EngineBuilder, fn() -> Answer);
    let cases: [Case; 12] = [
        (
            NotStored::Request,
            with(|controls| controls.no_store = true),
            |b| b,
            || Answer::new(200, FRESH, "x"),
        ),
        (NotStored::Response, get(), |b| b, || Answer::new(200, &[("cache-control", "no-store")], "x")),
        (
            NotStored::Response,
            get(),
            |b| b.options(Options::new().mode(Mode::Shared)),
            || Answer::new(200, &[("cache-control", "private")], "x"),
        ),
        (NotStored::Partial, get(), |b| b, || Answer::new(206, &[("x", "y")], "x")),
        (
            NotStored::Status,
            get(),
            |b| b.options(Options::new().statuses([StatusCode::OK])),
            || Answer::new(404, FRESH, "x"),
        ),
        (NotStored::Freshness, get(), |b| b, || Answer::new(200, &[], "x")),
        (
            NotStored::Setting,
            get(),
            |b| b.options(Options::new().expiry(Expiry::DoNotStore)),
            || Answer::new(200, &[("x", "y")], "x"),
        ),
        (
            NotStored::Tags,
            get(),
            |b| b.max_tags(1),
            || Answer::new(200, &[FRESH[0], ("cache-tag", "a, b")], "x"),
        ),
        (NotStored::Size, get(), |b| b.max_body(1), || Answer::new(200, FRESH, "too long")),
        (
            NotStored::Size,
            get(),
            |b| b.max_body(1),
            || Answer::streamed(200, FRESH, stream::iter([Ok(Bytes::from("too long"))])),
        ),
        (
            NotStored::Broken,
            get(),
            |b| b,
            || Answer::streamed(200, FRESH, stream::iter([Ok(Bytes::from("x")), Err(OriginError("broken"))])),
        ),
        (NotStored::Abandoned, get(), |b| b, || Answer::streamed(200, FRESH, stream::pending())),
    ];
    let mut all = Vec::new();
    for (reason, request, configure, answer) in cases {
        let bench = Bench::with(Origin::new(move |_, _| async move { Ok(answer()) }), memory(), configure);
        let answered = bench.engine.handle(request).await.unwrap();
        match reason {
            NotStored::Abandoned => drop(answered),
            _ => drop(Got::of(answered).await),
        }
        settle().await;
        all.push((reason, bench.engine.stats()));
    }
    for (reason, fails) in [(NotStored::Storage, Fails::Commit), (NotStored::Storage, Fails::Writer)] {
        let storage = FaultyStorage::new(memory());
        storage.inject(Rule::on(fails, Fault::Error(ErrorKind::Full)));
        let body = pattern(1_000_000);
        let origin = Origin::new(move |_, _| {
            let reply = Answer::new(200, FRESH, body.clone());
            async { Ok(reply) }
        });
        let bench = Bench::with(origin, Arc::new(storage), |builder| builder);
        bench.get().await;
        all.push((reason, bench.engine.stats()));
    }
    all.push((NotStored::Refused, refused().await));
    all
}

/// Something is removed while it is fetched.
async fn refused() -> Stats {
    let storage = memory();
    let key = Bench::new(Origin::always(200, FRESH, "x")).get().await.info.key.unwrap();
    let (there, clock) = (Arc::clone(&storage), support::TestClock::new());
    let origin = Origin::new(move |_, _| {
        let (storage, clock) = (Arc::clone(&there), clock.clone());
        async move {
            storage.remove(&key, None, cache_engine::Clock::now(&clock)).await.unwrap();
            Ok(Answer::new(200, FRESH, "x"))
        }
    });
    let bench = Bench::with(origin, storage, |builder| builder);
    bench.get().await;
    bench.engine.stats()
}

#[test]
fn what_is_not_stored_is_counted_by_why() {
    let (all, seen) = seen(not_stored());
    for (nth, (reason, stats)) in all.iter().enumerate() {
        assert_eq!(
            (stats.not_stored.get(*reason), stats.not_stored.total()),
            (1, 1),
            "{nth}: {reason} {stats}"
        );
        assert_eq!(stats.stored.total(), 0, "{nth}: {reason}");
    }
    assert_eq!(seen.count("http_cache_not_stored_total", &[("reason", "storage")]), 2.0);
}
