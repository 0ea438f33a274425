//! Bodies on their way to caller and store at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{Bench, Got, Origin, OriginError, Reply, chunked, get, memory, pattern, settle};
use bytes::Bytes;
use cache_api::{CacheKey, Error, ErrorKind, FRAME_SIZE, Head, Place, Serializer};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::{Answer, Answered, Body, Source};
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// An origin that sends what a test hands it, chunk by chunk.
fn fed(length: Option<usize>) -> (Origin, mpsc::UnboundedSender<Result<Bytes, OriginError>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let origin = Origin::new(move |_, _| {
        let mut receiver = receiver.lock().unwrap().take().expect("one request");
        let mut reply = Reply::streamed(200, &[FRESH], stream::poll_fn(move |cx| receiver.poll_recv(cx)));
        if let Some(length) = length {
            reply.headers.insert("content-length", length.into());
        }
        async { Ok(reply) }
    });
    (origin, sender)
}

async fn live(bench: &Bench, key: &CacheKey) -> usize {
    bench.engine.storage().unwrap().lookup(key, bench.now()).await.unwrap().variants().len()
}

fn body(answered: Answered<Reply>) -> Body {
    match answered.answer {
        Answer::Cached(response) => response.into_body(),
        Answer::Wire(_) => panic!("not stored"),
    }
}

async fn next(body: &mut Body) -> Option<Bytes> {
    body.frame().await.map(|frame| frame.unwrap().into_data().unwrap())
}

#[tokio::test]
async fn bodies_of_all_sizes_come_back_as_they_were() {
    for len in [0, 1, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 524_288, 3_000_000] {
        for with_length in [true, false] {
            let whole = pattern(len);
            let bench = Bench::new(Origin::new({
                let whole = whole.clone();
                move |_, _| {
                    let mut reply = Reply::streamed(200, &[FRESH], stream::iter(chunked(&whole)));
                    if with_length {
                        reply.headers.insert("content-length", whole.len().into());
                    }
                    async { Ok(reply) }
                }
            }));
            for _ in 0..3 {
                assert!(bench.get().await.body == whole, "{len} {with_length}");
            }
            assert_eq!(bench.origin.requests(), 1, "{len} {with_length}");
        }
    }
}

/// A serializer that can do nothing.
#[derive(Debug)]
struct Useless;

fn refused<T>() -> cache_api::Result<T> {
    Err(Error::new(ErrorKind::Other, "use"))
}

#[async_trait::async_trait]
impl Serializer for Useless {
    async fn encode_head(&self, _: &Place, _: &Head) -> cache_api::Result<Bytes> {
        refused()
    }

    async fn decode_head(&self, _: &Place, _: Bytes) -> cache_api::Result<Head> {
        refused()
    }

    async fn encode_frame(&self, _: &Place, _: Bytes) -> cache_api::Result<Bytes> {
        refused()
    }

    async fn decode_frame(&self, _: &Place, _: Bytes) -> cache_api::Result<Bytes> {
        refused()
    }
}

/// What is in memory is there as it is: a hit costs no decoding, however large it is.
#[tokio::test]
async fn in_memory_nothing_is_encoded_or_decoded() {
    for len in [1024, 64 * 1024, 1024 * 1024] {
        let whole = pattern(len);
        let origin = Origin::new({
            let whole = whole.clone();
            move |_, _| {
                let reply = Reply::new(200, &[FRESH], whole.clone());
                async { Ok(reply) }
            }
        });
        let bench = Bench::with(origin, memory(), |builder| builder.serializer(Arc::new(Useless)));
        for source in [Source::Origin, Source::Store, Source::Store] {
            let got = bench.get().await;
            assert_eq!(got.info.source, source, "{len} bytes");
            assert!(got.body == whole, "{len} bytes");
        }
    }
}

#[tokio::test]
async fn bytes_arrive_as_they_come_and_are_visible_to_others_only_when_complete() {
    let (origin, sender) = fed(None);
    let bench = Bench::new(origin);
    let answered = bench.engine.handle(get()).await.unwrap();
    let key = answered.info.key.unwrap();
    let mut body = body(answered);
    for part in 0..4_u8 {
        let chunk = Bytes::from(vec![part; 100_000]);
        sender.send(Ok(chunk.clone())).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), chunk);
        settle().await;
        assert_eq!(live(&bench, &key).await, 0);
    }
    drop(sender);
    assert!(next(&mut body).await.is_none());
    assert_eq!(live(&bench, &key).await, 1, "who has read the end finds it stored");
}

