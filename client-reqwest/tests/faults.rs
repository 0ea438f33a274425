//! What must not be served: faults that other caches were found to have.

#![cfg(feature = "memory")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Origin, TestClock, builder, client, response, source};
use axum::body::Body;
use client_reqwest::{MemoryStorage, Source, Storage};
use futures_util::StreamExt;
use http::StatusCode;
use tokio::io::AsyncWriteExt as _;

/// Each answer on a connection of its own, so that an origin that ends is gone at once.
const CLOSE: (&str, &str) = ("connection", "close");

#[tokio::test]
async fn the_callers_own_condition_never_brings_a_stored_variant() {
    let clock = TestClock::new();
    let origin = Origin::with(|seen| {
        let german = seen.header("accept-language") == Some("de");
        let (etag, body) = if german { ("\"de\"", "deutsch") } else { ("\"en\"", "english") };
        let fields = [("cache-control", "max-age=10"), ("vary", "accept-language"), ("etag", etag)];
        match seen.header("if-none-match") {
            Some(asked) if asked.split(", ").any(|asked| asked == etag) => response(304, &fields, ""),
            _ => response(200, &fields, body),
        }
    })
    .await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let get = |language| client.get(origin.url("/")).header("accept-language", language);
    assert_eq!(get("de").send().await.unwrap().text().await.unwrap(), "deutsch");
    for seconds in [0, 100] {
        clock.advance(seconds);
        // The caller holds the English one, and the cache does not.
        let response = get("en").header("if-none-match", "\"en\"").send().await.unwrap();
        assert_eq!((response.status(), source(&response)), (StatusCode::NOT_MODIFIED, Source::Origin));
        assert_eq!(response.headers()["etag"], "\"en\"");
        assert!(response.bytes().await.unwrap().is_empty());
        // The caller holds something that nobody knows.
        let response = get("en").header("if-none-match", "\"old\"").no_store().send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "english");
        assert_eq!(get("de").send().await.unwrap().text().await.unwrap(), "deutsch");
    }
}

#[tokio::test]
async fn another_variant_does_not_stand_in_for_a_dead_origin() {
    let clock = TestClock::new();
    let fields = [("cache-control", "max-age=60, stale-if-error=600"), ("vary", "accept-language"), CLOSE];
    let origin = Origin::with(move |_| response(200, &fields, "deutsch")).await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let url = origin.url("/");
    let get = |language| client.get(&url).header("accept-language", language);
    get("de").send().await.unwrap().bytes().await.unwrap();
    drop(origin);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for seconds in [0, 100] {
        clock.advance(seconds);
        let error = get("en").send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        let own = get("de").send().await.unwrap();
        let expected = if seconds == 0 { Source::Store } else { Source::Stale };
        assert_eq!(source(&own), expected);
        assert_eq!(own.text().await.unwrap(), "deutsch");
    }
}

/// An origin whose fields never end costs no more than a part of them.
#[tokio::test]
async fn endless_fields_end_the_request() {
    for endless in ["x-endless: and so on\r\n", "x-very-long-and-without-an-end-of-line, "] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let origin = tokio::spawn(async move {
            let (mut wire, _) = listener.accept().await.unwrap();
            let mut sent = 0_usize;
            wire.write_all(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nx: ").await.unwrap();
            while wire.write_all(endless.as_bytes()).await.is_ok() {
                sent += endless.len();
            }
            sent
        });
        let client = client().await;
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        drop(client);
        // What was taken, and what the sockets on both sides hold.
        let sent = origin.await.unwrap();
        assert!(sent < 16 << 20, "{sent} bytes of fields");
    }
}

