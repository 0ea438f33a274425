//! Stored parts: what of them is served, and to whom.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::support::{Bench, Got, Origin, OriginError, Reply, chunked, get, pattern, settle, with_field};
use bytes::Bytes;
use cache_engine::{Answer, Request, Source};
use futures_util::stream;
use http::{Method, StatusCode, header};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAG: (&str, &str) = ("etag", "\"a\"");

/// An origin that serves `Range: bytes=a-b` out of a whole; `None` of the fields for one that does not.
fn of_whole(whole: Bytes, fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, request| {
        let range = request.headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
        let reply = match range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
            None => Reply::new(200, fields, whole.clone()),
            Some((first, last)) => {
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                let mut reply = Reply::new(206, fields, whole.slice(first..=last));
                let range = format!("bytes {first}-{last}/{}", whole.len());
                reply.headers.insert(header::CONTENT_RANGE, range.parse().unwrap());
                reply
            }
        };
        async { Ok(reply) }
    })
}

fn range(range: &str) -> Request<Bytes> {
    with_field(get(), "range", range)
}

fn is_part_of(got: &Got, whole: &Bytes, first: usize, last: usize) -> bool {
    let said = format!("bytes {first}-{last}/{}", whole.len());
    got.status == StatusCode::PARTIAL_CONTENT
        && got.headers[header::CONTENT_RANGE] == said
        && got.headers[header::CONTENT_LENGTH] == (last - first + 1).to_string()
        && got.body == whole.slice(first..=last)
}

#[tokio::test]
async fn a_part_of_several_frames_answers_what_lies_within_it() {
    let whole = pattern(1_000_000);
    let bench = Bench::new(of_whole(whole.clone(), &[FRESH, TAG]));
    let first = bench.send(range("bytes=100000-799999")).await;
    assert!(is_part_of(&first, &whole, 100_000, 799_999) && first.info.stored);
    bench.clock.forward(10);
    for (asked, first, last) in [
        ("bytes=100000-799999", 100_000, 799_999),
        ("bytes=100000-100000", 100_000, 100_000),
        ("bytes=362143-362144", 362_143, 362_144),
        ("bytes=262143-262144", 262_143, 262_144),
        ("bytes=624288-799999", 624_288, 799_999),
        ("bytes=799999-799999", 799_999, 799_999),
        ("bytes=150000-700000", 150_000, 700_000),
    ] {
        let got = bench.send(range(asked)).await;
        assert!(is_part_of(&got, &whole, first, last), "{asked}: {:?}", got.headers);
        assert_eq!((got.info.source, &got.headers[header::AGE]), (Source::Store, &"10".parse().unwrap()));
    }
    assert_eq!(bench.origin.requests(), 1);
    let unchanged = bench.send(with_field(range("bytes=200000-200001"), "if-none-match", "\"a\"")).await;
    assert_eq!((unchanged.status, bench.origin.requests()), (StatusCode::NOT_MODIFIED, 1));
    assert!(!unchanged.headers.contains_key(header::CONTENT_RANGE));
    // Beyond it the origin answers, and its part takes the stored one's place.
    let beyond = bench.send(range("bytes=0-100000")).await;
    assert!(is_part_of(&beyond, &whole, 0, 100_000) && beyond.info.source == Source::Origin);
    assert_eq!(bench.send(range("bytes=5-6")).await.info.source, Source::Store);
    assert_eq!(bench.send(range("bytes=100000-100001")).await.info.source, Source::Origin);
}

#[tokio::test]
async fn a_part_is_never_served_as_a_whole_and_gives_way_to_one() {
    for fields in [&[FRESH, TAG][..], &[FRESH]] {
        let whole = pattern(5000);
        let bench = Bench::new(of_whole(whole.clone(), fields));
        // All of it, and yet a part.
        for (asked, first, last) in [("bytes=10-19", 10, 19), ("bytes=0-4999", 0, 4999)] {
            assert!(is_part_of(&bench.send(range(asked)).await, &whole, first, last));
            for method in [Method::GET, Method::HEAD] {
                let mut request = get();
                (request.method, request.controls.only_if_cached) = (method, true);
                assert_eq!(bench.send(request).await.status, StatusCode::GATEWAY_TIMEOUT);
            }
        }
        let requests = bench.origin.requests();
        let complete = bench.get().await;
        assert!(complete.status == StatusCode::OK && complete.body == whole);
        let key = complete.info.key.unwrap();
        for _ in 0..2 {
            assert!(bench.get().await.body == whole);
            assert!(is_part_of(&bench.send(range("bytes=15-4000")).await, &whole, 15, 4000));
        }
        assert_eq!(bench.origin.requests(), requests + 1);
        let found = bench.engine.storage().unwrap().lookup(&key, bench.now()).await.unwrap();
        let parts = found.variants().iter().filter(|each| each.head.value().unwrap().status == 206);
        assert_eq!(parts.count(), 0, "the complete response took its place");
    }
}

