//! Timeouts of head and body, of the client and of one request.

use std::time::Duration;

use crate::support::{Origin, builder, client, redirect, response};
use axum::body::Body;
use client_reqwest::CachedClient;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(30);

/// `/head` never answers, `/body` stops after a chunk, `/drip` sends ten chunks 60 ms apart, `/hop` redirects to
/// `/head`, and all else is at once.
async fn slow() -> Origin {
    Origin::start(async |seen| match seen.path.as_str() {
        "/head" => {
            sleep(LONG).await;
            response(200, &[], "late")
        }
        "/hop" => redirect(302, "/head"),
        "/body" => {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>("first")]);
            response(200, &[], Body::from_stream(first.chain(futures_util::stream::pending())))
        }
        "/drip" => {
            let chunks = futures_util::stream::iter(0..10).then(async |_| {
                sleep(Duration::from_millis(60)).await;
                Ok::<_, std::io::Error>("x")
            });
            response(200, &[], Body::from_stream(Box::pin(chunks)))
        }
        _ => response(200, &[], "ok"),
    })
    .await
}

async fn clients() -> Vec<(&'static str, CachedClient, Option<Duration>)> {
    vec![
        ("total", builder().timeout(SHORT).build().await.unwrap(), None),
        ("read", builder().read_timeout(SHORT).build().await.unwrap(), None),
        ("request", client().await, Some(SHORT)),
        ("request over client", builder().timeout(LONG).build().await.unwrap(), Some(SHORT)),
    ]
}

#[tokio::test]
async fn heads_and_bodies_time_out() {
    let origin = slow().await;
    for (name, client, own) in clients().await {
        let get = |path| {
            let request = client.get(origin.url(path));
            if let Some(timeout) = own { request.timeout(timeout) } else { request }
        };
        for path in ["/head", "/hop"] {
            let started = Instant::now();
            let error = get(path).send().await.unwrap_err();
            assert!(
                error.is_timeout() && error.is_request() && !error.is_connect(),
                "{name} {path} {error:?}"
            );
            assert_eq!(error.url().unwrap().path(), path);
            assert!(started.elapsed() < LONG / 3, "{name} {path}");
        }
        let mut response = get("/body").send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "first", "{name}");
        let error = response.chunk().await.unwrap_err();
        assert!(error.is_timeout(), "{name} {error:?}");
        assert!(client_reqwest::Error::from(error).is_timeout());
        assert_eq!(get("/").send().await.unwrap().text().await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_read_timeout_counts_each_read() {
    let origin = slow().await;
    let client = builder().read_timeout(Duration::from_millis(400)).build().await.unwrap();
    assert_eq!(client.get(origin.url("/drip")).send().await.unwrap().text().await.unwrap(), "x".repeat(10));
}

#[tokio::test]
async fn a_total_timeout_counts_the_whole_body() {
    let origin = slow().await;
    let request = client().await.get(origin.url("/drip")).timeout(Duration::from_millis(300));
    let error = request.send().await.unwrap().text().await.unwrap_err();
    assert!(error.is_timeout());
}

#[tokio::test]
async fn the_time_a_caller_takes_is_not_read_time() {
    let origin = slow().await;
    let client = builder().read_timeout(SHORT).build().await.unwrap();
    let mut response = client.get(origin.url("/")).send().await.unwrap();
    sleep(SHORT * 2).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ok");
}
