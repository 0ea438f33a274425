//! Settings of the client and of its requests, over a wire that is watched.

#![cfg(feature = "memory")]

use std::error::Error as _;
use std::sync::Arc;

use crate::support::{Origin, TestClock, builder, redirect, response, source};
use client_reqwest::{CachedClientBuilder, Expiry, ExpiryMode, Mode, RequestBuilder, Rule, Source};
use http::{Method, StatusCode};

const FORBIDDEN: (&str, &str) = ("cache-control", "no-store");

/// Sends, and reads the answer to its end: it is stored then.
async fn sent(request: RequestBuilder) -> Source {
    let answer = request.send().await.unwrap();
    let source = source(&answer);
    answer.bytes().await.unwrap();
    source
}

#[tokio::test]
async fn nothing_that_steers_the_cache_reaches_the_wire() {
    let origin = Origin::with(|_| response(200, &[("etag", "\"1\"")], "ok")).await;
    let client = builder().build().await.unwrap();
    type Change = fn(RequestBuilder) -> RequestBuilder;
    let ways: [(&str, Change); 16] = [
        ("plain", |request| request),
        ("expiry", |request| request.expiry(Expiry::after_secs(60))),
        ("expiry at", |request| request.expiry(std::time::SystemTime::UNIX_EPOCH)),
        ("always_cache", RequestBuilder::always_cache),
        ("cache_key", |request| request.cache_key("steering")),
        ("tag", |request| request.tag("steering")),
        ("tenant", |request| request.tenant("steering")),
        ("force_cache", RequestBuilder::force_cache),
        ("stale_ok", RequestBuilder::stale_ok),
        ("stale_if_error", |request| request.stale_if_error(std::time::Duration::from_secs(60))),
        ("no_store", RequestBuilder::no_store),
        ("read_only", RequestBuilder::read_only),
        ("revalidate", RequestBuilder::revalidate),
        ("reload", RequestBuilder::reload),
        ("bypass", RequestBuilder::bypass),
        ("built", |request| request.expiry(Expiry::Never).cache_key("steering too").tag("steering")),
    ];
    let mut plain = None;
    for (name, change) in ways {
        // Each asks for what nobody has asked for yet.
        let request = change(client.get(origin.url(&format!("/{}", name.replace(' ', "-")))));
        if name == "built" {
            client.execute(request.build().unwrap()).await.unwrap().bytes().await.unwrap();
        } else {
            sent(request).await;
        }
        let seen = origin.last();
        assert_eq!(seen.query, None, "{name}");
        let text = format!("{:?}", seen.headers);
        assert!(!text.contains("steering") && seen.header("cache-control").is_none(), "{name}: {text}");
        let fields = plain.get_or_insert_with(|| seen.headers.clone());
        assert_eq!(seen.headers, *fields, "{name}");
    }
    assert_eq!(origin.seen().len(), ways.len());
}

#[tokio::test]
async fn an_expiry_of_its_own_and_a_key_of_its_own() {
    let clock = TestClock::new();
    let origin = Origin::with(|_| response(200, &[], "ok")).await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let get = |path: &str| client.get(origin.url(path));

    assert_eq!(sent(get("/a").expiry(Expiry::after_secs(60))).await, Source::Origin);
    clock.advance(59);
    assert_eq!(sent(get("/a")).await, Source::Store);
    clock.advance(1);
    assert_eq!(sent(get("/a")).await, Source::Origin);

    let keyed = |query: &str| get(&format!("/b?{query}")).cache_key("b").expiry(Expiry::Never);
    assert_eq!(sent(keyed("session=1")).await, Source::Origin);
    assert_eq!(sent(keyed("session=2")).await, Source::Store);
    assert_eq!(sent(get("/b?session=1")).await, Source::Origin);
    assert_eq!(sent(keyed("session=2").bearer_auth("somebody")).await, Source::Origin);
}