#[tokio::test]
async fn a_complete_response_is_not_lost_to_a_part() {
    let whole = pattern(5000);
    let bench = Bench::new(of_whole(whole.clone(), &[FRESH, TAG]));
    assert!(bench.get().await.body == whole);
    let fresh = with_field(range("bytes=0-9"), "cache-control", "no-cache");
    assert!(is_part_of(&bench.send(fresh).await, &whole, 0, 9));
    assert_eq!(bench.origin.requests(), 2);
    assert!(bench.get().await.body == whole);
    assert!(is_part_of(&bench.send(range("bytes=9-10")).await, &whole, 9, 10));
    assert_eq!(bench.origin.requests(), 2);
    // Of another representation, it takes the complete one's place after all.
    let changed = Arc::new(AtomicBool::new(false));
    let bench = Bench::new(Origin::new({
        let changed = Arc::clone(&changed);
        move |_, request| {
            let reply = match (changed.load(Ordering::SeqCst), request.headers.get(header::RANGE)) {
                (false, _) => Reply::new(200, &[FRESH, TAG], "old"),
                (true, Some(_)) => {
                    Reply::new(206, &[FRESH, ("etag", "\"b\""), ("content-range", "bytes 0-1/3")], "ne")
                }
                (true, None) => Reply::new(200, &[FRESH, ("etag", "\"b\"")], "new"),
            };
            async { Ok(reply) }
        }
    }));
    bench.get().await;
    changed.store(true, Ordering::SeqCst);
    let fresh = with_field(range("bytes=0-1"), "cache-control", "no-cache");
    assert_eq!(bench.send(fresh).await.text(), "ne");
    assert_eq!(bench.send(range("bytes=0-1")).await.text(), "ne");
    assert_eq!(bench.get().await.text(), "new");
}

/// Who asks for the whole does not wait for a part, nor the other way round.
#[tokio::test]
async fn ranges_are_not_coalesced() {
    let bench = Arc::new(Bench::new(of_whole(pattern(5000), &[FRESH, TAG])));
    let all = (0..4).map(|n| {
        let bench = Arc::clone(&bench);
        async move { bench.send(if n < 2 { range("bytes=0-9") } else { get() }).await.status.as_u16() }
    });
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort_unstable();
    assert_eq!((answers, bench.origin.requests()), (vec![200, 200, 206, 206], 3));
}

#[tokio::test]
async fn a_part_that_breaks_off_is_not_stored() {
    let sent = pattern(100_000);
    // Its length, whether it breaks, and whether it is stored: 100,000 bytes are sent.
    let table = [
        (Some(100_000), false, "bytes 0-99999/200000", true),
        (None, false, "bytes 0-99999/200000", true),
        (None, false, "bytes 0-109999/200000", false),
        (None, false, "bytes 0-89999/200000", false),
        (None, true, "bytes 0-109999/200000", false),
        (None, true, "bytes 0-99999/200000", false),
        (Some(110_000), false, "bytes 0-109999/200000", false),
        (Some(110_000), true, "bytes 0-109999/200000", false),
    ];
    for (length, breaks, content_range, stored) in table {
        let origin = Origin::new({
            let sent = sent.clone();
            move |_, _| {
                let mut chunks = chunked(&sent);
                if breaks {
                    chunks.push(Err(OriginError("reset")));
                }
                let fields = [FRESH, TAG, ("content-range", content_range)];
                let mut reply = Reply::streamed(206, &fields, stream::iter(chunks));
                if let Some(length) = length {
                    reply.headers.insert(header::CONTENT_LENGTH, length.into());
                }
                async { Ok(reply) }
            }
        });
        let bench = Bench::new(origin);
        let answered = bench.engine.handle(range("bytes=0-109999")).await.unwrap();
        let got = Got::of(answered).await;
        let whole = !breaks && length != Some(110_000);
        assert_eq!(got.is_ok(), whole, "the caller gets what the origin sent: {length:?} {content_range}");
        settle().await;
        let mut again = range("bytes=0-9");
        again.controls.only_if_cached = true;
        let status = bench.send(again).await.status.as_u16();
        assert_eq!(status, if stored { 206 } else { 504 }, "{length:?} {breaks} {content_range}");
    }
}

