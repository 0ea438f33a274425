//! A storage that fails, hangs or holds garbage is never the caller's failure.

use std::{sync::Arc, time::Duration};

use crate::support::{self, Bench, Got, Origin, Reply, chunked, get, memory, pattern, settle};
use bytes::Bytes;
use cache_api::{BodyId, Change, Committed, Entry, ErrorKind, Frame, Storage, StoredHead, VariantId};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::Source;
use futures_util::{future::join_all, stream};

/// A memory storage that fails as told.
fn faulty() -> FaultyStorage {
    FaultyStorage::new(memory())
}

fn bench(storage: &FaultyStorage, len: usize) -> (Bench, Bytes) {
    let whole = pattern(len);
    let origin = Origin::new({
        let whole = whole.clone();
        move |_, _| {
            let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
            let reply = Reply::streamed(200, &fields, stream::iter(chunked(&whole)));
            async { Ok(reply) }
        }
    });
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| {
        builder.read_deadline(Duration::from_millis(20)).write_deadline(Duration::from_millis(20))
    });
    (bench, whole)
}

#[tokio::test]
async fn every_operation_may_fail_or_hang() {
    for operation in [
        Operation::Lookup,
        Operation::Writer,
        Operation::Write,
        Operation::Finish,
        Operation::Commit,
        Operation::Remove,
        Operation::Read,
    ] {
        for fault in [Fault::Error(ErrorKind::Unavailable), Fault::Error(ErrorKind::Full), Fault::Hang] {
            for len in [100, 2_000_000] {
                let storage = faulty();
                storage.inject(Rule::on(operation, fault));
                let (bench, whole) = bench(&storage, len);
                for _ in 0..3 {
                    assert!(bench.get().await.body == whole, "{operation} {fault:?} {len}");
                }
                // When the storage is back, it is used again.
                storage.heal();
                bench.get().await;
                let requests = bench.origin.requests();
                assert_eq!(bench.get().await.info.source, Source::Store, "{operation} {fault:?} {len}");
                assert_eq!(bench.origin.requests(), requests);
            }
        }
    }
}

#[tokio::test]
async fn fail_closed_says_so() {
    let storage = faulty();
    storage.inject(Rule::on(Operation::Lookup, Fault::Error(ErrorKind::Unavailable)));
    let origin = Origin::always(200, &[], "x");
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder.fail_closed(true));
    let error = bench.engine.handle(get()).await.unwrap_err();
    assert!(matches!(error, cache_engine::Error::Storage(error) if error.is_transient()));
    assert_eq!(bench.origin.requests(), 0);
}

#[tokio::test]
async fn a_storage_that_stops_in_the_middle_of_a_body_does_not_stop_the_body() {
    for fault in [Fault::Error(ErrorKind::Full), Fault::Hang] {
        let storage = faulty();
        let (bench, whole) = bench(&storage, 4_000_000);
        let unread = bench.engine.handle(get()).await.unwrap();
        settle().await;
        storage.inject(Rule::on(Operation::Write, fault));
        assert!(Got::of(unread).await.unwrap().body == whole);
    }
}

#[tokio::test]
async fn a_body_that_is_gone_is_fetched_again() {
    let storage = faulty();
    let (bench, whole) = bench(&storage, 1_000_000);
    bench.get().await;
    storage.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Gone)));
    assert!(bench.get().await.body == whole);
    storage.heal();
    assert!(bench.get().await.body == whole);
    assert_eq!(bench.origin.requests(), 2);
}