#[tokio::test]
async fn a_revalidation_answered_no_store_is_not_kept() {
    let clock = TestClock::new();
    let origin = Origin::with(|seen| match seen.header("if-none-match") {
        None if seen.query.is_none() => {
            response(200, &[("cache-control", "max-age=10"), ("etag", "\"1\"")], "public")
        }
        _ => response(200, &[("cache-control", "no-store"), ("etag", "\"2\"")], "secret"),
    })
    .await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let get = || client.get(origin.url("/"));
    get().send().await.unwrap().bytes().await.unwrap();
    clock.advance(100);
    let changed = get().send().await.unwrap();
    assert_eq!(source(&changed), Source::Origin);
    assert_eq!(changed.text().await.unwrap(), "secret");
    for request in [get().only_if_cached(), get().only_if_cached().stale_ok()] {
        assert_ne!(request.send().await.unwrap().text().await.unwrap(), "secret");
    }
}

#[tokio::test]
async fn an_error_stands_where_nothing_allows_a_stale_answer() {
    let clock = TestClock::new();
    let broken = Arc::new(AtomicBool::new(false));
    let failing = broken.clone();
    let origin = Origin::with(move |seen| match seen.query.as_deref() {
        _ if failing.load(Ordering::Relaxed) => response(503, &[], "down"),
        Some(control) => response(200, &[("cache-control", control)], "ok"),
        None => unreachable!(),
    })
    .await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let rows = [
        ("max-age=10", 503),
        ("max-age=10,must-revalidate,stale-if-error=600", 503),
        ("max-age=10,stale-if-error=600", 200),
    ];
    for (control, _) in rows {
        client.get(origin.url(&format!("/?{control}"))).send().await.unwrap().bytes().await.unwrap();
    }
    clock.advance(100);
    broken.store(true, Ordering::Relaxed);
    for (control, status) in rows {
        let response = client.get(origin.url(&format!("/?{control}"))).send().await.unwrap();
        assert_eq!(response.status(), status, "{control}");
    }
}

#[tokio::test]
async fn a_dropped_or_broken_body_leaves_nothing_behind() {
    let origin = Origin::with(|seen| {
        let chunk = || Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]);
        let body = match seen.path.as_str() {
            "/slow" => {
                let first = futures_util::stream::iter([chunk()]);
                Body::from_stream(first.chain(futures_util::stream::pending()))
            }
            _ => {
                let first = futures_util::stream::iter([chunk()]);
                let broken = futures_util::stream::once(async {
                    // The head goes out before that.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Err(std::io::Error::other("broken"))
                });
                Body::from_stream(first.chain(broken))
            }
        };
        response(200, &[("cache-control", "max-age=60")], body)
    })
    .await;
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let client = builder().storage(storage.clone()).build().await.unwrap();
    let mut dropped = client.get(origin.url("/slow")).send().await.unwrap();
    assert!(dropped.chunk().await.unwrap().is_some());
    drop(dropped);
    let broken = client.get(origin.url("/broken")).send().await.unwrap().bytes().await.unwrap_err();
    let mut causes = std::iter::successors(std::error::Error::source(&broken), |error| error.source());
    assert!(causes.any(|cause| cause.downcast_ref::<client_reqwest::Error>().is_some()), "{broken:?}");
    assert!(client_reqwest::Error::from(broken).is_decode());
    for path in ["/slow", "/broken"] {
        let left = client.get(origin.url(path)).only_if_cached().send().await.unwrap();
        assert_eq!(left.status(), 504, "{path}");
    }
    // It waits for what is being stored, and nothing is.
    client.close().await;
    let listing = storage.abilities().listing.unwrap();
    let now = client_reqwest::Clock::now(&client_reqwest::SystemClock);
    assert_eq!(listing.count(&cache_api::Filter::all(), now).await.unwrap().entries, 0);
}

#[tokio::test]
async fn after_close_requests_go_to_the_origin() {
    let origin = Origin::with(|_| response(200, &[("cache-control", "max-age=60")], "ok")).await;
    let client = client().await;
    client.get(origin.url("/")).send().await.unwrap();
    client.close().await;
    client.close().await;
    let response = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(source(&response), Source::Origin);
    assert_eq!(response.text().await.unwrap(), "ok");
}
