//! Bodies on their way: streamed, slow, dropped, broken off.

use std::{
    error::Error as _,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::support::{Origin, cached, engine, response, send};
use axum::body::{Body, Bytes};
use cache_tower::{CacheInfo, Source};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const PIECE: usize = 64 * 1024;

/// A body of so many pieces that counts those that were taken.
fn counted(pieces: u64, taken: Arc<AtomicU64>) -> Body {
    let pieces = stream::iter(0..pieces).map(move |_| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(Bytes::from(vec![b'x'; PIECE]))
    });
    Body::from_stream(pieces)
}

#[tokio::test]
async fn the_first_byte_arrives_before_the_last_is_sent() {
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let origin = Origin::with(move |_, _| {
        let gate = Arc::clone(&gate);
        let parts = stream::iter(["first", "second"]).enumerate().then(move |(n, part)| {
            let gate = Arc::clone(&gate);
            async move {
                if n > 0 {
                    gate.notified().await;
                }
                Ok::<_, io::Error>(part)
            }
        });
        response(200, &[FRESH], Body::from_stream(parts))
    })
    .await;
    let cache = cached(engine());
    let mut body = cache.clone().oneshot(origin.get("/")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    go_on.notify_one();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "second");
    let hit = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((hit.source(), hit.text()), (Source::Store, "firstsecond"));
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_the_service_back() {
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    // 16 MiB, of which the cache may hold 1.
    let service = service_fn(move |_: http::Request<Body>| {
        let body = counted(256, Arc::clone(&counter));
        async move { Ok::<_, io::Error>(response(200, &[FRESH], body)) }
    });
    let cache = cache_tower::CacheLayer::new(engine()).layer(service);
    let request = || http::Request::get("http://a.test/").body(Body::empty()).unwrap();
    let response = cache.clone().oneshot(request()).await.unwrap();
    assert!(response.extensions().get::<CacheInfo>().unwrap().stored);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let ahead = taken.load(Ordering::SeqCst);
    assert!((1..=64).contains(&ahead), "{ahead} pieces of 64 KiB");
    let mut read = 0;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        let (taken, read) = (taken.load(Ordering::SeqCst), (read / PIECE) as u64);
        assert!(taken <= read + 64, "{taken} of {read}");
    }
    assert_eq!(read, 256 * PIECE);
    let hit = send(&cache, request()).await.unwrap();
    assert_eq!((hit.source(), hit.body.len()), (Source::Store, 256 * PIECE));
}

#[tokio::test]
async fn a_body_that_is_dropped_is_not_stored() {
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let service = service_fn(move |_: http::Request<Body>| {
        let body = counted(256, Arc::clone(&counter));
        async move { Ok::<_, io::Error>(response(200, &[FRESH], body)) }
    });
    let cache = cache_tower::CacheLayer::new(engine()).layer(service);
    let request = || http::Request::get("http://a.test/").body(Body::empty()).unwrap();
    let mut body = cache.clone().oneshot(request()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(taken.load(Ordering::SeqCst) < 128);
    assert_eq!(send(&cache, request()).await.unwrap().source(), Source::Origin);
}

#[tokio::test]
async fn a_body_that_breaks_off_says_why_whether_it_is_stored_or_not() {
    for control in ["max-age=60", "no-store"] {
        let service = service_fn(move |_: http::Request<Body>| async move {
            let parts = stream::iter([Ok("part"), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
            let body = StreamBody::new(parts.map(|part| part.map(Bytes::from).map(http_body::Frame::data)));
            Ok::<_, io::Error>(http::Response::builder().header("cache-control", control).body(body).unwrap())
        });
        let cache = cache_tower::CacheLayer::new(engine()).layer(service);
        for _ in 0..2 {
            let request = http::Request::get("http://a.test/").body(Body::empty()).unwrap();
            let response = cache.clone().oneshot(request).await.unwrap();
            assert_eq!(response.extensions().get::<CacheInfo>().unwrap().source, Source::Origin);
            let mut body = response.into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(error.is_body() && !error.is_service(), "{control}: {error:?}");
            let cause = error.inner().downcast_ref::<io::Error>().unwrap();
            assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset, "{control}");
            assert!(error.source().is_some());
        }
    }
}

#[tokio::test]
async fn a_response_that_the_cache_has_no_part_in_keeps_its_trailers() {
    for (control, kept) in [("no-store", true), ("max-age=60", false)] {
        let service = service_fn(move |_: http::Request<Body>| async move {
            let trailers = http::HeaderMap::from_iter([(http::header::ETAG, "\"a\"".parse().unwrap())]);
            let frames = [http_body::Frame::data(Bytes::from("data")), http_body::Frame::trailers(trailers)];
            let body = StreamBody::new(stream::iter(frames.map(Ok::<_, io::Error>)));
            Ok::<_, io::Error>(http::Response::builder().header("cache-control", control).body(body).unwrap())
        });
        let cache = cache_tower::CacheLayer::new(engine()).layer(service);
        let request = http::Request::get("http://a.test/").body(Body::empty()).unwrap();
        let read = cache.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(read.trailers().is_some(), kept, "{control}");
        assert_eq!(read.to_bytes(), "data");
    }
}

#[tokio::test]
async fn a_request_body_is_streamed_to_the_service() {
    let origin = Origin::with(|_, seen| response(200, &[], format!("{}", seen.body.len()))).await;
    let cache = cached(engine());
    let taken = Arc::new(AtomicU64::new(0));
    let request = origin.request("POST", "/").map(|_| counted(100, Arc::clone(&taken)));
    assert_eq!(send(&cache, request).await.unwrap().text(), (100 * PIECE).to_string());
}