#[tokio::test]
async fn who_has_all_bytes_of_a_known_length_finds_them_stored() {
    let (origin, sender) = fed(Some(10));
    let bench = Bench::new(origin);
    let answered = bench.engine.handle(get()).await.unwrap();
    let key = answered.info.key.unwrap();
    let mut body = body(answered);
    sender.send(Ok(Bytes::from_static(b"01234"))).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "01234");
    sender.send(Ok(Bytes::from_static(b"56789"))).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "5678");
    assert_eq!(next(&mut body).await.unwrap(), "9");
    assert_eq!(live(&bench, &key).await, 1);
}

#[tokio::test]
async fn only_the_last_byte_waits_for_the_commit() {
    let storage = FaultyStorage::new(memory());
    storage.inject(Rule::on(Operation::Commit, Fault::Hang));
    let (origin, sender) = fed(Some(5));
    let bench = Bench::with(origin, Arc::new(storage), |builder| builder);
    let mut body = body(bench.engine.handle(get()).await.unwrap());
    sender.send(Ok(Bytes::from_static(b"01234"))).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "0123");
    settle().await;
    assert!(next(&mut body).now_or_never().is_none(), "the commit is under way");
}

/// The next frames come while the caller has these, and no more than these: a caller that takes its time costs them
/// neither their deadline nor memory.
#[tokio::test(start_paused = true)]
async fn the_next_frames_are_read_ahead() {
    // At hand, and not.
    for delay in [None, Some(Duration::from_millis(10))] {
        let storage = FaultyStorage::new(memory());
        let whole = pattern(6 * FRAME_SIZE);
        let origin = Origin::new({
            let whole = whole.clone();
            move |_, _| {
                let reply = Reply::new(200, &[FRESH], whole.clone());
                async { Ok(reply) }
            }
        });
        let deadline = Duration::from_millis(20);
        let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder.read_deadline(deadline));
        bench.get().await;
        if let Some(delay) = delay {
            storage.inject(Rule::on(Operation::Read, Fault::Delay(delay)));
        }
        let mut body = body(bench.engine.handle(get()).await.unwrap());
        assert_eq!(storage.calls(Operation::Read), 1, "{delay:?}");
        let mut got = vec![next(&mut body).await.unwrap()];
        tokio::time::sleep(10 * deadline).await;
        assert_eq!(storage.calls(Operation::Read), 2, "{delay:?}");
        while let Some(bytes) = next(&mut body).await {
            tokio::time::sleep(10 * deadline).await;
            got.push(bytes);
        }
        assert!(got.concat() == whole, "{delay:?}");
        assert_eq!(storage.calls(Operation::Read), 3, "{delay:?}");
    }
}

#[tokio::test]
async fn a_broken_body_is_the_callers_to_see_and_is_not_stored() {
    for (length, chunks, broken) in [
        (None, vec!["abc"], true),
        (Some(5), vec!["abc"], true),
        (Some(5), vec!["abc"], false),
        (Some(2), vec!["abc"], false),
        (Some(4), vec!["abc", "def"], false),
    ] {
        let (origin, sender) = fed(length);
        let bench = Bench::new(origin);
        let answered = bench.engine.handle(get()).await.unwrap();
        let key = answered.info.key.unwrap();
        for chunk in chunks {
            sender.send(Ok(chunk.into())).unwrap();
        }
        if broken {
            sender.send(Err(OriginError("reset"))).unwrap();
        }
        drop(sender);
        assert!(Got::of(answered).await.is_err(), "{length:?} {broken}");
        settle().await;
        assert_eq!(live(&bench, &key).await, 0);
    }
}

#[tokio::test]
async fn a_dropped_body_is_abandoned_unless_little_is_left() {
    for (rest, stored) in [(1_000_000, 0), (1000, 1)] {
        let (origin, sender) = fed(Some(500_000 + rest));
        let bench = Bench::new(origin);
        let answered = bench.engine.handle(get()).await.unwrap();
        let key = answered.info.key.unwrap();
        let mut body = body(answered);
        sender.send(Ok(pattern(500_000))).unwrap();
        next(&mut body).await.unwrap();
        drop(body);
        settle().await;
        assert_eq!(sender.is_closed(), stored == 0, "{rest}");
        let _ = sender.send(Ok(pattern(rest)));
        drop(sender);
        bench.engine.close().await.unwrap();
        assert_eq!(live(&bench, &key).await, stored, "{rest}");
    }
}

