//! One request after another, over hyper's client: miss, hit, validation, staleness, invalidation, and whose answer it is.

use std::{sync::Arc, time::Duration};

use crate::support::{Cached, Origin, Seen, TestClock, cached, engine, response, send};
use axum::body::Body;
use cache_tower::cache_engine::stats::Outcome;
use cache_tower::{CacheLayer, Controls, InvalidSetting, Mode, Options, Rule, Rules, Source, Tags, Tenant};
use http::{HeaderValue, Method, StatusCode, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::Layer;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn etagged(_: usize, seen: &Seen) -> axum::response::Response {
    match seen.headers.get("if-none-match") {
        Some(_) => response(304, &[FRESH, ("etag", "\"a\"")], ""),
        None => response(200, &[FRESH, ("etag", "\"a\"")], "whole"),
    }
}

#[tokio::test]
async fn a_miss_a_hit_and_a_validation() {
    let origin = Origin::with(etagged).await;
    let clock = TestClock::new();
    let cache = cached(engine().clock(clock.clone()));

    let miss = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((miss.source(), miss.info.stored, miss.text()), (Source::Origin, true, "whole"));
    assert_eq!(miss.cache_status(), "http-cache; fwd=uri-miss; ttl=60; stored");

    clock.advance(10);
    let hit = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((hit.source(), hit.text(), hit.info.ttl), (Source::Store, "whole", Some(50)));
    assert_eq!(hit.cache_status(), "http-cache; hit; ttl=50");
    assert_eq!(hit.headers[header::AGE], "10");
    assert_eq!(origin.asked(), 1);

    // Out of the whole: a range, and a HEAD.
    let mut range = origin.get("/");
    range.headers_mut().insert(header::RANGE, HeaderValue::from_static("bytes=1-2"));
    let part = send(&cache, range).await.unwrap();
    assert_eq!((part.status, part.text()), (StatusCode::PARTIAL_CONTENT, "ho"));
    let head = send(&cache, origin.request("HEAD", "/")).await.unwrap();
    assert_eq!(
        (head.source(), head.text(), &head.headers[header::CONTENT_LENGTH]),
        (Source::Store, "", &HeaderValue::from(5))
    );
    assert_eq!(origin.asked(), 1);

    clock.advance(60);
    let validated = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!(
        (validated.source(), validated.status, validated.text()),
        (Source::Revalidated, StatusCode::OK, "whole")
    );
    assert_eq!(origin.asked(), 2);
    let counts = cache.stats().requests;
    assert_eq!(
        [Outcome::Miss, Outcome::Hit, Outcome::Revalidated].map(|outcome| counts.get(outcome)),
        [1, 3, 1]
    );
}

#[tokio::test]
async fn what_an_unsafe_method_changed_is_fetched_anew() {
    let origin = Origin::with(|nth, seen| match seen.method {
        Method::GET => response(200, &[FRESH], format!("{nth}")),
        _ => response(204, &[], ""),
    })
    .await;
    let cache = cached(engine());
    assert_eq!(send(&cache, origin.get("/a")).await.unwrap().text(), "0");
    assert_eq!(send(&cache, origin.get("/b")).await.unwrap().text(), "1");
    let put = origin.request("PUT", "/a").map(|_| Body::from("new"));
    let put = send(&cache, put).await.unwrap();
    assert!(put.cache_status().contains("fwd=method"), "{}", put.cache_status());
    assert_eq!(origin.seen()[2].body, "new");
    assert_eq!(send(&cache, origin.get("/a")).await.unwrap().text(), "3");
    assert_eq!(send(&cache, origin.get("/b")).await.unwrap().source(), Source::Store);
}

#[tokio::test]
async fn a_stale_answer_stands_in_for_a_failing_origin() {
    let origin = Origin::with(|nth, _| match nth {
        0 => response(200, &[("cache-control", "max-age=1, stale-if-error=60")], "stale"),
        _ => response(503, &[], "down"),
    })
    .await;
    let clock = TestClock::new();
    let cache = cached(engine().clock(clock.clone()));
    send(&cache, origin.get("/")).await.unwrap();
    clock.advance(10);
    let answer = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((answer.source(), answer.text()), (Source::Stale, "stale"));
    assert_eq!(answer.info.forward_status, Some(StatusCode::SERVICE_UNAVAILABLE));

    // Nor is there anybody to connect to.
    let gone = origin.get("/");
    drop(origin);
    tokio::task::yield_now().await;
    let answer = send(&cache, gone).await.unwrap();
    assert_eq!((answer.source(), answer.text()), (Source::Stale, "stale"));
}

#[tokio::test]
async fn what_steers_the_cache_is_obeyed_and_not_sent() {
    let origin = Origin::with(|nth, _| response(200, &[FRESH], format!("{nth}"))).await;
    let cache = cached(engine());
    let ask = async |controls: Controls| {
        let mut request = origin.get("/");
        request.extensions_mut().insert(controls);
        send(&cache, request).await.unwrap()
    };
    let mut offline = Controls::new();
    offline.only_if_cached = true;
    assert_eq!(ask(offline).await.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(ask(Controls::new()).await.text(), "0");
    assert_eq!(ask(offline).await.text(), "0");
    let mut reload = Controls::new();
    reload.reload = true;
    assert_eq!(ask(reload).await.text(), "1");
    let mut bypass = Controls::new();
    bypass.bypass = true;
    assert_eq!(ask(bypass).await.text(), "2");
    assert_eq!(ask(Controls::new()).await.text(), "1");
    let plain = origin.seen()[0].headers.clone();
    for seen in origin.seen() {
        assert_eq!(seen.headers, plain);
    }
}

#[tokio::test]
async fn a_tag_removes_what_was_stored_under_it() {
    let origin = Origin::with(|_, _| response(200, &[FRESH, ("cache-tag", "theirs")], "x")).await;
    let cache = cached(engine());
    let mut tagged = origin.get("/");
    tagged.extensions_mut().insert(Tags::new(["ours"]));
    send(&cache, tagged).await.unwrap();
    send(&cache, origin.get("/other")).await.unwrap();
    assert_eq!(cache.purge_tags(["ours"]).await.unwrap(), 1);
    assert_eq!(cache.purge_tags(["theirs"]).await.unwrap(), 1);
}

/// Two users of one cache.
async fn two(cache: &Cached, origin: &Origin, tell: impl Fn(&mut http::Request<Body>, &'static str)) {
    for _ in 0..2 {
        for user in ["alice", "bob"] {
            let mut request = origin.get("/");
            request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static(user));
            tell(&mut request, user);
            assert_eq!(send(cache, request).await.unwrap().text(), user);
        }
    }
}

fn whoami(_: usize, seen: &Seen) -> axum::response::Response {
    response(200, &[FRESH], seen.headers["authorization"].as_bytes().to_vec())
}

#[tokio::test]
async fn nobody_is_served_the_answer_to_another() {
    for (mode, asked) in [(Mode::Private, 2), (Mode::Shared, 4)] {
        let origin = Origin::with(whoami).await;
        let cache = cached(engine().options(Options::new().mode(mode)));
        two(&cache, &origin, |_, _| {}).await;
        assert_eq!(origin.asked(), asked, "{mode:?}");
    }
    // In a shared cache a tenant opens what RFC 9111 §3.5 closes, for that tenant alone.
    let origin = Origin::with(whoami).await;
    let cache = cached(engine().options(Options::new().mode(Mode::Shared)));
    two(&cache, &origin, |request, user| {
        request.extensions_mut().insert(Tenant::new(user));
    })
    .await;
    assert_eq!(origin.asked(), 2);
}

#[tokio::test]
async fn a_tenant_of_the_layer_is_that_of_requests_without_one() {
    let origin = Origin::with(|nth, _| response(200, &[FRESH], format!("{nth}"))).await;
    let wire: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let layer = CacheLayer::new(engine()).cache_status(None);
    let (acme, umbrella) =
        (layer.clone().tenant("acme").layer(wire.clone()), layer.tenant("umbrella").layer(wire));
    let acmes = send(&acme, origin.get("/")).await.unwrap();
    assert_eq!(acmes.text(), "0");
    assert!(!acmes.headers.contains_key("cache-status"));
    assert_eq!(send(&umbrella, origin.get("/")).await.unwrap().text(), "1");
    let mut named = origin.get("/");
    named.extensions_mut().insert(Tenant::new("acme"));
    assert_eq!(send(&umbrella, named).await.unwrap().text(), "0");
}

#[tokio::test]
async fn a_host_that_is_not_the_urls_goes_past_the_cache() {
    let origin =
        Origin::with(|_, seen| response(200, &[FRESH], seen.headers["host"].as_bytes().to_vec())).await;
    let cache = cached(engine());
    let own = send(&cache, origin.get("/")).await.unwrap();
    for host in ["a.test", "b.test"] {
        let mut request = origin.get("/");
        request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
        let answer = send(&cache, request).await.unwrap();
        assert_eq!((answer.text(), answer.source()), (host, Source::Origin));
        assert!(answer.cache_status().contains("fwd=bypass"), "{}", answer.cache_status());
    }
    let again = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((again.source(), again.text()), (Source::Store, own.text()));
}

#[tokio::test]
async fn a_body_is_part_of_the_key_where_it_may_be_collected() {
    let query = |origin: &Origin, body: &'static str| origin.request("QUERY", "/").map(|_| Body::from(body));
    let echo = |_, seen: &Seen| response(200, &[FRESH], seen.body.clone());
    let methods =
        || Options::new().methods([Method::GET, Method::HEAD, Method::from_bytes(b"QUERY").unwrap()]);
    for (limit, asked) in [(Some(4), 3), (Some(8), 2), (None, 4)] {
        let origin = Origin::with(echo).await;
        let mut layer = CacheLayer::new(engine().options(methods()));
        if let Some(limit) = limit {
            layer = layer.buffer_bodies(limit);
        }
        let cache = layer.layer(Client::builder(TokioExecutor::new()).build_http());
        for body in ["tiny", "not tiny"].into_iter().cycle().take(4) {
            assert_eq!(send(&cache, query(&origin, body)).await.unwrap().text(), body);
        }
        assert_eq!(origin.asked(), asked, "{limit:?}");
    }
}

#[tokio::test]
async fn a_rule_says_whose_bodies_are_collected() {
    let query = Method::from_bytes(b"QUERY").unwrap();
    let rule = Rule::new("search").path("/search").methods([Method::GET, query]);
    let origin = Origin::with(|_, seen: &Seen| response(200, &[FRESH], seen.body.clone())).await;
    let layer = CacheLayer::new(engine().rules(Rules::new([rule]).unwrap())).buffer_bodies(100);
    let cache = layer.layer(Client::builder(TokioExecutor::new()).build_http());
    for (path, asked) in [("/search", 1), ("/other", 3)] {
        for _ in 0..2 {
            let request = origin.request("QUERY", path).map(|_| Body::from("words"));
            assert_eq!(send(&cache, request).await.unwrap().text(), "words");
        }
        assert_eq!(origin.asked(), asked, "{path}");
    }
}

#[tokio::test]
async fn controls_that_contradict_each_other_are_refused() {
    let origin = Origin::with(|_, _| response(200, &[FRESH], "body")).await;
    let cache = cached(engine());
    let mut controls = Controls::new();
    (controls.only_if_cached, controls.reload) = (true, true);
    let mut request = origin.get("/");
    request.extensions_mut().insert(controls);
    let error = send(&cache, request).await.err().unwrap();
    assert!(error.is_setting() && !error.is_service() && !error.is_cache(), "{error:?}");
    let invalid = error.inner().downcast_ref::<InvalidSetting>().unwrap();
    assert_eq!((invalid.setting(), origin.asked()), ("only_if_cached", 0));
}

#[tokio::test]
async fn stale_while_revalidate_is_refreshed_in_the_background() {
    let origin = Origin::with(|nth, _| {
        response(200, &[("cache-control", "max-age=1, stale-while-revalidate=60")], format!("{nth}"))
    })
    .await;
    let clock = TestClock::new();
    let cache = cached(engine().clock(clock.clone()).close_timeout(Duration::from_secs(30)));
    send(&cache, origin.get("/")).await.unwrap();
    clock.advance(10);
    let stale = send(&cache, origin.get("/")).await.unwrap();
    assert_eq!((stale.source(), stale.text()), (Source::Stale, "0"));
    let storage = Arc::clone(cache.storage().unwrap());
    cache.close().await.unwrap();
    assert_eq!(origin.asked(), 2);
    // Another cache over the same storage finds what was brought.
    let next = cached(cache_tower::EngineBuilder::new().storage(storage).clock(clock));
    assert_eq!(send(&next, origin.get("/")).await.unwrap().text(), "1");
    assert_eq!(origin.asked(), 2);
}