#[tokio::test]
async fn a_stale_part_is_confirmed_and_keeps_its_place() {
    let origin = Origin::new(|_, request| async move {
        Ok(match request.headers.get(header::IF_NONE_MATCH) {
            Some(tag) => {
                assert_eq!(
                    (tag, &request.headers[header::RANGE]),
                    (&"\"a\"".parse().unwrap(), &"bytes=12-13".parse().unwrap())
                );
                Reply::streamed(304, &[FRESH, TAG, ("n", "1")], stream::empty())
            }
            None => Reply::new(206, &[FRESH, TAG, ("content-range", "bytes 10-14/20"), ("n", "0")], "abcde"),
        })
    });
    let bench = Bench::new(origin);
    bench.send(range("bytes=10-14")).await;
    bench.clock.forward(61);
    for (source, requests) in [(Source::Revalidated, 2), (Source::Store, 2)] {
        let got = bench.send(range("bytes=12-13")).await;
        assert_eq!((got.text(), got.info.source, bench.origin.requests()), ("cd", source, requests));
        assert_eq!(
            (&got.headers[header::CONTENT_RANGE], &got.headers["n"]),
            (&"bytes 12-13/20".parse().unwrap(), &"1".parse().unwrap())
        );
    }
    assert_eq!(bench.send(range("bytes=10-14")).await.text(), "abcde");
}

#[tokio::test]
async fn parts_vary_and_are_invalidated_as_all_else() {
    let bench = Bench::new(Origin::new(|nth, request| async move {
        let language = request.headers.get("accept-language").map_or("", |value| value.to_str().unwrap());
        let body = format!("{language}{nth}");
        let range = format!("bytes 0-{}/99", body.len() - 1);
        Ok(match request.method {
            Method::GET => {
                Reply::new(206, &[FRESH, ("vary", "accept-language"), ("content-range", &range)], body)
            }
            _ => Reply::new(204, &[], ""),
        })
    }));
    let ask = |language: &str| with_field(range("bytes=0-2"), "accept-language", language);
    assert_eq!(bench.send(ask("en")).await.text(), "en0");
    assert_eq!(bench.send(ask("de")).await.text(), "de1");
    assert_eq!(bench.send(ask("en")).await.text(), "en0");
    assert_eq!(bench.send(ask("de")).await.text(), "de1");
    let mut delete = get();
    delete.method = Method::DELETE;
    bench.send(delete).await;
    assert_eq!(bench.send(ask("en")).await.text(), "en3");
}

/// As an origin that counts wrong sends it: what is served is what is there.
#[tokio::test]
async fn a_part_that_is_shorter_than_it_says() {
    let bench = Bench::new(Origin::new(|_, _| async {
        Ok(Reply::new(206, &[FRESH, ("content-range", "bytes 4-9/10")], "01234"))
    }));
    assert_eq!(bench.send(range("bytes=-5")).await.text(), "01234");
    for (asked, body, said) in [
        ("bytes=-5", "01234", "bytes 4-8/10"),
        ("bytes=6-8", "234", "bytes 6-8/10"),
        ("bytes=6-", "234", "bytes 6-8/10"),
        ("bytes=-1", "4", "bytes 8-8/10"),
    ] {
        let got = bench.send(range(asked)).await;
        assert_eq!(
            (got.text(), got.headers[header::CONTENT_RANGE].to_str().unwrap()),
            (body, said),
            "{asked}"
        );
    }
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_as_a_part_is_passed_on() {
    for fields in [
        &[FRESH][..],
        &[FRESH, ("content-range", "bytes 0-4/*")],
        &[FRESH, ("content-type", "multipart/byteranges; boundary=x")],
    ] {
        let bench = Bench::new(Origin::new(move |_, _| async move { Ok(Reply::new(206, fields, "01234")) }));
        for _ in 0..2 {
            let answer = bench.engine.handle(range("bytes=0-4")).await.unwrap();
            assert!(matches!(answer.answer, Answer::Wire(_)));
        }
    }
}