/// With nobody else waiting, the origin is read no faster than the caller reads.
#[tokio::test]
async fn an_unread_body_is_not_read_ahead_without_bound() {
    let sent = Arc::new(AtomicUsize::new(0));
    let bench = Bench::new(Origin::new({
        let sent = Arc::clone(&sent);
        move |_, _| {
            let sent = Arc::clone(&sent);
            let body = stream::iter(0..2000).map(move |_| {
                sent.fetch_add(10_000, Ordering::SeqCst);
                Ok(Bytes::from_static(&[7; 10_000]))
            });
            let reply = Reply::streamed(200, &[FRESH], body);
            async { Ok(reply) }
        }
    }));
    let answered = bench.engine.handle(get()).await.unwrap();
    for _ in 0..50 {
        settle().await;
    }
    let ahead = sent.load(Ordering::SeqCst);
    assert!(ahead <= 1024 * 1024 + 20_000, "{ahead} bytes were read ahead");
    assert_eq!(Got::of(answered).await.unwrap().body.len(), 20_000_000);
}

/// A first caller that does not read holds up nobody: it reads back from the store what it was too slow for.
#[tokio::test]
async fn a_slow_first_caller_holds_up_nobody() {
    let whole = pattern(8_000_000);
    let gate = Arc::new(Semaphore::new(0));
    let bench = Arc::new(Bench::new(Origin::new({
        let (whole, gate) = (whole.clone(), Arc::clone(&gate));
        move |_, _| {
            let (chunks, gate) = (chunked(&whole), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Reply::streamed(200, &[FRESH], stream::iter(chunks)))
            }
        }
    })));
    let spawn = || {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.engine.handle(get()).await.unwrap() })
    };
    let slow = spawn();
    settle().await;
    let followers: Vec<_> = (0..3).map(|_| spawn()).collect();
    settle().await;
    gate.add_permits(1);
    let slow = slow.await.unwrap();
    for follower in followers {
        let answered =
            tokio::time::timeout(Duration::from_secs(20), follower).await.expect("held up").unwrap();
        assert!(Got::of(answered).await.unwrap().body == whole, "other bytes");
    }
    assert!(Got::of(slow).await.unwrap().body == whole, "other bytes");
    assert_eq!(bench.origin.requests(), 1);
}

/// A follower that comes while the transfer waits for its caller sets it going again.
#[tokio::test]
async fn a_late_follower_gets_a_stalled_transfer_going() {
    let whole = pattern(8_000_000);
    let bench = Bench::new(Origin::new({
        let whole = whole.clone();
        move |_, _| {
            let reply = Reply::streamed(200, &[FRESH], stream::iter(chunked(&whole)));
            async { Ok(reply) }
        }
    }));
    let slow = bench.engine.handle(get()).await.unwrap();
    settle().await;
    let follower = tokio::time::timeout(Duration::from_secs(20), bench.get()).await.expect("held up");
    assert!(follower.body == whole, "other bytes");
    assert!(Got::of(slow).await.unwrap().body == whole, "other bytes");
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn a_removal_is_not_undone_by_a_fetch_under_way() {
    let (origin, sender) = fed(Some(10));
    let bench = Bench::new(origin);
    let answered = bench.engine.handle(get()).await.unwrap();
    let key = answered.info.key.unwrap();
    bench.engine.storage().unwrap().remove(&key, None, bench.now()).await.unwrap();
    sender.send(Ok(pattern(10))).unwrap();
    assert_eq!(Got::of(answered).await.unwrap().body, pattern(10));
    assert_eq!(live(&bench, &key).await, 0);
}

#[tokio::test]
async fn close_does_not_wait_for_a_body_that_nobody_reads() {
    let bench = Bench::new(Origin::new(|_, _| async {
        let body = stream::iter(0..1000).map(|_| Ok(Bytes::from_static(&[7; 10_000])));
        Ok(Reply::streamed(200, &[FRESH], body))
    }));
    let unread = bench.engine.handle(get()).await.unwrap();
    settle().await;
    tokio::time::timeout(Duration::from_secs(5), bench.engine.close()).await.expect("close hangs").unwrap();
    assert_eq!(Got::of(unread).await.unwrap().body.len(), 10_000_000, "the caller's stream goes on");
}

#[tokio::test]
async fn a_body_over_the_limit_reaches_the_caller_and_not_the_store() {
    for with_length in [true, false] {
        let whole = pattern(100_000);
        let origin = Origin::new({
            let whole = whole.clone();
            move |_, _| {
                let mut reply = Reply::streamed(200, &[FRESH], stream::iter(chunked(&whole)));
                if with_length {
                    reply.headers.insert("content-length", whole.len().into());
                }
                async { Ok(reply) }
            }
        });
        let bench = Bench::with(origin, memory(), |builder| builder.max_body(50_000));
        for _ in 0..2 {
            assert!(bench.get().await.body == whole, "other bytes");
        }
        assert_eq!(bench.origin.requests(), 2);
    }
}
