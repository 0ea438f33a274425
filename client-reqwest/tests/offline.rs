//! A client that records, one that replays what was recorded, and what changes while a client runs.

#![cfg(feature = "sqlite")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Origin, TestClock, builder, redirect, response, source};
use client_reqwest::{
    CachedClient, CachedClientBuilder, Exchange, Expiry, Options, Reason, ResponseExt, Source, SqliteStorage,
    Step, filter_fn,
};
use http::StatusCode;

/// Eight of them, in seconds.
const WEEKS: u64 = 8 * 7 * 24 * 3600;

fn over(file: &Path, clock: &Arc<TestClock>) -> CachedClientBuilder {
    builder().storage_builder(SqliteStorage::builder().path(file)).clock(clock.clone())
}

/// Keeps what is stored, so that it can be replayed weeks later.
fn recording() -> Options {
    let long = Duration::from_secs(10 * WEEKS);
    Options::new().ttl(Expiry::after_secs(60)).always_cache(true).retention(long).stale_retention(long)
}

async fn site() -> Origin {
    Origin::with(|seen| match seen.path.as_str() {
        "/moved" => redirect(301, "/page"),
        "/page" => response(200, &[("cache-control", "no-store"), ("etag", "\"a\"")], "page"),
        "/large" => response(200, &[], vec![7_u8; 300_000]),
        _ => response(404, &[], "nothing"),
    })
    .await
}

#[tokio::test]
async fn what_was_recorded_is_replayed_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let (file, clock) = (dir.path().join("recorded.sqlite"), TestClock::new());
    let origin = site().await;
    let recorder = over(&file, &clock).options(recording()).build().await.unwrap();
    for path in ["/moved", "/large"] {
        recorder.get(origin.url(path)).send().await.unwrap().bytes().await.unwrap();
    }
    recorder.close().await;
    let (moved, large) = (origin.url("/moved"), origin.url("/large"));
    let recorded = origin.seen().len();
    assert_eq!(recorded, 3);

    clock.advance(WEEKS);
    // The wire counts what it connects to, and the server would answer.
    let dialled = Arc::new(AtomicUsize::new(0));
    let proxy = reqwest::Proxy::custom({
        let dialled = dialled.clone();
        move |_| {
            dialled.fetch_add(1, Ordering::SeqCst);
            None::<reqwest::Url>
        }
    });
    let replaying = over(&file, &clock)
        .wire(|wire| wire.proxy(proxy))
        .options(recording())
        .offline(true)
        .build()
        .await
        .unwrap();
    let page = replaying.get(&moved).send().await.unwrap();
    assert_eq!((page.status(), source(&page)), (StatusCode::OK, Source::Stale));
    assert_eq!(page.url().path(), "/page", "the redirect is followed out of the store");
    assert_eq!(page.text().await.unwrap(), "page");
    assert_eq!(replaying.get(&large).reload().send().await.unwrap().bytes().await.unwrap().len(), 300_000);
    for request in [
        replaying.get(origin.url("/other")),
        replaying.get(&moved).bypass(),
        replaying.post(origin.url("/page")).body("x"),
        replaying.delete(origin.url("/page")),
        replaying
            .get(origin.url("/page"))
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .bypass(),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!((refused.status(), source(&refused)), (StatusCode::GATEWAY_TIMEOUT, Source::Nowhere));
        assert_eq!(refused.cache_info().unwrap().reasons.first(), Reason::Offline);
        assert_eq!(refused.headers()["cache-status"], "http-cache; detail=offline");
    }
    replaying.close().await;
    let closed = replaying.get(&moved).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!((origin.seen().len(), dialled.load(Ordering::SeqCst)), (recorded, 0));
    // Without the server it is all the same.
    drop(origin);
    let later = over(&file, &clock).offline(true).build().await.unwrap();
    assert_eq!(later.get(&moved).send().await.unwrap().text().await.unwrap(), "page");
}

#[tokio::test]
async fn a_client_without_a_cache_sends_nothing_offline_either() {
    let origin = Origin::ok().await;
    let client = builder().disabled().offline(true).build().await.unwrap();
    let refused = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::GATEWAY_TIMEOUT);
    client.reconfigure(|settings| settings.options.offline = false).unwrap();
    let sent = client.get(origin.url("/")).send().await.unwrap();
    assert!(sent.cache_info().is_none() && !sent.headers().contains_key("cache-status"));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_client_changes_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::with(|_| response(200, &[("cache-control", "max-age=600")], "ok")).await;
    let client = over(&dir.path().join("http.sqlite"), &TestClock::new()).build().await.unwrap();
    let get = async |client: &CachedClient, path: &str| {
        let response = client.get(origin.url(path)).send().await.unwrap();
        let info = response.cache_info().unwrap().clone();
        response.text().await.unwrap();
        info
    };
    assert!(get(&client, "/").await.stored);
    let suspended = client.suspend();
    assert_eq!(get(&client, "/").await.reasons.first(), Reason::Suspended);
    drop(suspended);
    assert_eq!(get(&client, "/").await.source, Source::Store);
    client.reconfigure(|settings| settings.options.read_only = true).unwrap();
    assert!(!get(&client, "/a").await.stored && !get(&client, "/a").await.stored);
    client.reconfigure(|settings| settings.options.read_only = false).unwrap();
    assert!(!client.get(origin.url("/a")).read_only().send().await.unwrap().cache_info().unwrap().stored);
    assert!(get(&client, "/a").await.stored);
    let refused =
        client.reconfigure(|settings| settings.options.mode = client_reqwest::Mode::Shared).unwrap_err();
    assert!(refused.is_builder());
    let filter = filter_fn(|exchange: &Exchange<'_>| {
        let allowed = exchange.step == Step::Write;
        async move { Ok(allowed) }
    });
    client.reconfigure(|settings| settings.filter = Some(Arc::new(filter))).unwrap();
    let asked = get(&client, "/a").await.asked.unwrap();
    assert_eq!(asked.first(), Reason::RejectedOnRead);
    let contradicting = client.get(origin.url("/")).read_only().always_cache().send().await.unwrap_err();
    assert!(contradicting.is_builder());
}
