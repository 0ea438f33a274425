//! Answers to POST that are stored for later GETs (RFC 9110 §9.3.3).

use std::sync::Arc;

use crate::support::{Bench, Got, Origin, Reply, get, memory, settle, with_field};
use bytes::Bytes;
use cache_engine::{
    Answer, Request, Source,
    policy::{Mode, Options, Reason},
};
use futures_util::stream;
use http::Method;
use tokio::sync::Semaphore;

const SELF: [(&str, &str); 2] = [("cache-control", "max-age=60"), ("content-location", "/resource")];

fn post() -> Request<Bytes> {
    let mut request = get();
    request.method = Method::POST;
    request.with_body(Bytes::from_static(b"asked"))
}

/// An origin that answers with method and number; GETs are fresh, and POSTs as `fields` say.
fn numbered(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |nth, request| async move {
        let fields = if request.method == Method::POST { fields } else { &SELF[..1] };
        Ok(Reply::new(200, fields, format!("{} {nth}", request.method)))
    })
}

#[tokio::test]
async fn an_answer_that_says_so_is_one_to_later_gets() {
    let bench = Bench::new(numbered(&SELF));
    assert_eq!(bench.get().await.text(), "GET 0");
    let answer = bench.send(post()).await;
    assert_eq!((answer.text(), answer.info.source, answer.info.stored), ("POST 1", Source::Origin, true));
    assert!(answer.info.reasons.contains(Reason::PostReused));
    bench.clock.forward(5);
    let reused = bench.get().await;
    assert_eq!((reused.text(), reused.info.source), ("POST 1", Source::Store));
    assert_eq!(reused.headers["age"], "5");
    let mut head = get();
    head.method = Method::HEAD;
    assert_eq!(bench.send(head).await.info.source, Source::Store);
    // A POST itself is always the origin's.
    assert_eq!(bench.send(post()).await.text(), "POST 2");
    assert_eq!(bench.get().await.text(), "POST 2");
    assert_eq!(bench.origin.requests(), 3);
}

#[tokio::test]
async fn without_that_it_removes_and_nothing_more() {
    for fields in [
        &[("cache-control", "max-age=60")][..],
        &[("cache-control", "max-age=60"), ("content-location", "/other")],
        &[("content-location", "/resource"), ("last-modified", "Thu, 01 Jan 1998 00:00:00 GMT")],
        &[("cache-control", "max-age=60, no-store"), ("content-location", "/resource")],
    ] {
        let bench = Bench::new(numbered(fields));
        assert_eq!(bench.get().await.text(), "GET 0");
        let answer = bench.engine.handle(post()).await.unwrap();
        assert!(matches!(answer.answer, Answer::Wire(_)));
        assert_eq!(bench.get().await.text(), "GET 2", "{fields:?}");
    }
    let off = |builder: cache_engine::EngineBuilder| builder.options(Options::new().reuse_posts(false));
    let bench = Bench::with(numbered(&SELF), memory(), off);
    bench.send(post()).await;
    assert_eq!(bench.get().await.text(), "GET 1");
}

#[tokio::test]
async fn posts_are_not_coalesced() {
    let bench = Bench::new(numbered(&SELF));
    futures_util::future::join_all((0..5).map(|_| bench.send(post()))).await;
    assert_eq!(bench.origin.requests(), 5);
}

#[tokio::test]
async fn only_if_cached_is_no_request_of_any_method() {
    let bench = Bench::new(numbered(&SELF));
    let mut offline = post();
    offline.controls.only_if_cached = true;
    assert_eq!((bench.send(offline).await.status.as_u16(), bench.origin.requests()), (504, 0));
}

#[tokio::test]
async fn accounts_are_told_apart() {
    let bench = Bench::new(numbered(&SELF));
    bench.send(with_field(post(), "authorization", "a")).await;
    assert_eq!(bench.get().await.text(), "GET 1");
    assert_eq!(bench.send(with_field(get(), "authorization", "b")).await.text(), "GET 2");
    assert_eq!(bench.send(with_field(get(), "authorization", "a")).await.text(), "POST 0");
    let shared = |builder: cache_engine::EngineBuilder| builder.options(Options::new().mode(Mode::Shared));
    let bench = Bench::with(numbered(&SELF), memory(), shared);
    bench.send(with_field(post(), "authorization", "a")).await;
    assert_eq!(bench.get().await.text(), "GET 1");
}

/// The first request of a method is answered at once, its body only when the gate opens.
fn gated(method: Method) -> (Origin, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Origin::new({
        let gate = Arc::clone(&gate);
        move |nth, request| {
            let gate = Arc::clone(&gate);
            let waits = nth == 0 && request.method == method;
            let body = async move {
                if waits {
                    gate.acquire().await.unwrap().forget();
                }
                Ok(Bytes::from(format!("{} {nth}", request.method)))
            };
            async { Ok(Reply::streamed(200, &SELF, stream::once(body))) }
        }
    });
    (origin, gate)
}

#[tokio::test]
async fn a_get_under_way_does_not_overwrite_it() {
    let (origin, gate) = gated(Method::GET);
    let bench = Bench::new(origin);
    let slow = bench.engine.handle(get()).await.unwrap();
    assert_eq!(bench.send(post()).await.text(), "POST 1");
    gate.add_permits(1);
    assert_eq!(Got::of(slow).await.unwrap().text(), "GET 0");
    settle().await;
    assert_eq!(bench.get().await.text(), "POST 1");
}

#[tokio::test]
async fn a_later_removal_is_not_undone_by_it() {
    let (origin, gate) = gated(Method::POST);
    let bench = Bench::new(origin);
    let slow = bench.engine.handle(post()).await.unwrap();
    let mut delete = get();
    delete.method = Method::DELETE;
    bench.send(delete).await;
    gate.add_permits(1);
    assert_eq!(Got::of(slow).await.unwrap().text(), "POST 0");
    settle().await;
    assert_eq!(bench.get().await.text(), "GET 2");
}

/// Every variant is outdated, not only the one that the POST selects.
#[tokio::test]
async fn what_was_stored_goes_first() {
    let bench = Bench::new(Origin::new(|nth, request| async move {
        let fields = [SELF[0], SELF[1], ("vary", "foo")];
        Ok(Reply::new(200, &fields, format!("{} {nth}", request.method)))
    }));
    for (foo, expected) in [("1", "GET 0"), ("2", "GET 1"), ("1", "GET 0")] {
        assert_eq!(bench.send(with_field(get(), "foo", foo)).await.text(), expected);
    }
    bench.send(with_field(post(), "foo", "1")).await;
    assert_eq!(bench.send(with_field(get(), "foo", "1")).await.text(), "POST 2");
    assert_eq!(bench.send(with_field(get(), "foo", "2")).await.text(), "GET 3");
}