#[tokio::test]
async fn a_key_of_its_own_is_for_the_first_hop() {
    let origin = Origin::with(|seen| match &*seen.path {
        "/from" => redirect(301, "/to"),
        _ => response(200, &[("cache-control", "max-age=60")], "there"),
    })
    .await;
    let client = builder().build().await.unwrap();
    for _ in 0..2 {
        let answer =
            client.get(origin.url("/from")).cache_key("own").expiry(Expiry::Never).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "there");
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn rules_modes_and_overrides_of_a_client() {
    let origin = Origin::with(|seen| match &*seen.path {
        "/missing" => response(404, &[FORBIDDEN], "no"),
        _ => response(200, &[FORBIDDEN], "ok"),
    })
    .await;
    let built = |change: fn(CachedClientBuilder) -> CachedClientBuilder| change(builder()).build();
    let plain = built(|builder| builder).await.unwrap();
    let ttl = built(|builder| builder.ttl(Expiry::Never).negative(Expiry::Never)).await.unwrap();
    let dated = built(|builder| builder.expiry(Expiry::Never)).await.unwrap();
    let always = built(|builder| builder.expiry(Expiry::Never).always_cache(true)).await.unwrap();
    let ruled = built(|builder| {
        builder.rules([
            Rule::new("other").host("other.example").expiry(Expiry::DoNotStore),
            Rule::new("data")
                .host("127.0.0.1")
                .path("/data/*")
                .precedence(ExpiryMode::Ttl)
                .expiry(Expiry::Never),
        ])
    })
    .await
    .unwrap();
    let table = [
        ("plain", &plain, "/", Source::Origin),
        ("ttl", &ttl, "/", Source::Store),
        ("ttl", &ttl, "/missing", Source::Store),
        ("expiry", &dated, "/", Source::Origin),
        ("always", &always, "/", Source::Store),
        ("always", &always, "/missing", Source::Origin),
        ("ruled", &ruled, "/data/1", Source::Store),
        ("ruled", &ruled, "/?/data/1", Source::Origin),
    ];
    for (name, client, path, expected) in table {
        sent(client.get(origin.url(path))).await;
        assert_eq!(sent(client.get(origin.url(path))).await, expected, "{name}: {path}");
    }
    let told = ruled.get(origin.url("/data/1")).explain().await.unwrap().unwrap();
    assert!(told.to_string().contains("the URL matches the rule `data`"), "{told}");
}

#[tokio::test]
async fn a_shared_client_gives_nobody_the_answer_to_another() {
    let origin = Origin::with(|seen| {
        let user = seen.header("authorization").unwrap_or("nobody").to_owned();
        response(200, &[FORBIDDEN], user)
    })
    .await;
    let client = builder()
        .mode(Mode::Shared)
        .ttl(Expiry::Never)
        .always_cache(true)
        .rules([Rule::new("all").always_cache(true).expiry(Expiry::Never)])
        .build()
        .await
        .unwrap();
    for user in ["one", "other"] {
        let request = client.get(origin.url("/")).header("authorization", user);
        let answer = request.always_cache().force_cache().expiry(Expiry::Never).cache_key("all").send().await;
        assert_eq!(answer.unwrap().text().await.unwrap(), user);
    }
}

#[tokio::test]
async fn a_listed_status_lets_a_stale_answer_stand_in() {
    let clock = TestClock::new();
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let origin = Origin::with(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => response(200, &[("cache-control", "max-age=1")], "ok"),
        _ => response(429, &[], "slow down"),
    })
    .await;
    let client = builder()
        .clock(clock.clone())
        .stale_if_error(std::time::Duration::from_secs(60))
        .stale_if_error_statuses([StatusCode::TOO_MANY_REQUESTS])
        .build()
        .await
        .unwrap();
    sent(client.get(origin.url("/"))).await;
    clock.advance(10);
    let answer = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!((answer.status(), source(&answer)), (StatusCode::OK, Source::Stale));
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    type Change = fn(CachedClientBuilder) -> CachedClientBuilder;
    let table: [(Change, &str); 5] = [
        (|builder| builder.rules([Rule::new("a").host("[x")]), "host of the rule `a`: not a glob"),
        (
            |builder| builder.rules([Rule::new("a").path_regex("(")]),
            "path_regex of the rule `a`: not a regular expression",
        ),
        (|builder| builder.methods([Method::DELETE]), "methods: answers to DELETE are never cached"),
        (
            |builder| builder.statuses([StatusCode::NOT_MODIFIED]),
            "statuses: a response with 304 is never stored",
        ),
        (
            |builder| builder.stale_if_error_statuses([StatusCode::OK]),
            "stale_if_error_statuses: 200 is no error",
        ),
    ];
    for (change, expected) in table {
        let error = change(builder()).build().await.unwrap_err();
        assert!(error.is_builder(), "{error:?}");
        assert_eq!(error.source().unwrap().to_string(), expected);
    }
    let origin = Origin::ok().await;
    for client in [builder().build().await.unwrap(), builder().disabled().build().await.unwrap()] {
        let error = client.get(origin.url("/?secret")).only_if_cached().reload().send().await.unwrap_err();
        assert!(error.is_builder() && !error.to_string().contains("secret"), "{error}");
        assert_eq!(error.source().unwrap().to_string(), "only_if_cached: contradicts `reload`");
    }
    assert!(origin.seen().is_empty());
}