/// The head is out and the store fails: the origin goes on where it stopped, if it still has the same.
#[tokio::test]
async fn a_body_that_breaks_off_in_the_store_is_continued_from_the_origin() {
    for (etag, later, ranges, continued) in [
        ("\"a\"", "\"a\"", true, true),
        ("\"a\"", "\"a\"", false, true),
        ("\"a\"", "\"b\"", true, false),
        ("W/\"a\"", "W/\"a\"", true, false),
    ] {
        let storage = faulty();
        let whole = pattern(3_000_000);
        let origin = Origin::new({
            let whole = whole.clone();
            move |nth, request| {
                let fields = [("cache-control", "max-age=60"), ("etag", if nth == 0 { etag } else { later })];
                let range =
                    request.headers.get("range").filter(|_| ranges).map(|range| range.to_str().unwrap());
                let reply =
                    match range.map(|range| range.strip_prefix("bytes=").unwrap().split_once('-').unwrap()) {
                        None => Reply::new(200, &fields, whole.clone()),
                        Some((first, last)) => {
                            assert_eq!(request.headers["if-range"], etag);
                            let bytes = whole.slice(first.parse::<usize>().unwrap()..=last.parse().unwrap());
                            let range = format!("bytes {first}-{last}/{}", whole.len());
                            Reply::new(206, &[fields[0], fields[1], ("content-range", &range)], bytes)
                        }
                    };
                async { Ok(reply) }
            }
        });
        let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
        bench.get().await;
        let hit = bench.engine.handle(get()).await.unwrap();
        assert_eq!(hit.info.source, Source::Store);
        storage.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Unavailable)));
        match Got::of(hit).await {
            Ok(got) => assert!(continued && got.body == whole, "{etag} {later}"),
            Err(error) => assert!(!continued, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_in_the_store_is_continued_where_it_lies_in_the_whole() {
    for ranges in [true, false] {
        let storage = faulty();
        let whole = pattern(3_000_000);
        let origin = Origin::new({
            let whole = whole.clone();
            move |nth, request| {
                let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
                let range = request.headers["range"].to_str().unwrap().strip_prefix("bytes=").unwrap();
                let (first, last) = range.split_once('-').unwrap();
                let reply = if nth == 0 || ranges {
                    let bytes = whole.slice(first.parse::<usize>().unwrap()..=last.parse().unwrap());
                    let range = format!("bytes {range}/{}", whole.len());
                    Reply::new(206, &[fields[0], fields[1], ("content-range", &range)], bytes)
                } else {
                    Reply::new(200, &fields, whole.clone())
                };
                async { Ok(reply) }
            }
        });
        let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
        let part = |range| support::with_field(get(), "range", range);
        assert!(bench.send(part("bytes=100000-2899999")).await.body == whole.slice(100_000..2_900_000));
        let hit = bench.engine.handle(part("bytes=300000-2799999")).await.unwrap();
        assert_eq!(hit.info.source, Source::Store);
        storage.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Unavailable)));
        assert!(Got::of(hit).await.unwrap().body == whole.slice(300_000..2_800_000), "{ranges}");
        assert_eq!(bench.origin.received(1)["if-range"], "\"a\"");
    }
}

#[tokio::test]
async fn garbage_in_the_store_is_a_miss() {
    let storage = faulty();
    let (bench, whole) = bench(&storage, 100);
    let key = bench.get().await.info.key.unwrap();
    let now = bench.now();
    storage.remove(&key, None, now).await.unwrap();
    for garbage in ["", "HC", "{\"an\":\"object\"}", &"x".repeat(100_000)] {
        let found = storage.lookup(&key, now).await.unwrap();
        let head = StoredHead::from_bytes(Bytes::copy_from_slice(garbage.as_bytes()));
        let entry = Entry::new(key, VariantId::ONLY, head, now, now + Duration::from_secs(600));
        let id = BodyId::random().unwrap();
        let frame = Frame::from_bytes(Bytes::from_static(b"garbage"));
        let body = cache_api::Body::Inline(cache_api::InlineBody { id, frame, len: 7 });
        let stored = storage.commit(found.ticket(), entry, Change::Put(body), now).await.unwrap();
        assert!(matches!(stored, Committed::Stored { .. }));
        let requests = bench.origin.requests();
        for _ in 0..2 {
            assert!(bench.get().await.body == whole);
        }
        assert_eq!(bench.origin.requests(), requests + 1, "it was not replaced");
    }
}

