//! Callers who want the same at once: one request to the origin, and each with patience of their own.

#![cfg(feature = "memory")]

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::{Origin, builder, client, response, source};
use async_trait::async_trait;
use axum::body::Body;
use cache_api::{
    Abilities, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Frame, Limits, Namespace, Resource,
    Ticket, Version,
};
use client_reqwest::{MemoryStorage, Source, Storage};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const SHORT: Duration = Duration::from_millis(150);

/// An origin that takes some time over each answer.
async fn slow(delay: Duration) -> Origin {
    Origin::start(move |_| async move {
        sleep(delay).await;
        response(200, &[FRESH], "ok")
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cold_requests_are_one_to_the_origin() {
    let origin = slow(Duration::from_millis(300)).await;
    let client = client().await;
    let answers = join_all((0..1000).map(|_| {
        let request = client.get(origin.url("/"));
        tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
    }));
    assert!(answers.await.into_iter().all(|answer| answer.unwrap() == "ok"));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_followers_timeout_is_its_own() {
    let origin = slow(SHORT * 4).await;
    let client = client().await;
    let leader = tokio::spawn(client.get(origin.url("/")).send());
    sleep(SHORT).await;
    let started = Instant::now();
    let error = client.get(origin.url("/")).timeout(SHORT).send().await.unwrap_err();
    assert!(error.is_timeout() && started.elapsed() < SHORT * 2, "{error:?}");
    assert_eq!(leader.await.unwrap().unwrap().text().await.unwrap(), "ok");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_impatient_caller_does_not_end_a_fetch_that_others_share() {
    let origin = slow(SHORT * 4).await;
    let client = client().await;
    let impatient = tokio::spawn(client.get(origin.url("/")).timeout(SHORT * 2).send());
    sleep(SHORT).await;
    let patient = client.get(origin.url("/")).send().await.unwrap();
    assert!(impatient.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(source(&patient), Source::Store);
    assert_eq!(patient.text().await.unwrap(), "ok");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_error_of_the_origin_is_everybodys() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?token=secret", listener.local_addr().unwrap());
    let client = client().await;
    let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(client.get(&url).send())).collect();
    // Accepted once, and closed without a word.
    drop(listener.accept().await.unwrap());
    drop(listener);
    for waiting in waiting {
        let error = waiting.await.unwrap().unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(error.url().unwrap().as_str(), url);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn the_head_and_each_part_arrive_as_the_origin_sends_them() {
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let origin = Origin::with(move |_| {
        let gate = gate.clone();
        let parts = futures_util::stream::iter(0..3).then(move |part| {
            let gate = gate.clone();
            async move {
                if part > 0 {
                    gate.notified().await;
                }
                Ok::<_, std::io::Error>(format!("part {part};"))
            }
        });
        response(200, &[FRESH], Body::from_stream(parts))
    })
    .await;
    let client = client().await;
    let mut response = client.get(origin.url("/")).send().await.unwrap();
    for part in 0..3 {
        assert_eq!(response.chunk().await.unwrap().unwrap(), format!("part {part};"));
        go_on.notify_one();
    }
    assert_eq!(response.chunk().await.unwrap(), None);
    let hit = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(source(&hit), Source::Store);
    assert_eq!(hit.text().await.unwrap(), "part 0;part 1;part 2;");
}

#[tokio::test]
async fn timeouts_bound_a_slow_storage() {
    let origin = Origin::with(|_| response(200, &[FRESH], "ok")).await;
    let storage = Arc::new(Sluggish::default());
    let builder = builder().storage(storage.clone()).storage_read_deadline(Duration::from_secs(60));
    let client = builder.timeout(SHORT).build().await.unwrap();
    client.get(origin.url("/")).send().await.unwrap().bytes().await.unwrap();
    storage.slow.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let error = client.get(origin.url("/")).send().await.unwrap_err();
    assert!(error.is_timeout() && started.elapsed() < SHORT * 4, "{error:?}");
}

#[tokio::test]
async fn a_storage_that_fails_costs_its_deadline_and_no_more() {
    let origin = Origin::with(|_| response(200, &[FRESH], "ok")).await;
    let storage = Arc::new(Sluggish { slow: AtomicBool::new(true), ..Sluggish::default() });
    let make = || builder().storage(storage.clone()).storage_read_deadline(SHORT);
    let open = make().build().await.unwrap();
    let answer = open.get(origin.url("/")).send().await.unwrap();
    assert_eq!((source(&answer), answer.text().await.unwrap()), (Source::Origin, "ok".into()));

    let closed = make().fail_closed(true).build().await.unwrap();
    let error = closed.get(origin.url("/")).send().await.unwrap_err();
    assert!(error.is_cache() && !error.is_builder(), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.is::<cache_api::Error>(), "{cause}");
}

/// Memory, whose lookups take forever when asked to.
#[derive(Debug, Default)]
struct Sluggish {
    inner: MemoryStorage,
    slow: AtomicBool,
}

impl fmt::Display for Sluggish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sluggish")
    }
}

#[async_trait]
impl Storage for Sluggish {
    fn namespace(&self) -> &Namespace {
        self.inner.namespace()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> cache_api::Result<Resource> {
        if self.slow.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.inner.lookup(key, now).await
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> cache_api::Result<Vec<Frame>> {
        self.inner.read(key, body, frames).await
    }

    async fn writer(
        &self,
        ticket: &Ticket,
        body: BodyId,
        now: SystemTime,
    ) -> cache_api::Result<Box<dyn BodyWriter>> {
        self.inner.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> cache_api::Result<Committed> {
        self.inner.commit(ticket, entry, change, now).await
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> cache_api::Result<u64> {
        self.inner.remove(key, only, now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn close(&self) -> cache_api::Result<()> {
        self.inner.close().await
    }
}