/// What a dead storage costs is bounded by its deadline, however much is asked of it.
#[tokio::test]
async fn a_hanging_storage_is_waited_for_no_longer_than_its_deadline() {
    let storage = faulty();
    storage.inject(Rule::on(Operation::Lookup, Fault::Hang));
    let (bench, whole) = bench(&storage, 100);
    let all = join_all((0..200).map(|_| bench.get()));
    let answers = tokio::time::timeout(Duration::from_secs(20), all).await.expect("the requests hang");
    assert!(answers.iter().all(|answer| answer.body == whole));
}

fn numbered(number: usize) -> cache_engine::Request<Bytes> {
    let mut request = get();
    request.url.set_query(Some(&number.to_string()));
    request
}

/// A store that is dead is waited for by those who come first, and then by nobody until it is back.
#[tokio::test(start_paused = true)]
async fn a_dead_storage_is_left_alone_and_used_again_when_it_is_back() {
    const DEADLINE: Duration = Duration::from_secs(1);
    const PROBES: Duration = Duration::from_secs(5);
    for fault in [Fault::Hang, Fault::Error(ErrorKind::Unavailable)] {
        let storage = faulty();
        let answer = [("cache-control", "max-age=60")];
        let origin = Origin::new(move |_, _| async move { Ok(Reply::new(200, &answer, "body")) });
        let bench = Arc::new(Bench::with(origin, Arc::new(storage.clone()), |builder| {
            builder.read_deadline(DEADLINE).probe_interval(PROBES)
        }));
        storage.inject(Rule::any(Operation::ALL, fault));
        let (began, permits) = (tokio::time::Instant::now(), Arc::new(tokio::sync::Semaphore::new(200)));
        let requests = (0..10_000).map(|number| {
            let (bench, permits) = (Arc::clone(&bench), Arc::clone(&permits));
            tokio::spawn(async move {
                let _permit = permits.acquire().await.unwrap();
                let got = bench.engine.handle(numbered(number)).await.unwrap();
                Got::of(got).await.unwrap().body
            })
        });
        for body in join_all(requests).await {
            assert_eq!(body.unwrap(), "body");
        }
        // The clock is the test's: it moves by what is waited for alone.
        assert!(began.elapsed() <= DEADLINE + Duration::from_millis(100), "{fault:?}: {:?}", began.elapsed());
        assert_eq!(bench.origin.requests(), 10_000);
        let asked = storage.calls(Operation::Lookup);
        assert!(asked <= 201, "{fault:?}: {asked} lookups of a dead store");

        // It is tried once an interval, by nobody's request; a failure leaves it alone again.
        tokio::time::advance(PROBES).await;
        for _ in 0..50 {
            bench.get().await;
        }
        tokio::time::sleep(DEADLINE * 2).await;
        assert_eq!(storage.calls(Operation::Lookup), asked + 1, "{fault:?}");

        storage.heal();
        tokio::time::advance(PROBES).await;
        bench.get().await;
        settle().await;
        bench.get().await;
        assert_eq!(bench.get().await.info.source, Source::Store, "{fault:?}");
    }
}

/// What must not be served any more is removed although the store is left alone: it may be back.
#[tokio::test(start_paused = true)]
async fn a_removal_does_not_wait_for_the_next_probe() {
    let storage = faulty();
    let (bench, _) = bench(&storage, 100);
    bench.get().await;
    storage.inject(Rule::on(Operation::Lookup, Fault::Error(ErrorKind::Unavailable)));
    for _ in 0..20 {
        bench.get().await;
    }
    storage.heal();
    let mut unsafe_request = get();
    unsafe_request.method = http::Method::DELETE;
    bench.engine.handle(unsafe_request).await.unwrap();
    assert_eq!(storage.calls(Operation::Remove), 1);
}
