//! The cache as a middleware of reqwest-middleware: what it serves, whom, and what it lets nobody see.

#![cfg(all(feature = "memory", feature = "middleware"))]

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Origin, Seen, TestClock, redirect, response, source};
use async_trait::async_trait;
use axum::response::Response as OriginResponse;
use client_reqwest::{
    CacheMiddleware, Controls, EngineBuilder, MemoryStorage, Mode, Options, ResponseExt, Source, Storage,
    Tags, Tenant,
};
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use http::{Extensions, Method, StatusCode};
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};
use tokio::sync::Notify;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn wire() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn engine() -> EngineBuilder {
    EngineBuilder::new().storage(Arc::new(MemoryStorage::new()))
}

fn cache(engine: EngineBuilder) -> CacheMiddleware {
    CacheMiddleware::new(engine, &wire()).unwrap()
}

fn client(engine: EngineBuilder) -> ClientWithMiddleware {
    ClientBuilder::new(wire()).with(cache(engine)).build()
}

#[tokio::test]
async fn a_miss_a_hit_and_a_validation() {
    let origin = Origin::with(|seen| match seen.header("if-none-match") {
        Some(_) => response(304, &[FRESH, ("etag", "\"a\"")], ""),
        None => response(200, &[FRESH, ("etag", "\"a\"")], "whole"),
    })
    .await;
    let clock = TestClock::new();
    let client = client(engine().clock(clock.clone()));
    for (seconds, expected, asked) in
        [(0, Source::Origin, 1), (10, Source::Store, 1), (60, Source::Revalidated, 2)]
    {
        clock.advance(seconds);
        let answer = client.get(origin.url("/#fragment")).send().await.unwrap();
        assert_eq!(source(&answer), expected);
        assert!(answer.headers()["cache-status"].to_str().unwrap().starts_with("http-cache; "));
        assert_eq!(answer.url().as_str(), origin.url("/#fragment"));
        assert_eq!(answer.text().await.unwrap(), "whole");
        assert_eq!(origin.seen().len(), asked);
    }
    let posted = client.post(origin.url("/")).body("new").send().await.unwrap();
    assert_eq!(posted.cache_info().unwrap().source, Source::Origin);
    assert_eq!(origin.last().body, "new");
    // The POST has removed it.
    assert_eq!(source(&client.get(origin.url("/")).send().await.unwrap()), Source::Origin);
}

fn whoami(seen: &Seen) -> OriginResponse {
    response(200, &[FRESH], seen.header("authorization").unwrap_or("nobody").to_owned())
}

/// Says who calls, above the cache.
struct Signs(&'static str);

#[async_trait]
impl Middleware for Signs {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(self.0));
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn two_users_over_one_storage_are_never_served_each_others_answers() {
    for mode in [Mode::Private, Mode::Shared] {
        let origin = Origin::with(whoami).await;
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let cache =
            || cache(EngineBuilder::new().storage(storage.clone()).options(Options::new().mode(mode)));
        let clients = ["alice", "bob"].map(|user| {
            let plain = ClientBuilder::new(wire()).with(cache()).build();
            let signed = ClientBuilder::new(wire()).with(Signs(user)).with(cache()).build();
            (user, plain, signed)
        });
        for _ in 0..2 {
            for (user, plain, signed) in &clients {
                let by_request =
                    plain.get(origin.url("/")).header(AUTHORIZATION, *user).send().await.unwrap();
                assert_eq!(by_request.text().await.unwrap(), *user, "{mode:?}");
                let by_middleware = signed.get(origin.url("/")).send().await.unwrap();
                assert_eq!(by_middleware.text().await.unwrap(), *user, "{mode:?}");
            }
        }
        // A private cache keeps each user's answer, a shared one nobody's.
        assert_eq!(origin.seen().len(), if mode == Mode::Private { 2 } else { 8 }, "{mode:?}");
    }
}

#[test]
fn a_client_that_adds_what_the_cache_cannot_see_is_refused() {
    let authorised = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))]);
    let agent = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("a"))]);
    for builder in [
        Client::builder().default_headers(authorised),
        Client::builder().default_headers(agent),
        Client::builder().user_agent("a"),
    ] {
        let error = CacheMiddleware::new(engine(), &builder.build().unwrap()).unwrap_err();
        let text = format!("{error:?}");
        assert!(
            error.is_builder() && text.contains("default headers") && text.contains("CachedClient"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
    #[cfg(feature = "cookies")]
    {
        let jar = Client::builder().cookie_store(true).build().unwrap();
        let error = CacheMiddleware::new(engine(), &jar).unwrap_err();
        assert!(format!("{error:?}").contains("cookie store"), "{error:?}");
    }
}

#[tokio::test]
async fn the_answer_to_a_redirect_that_is_followed_below_is_not_stored() {
    let moves = Arc::new(AtomicUsize::new(0));
    let origin = Origin::with(move |seen| match (seen.path.as_str(), seen.header("if-none-match")) {
        ("/moved", _) => redirect(301, "/there"),
        // What is asked of it along with the redirect must not be answered by the other resource.
        ("/moves", _) if moves.fetch_add(1, Ordering::SeqCst) == 0 => {
            response(200, &[("etag", "\"a\"")], "here")
        }
        ("/moves", _) => redirect(302, "/there"),
        (_, Some(_)) => response(304, &[FRESH, ("etag", "\"a\"")], ""),
        _ => response(200, &[FRESH, ("etag", "\"a\"")], "there"),
    })
    .await;
    let client = client(engine());
    for _ in 0..2 {
        let answer = client.get(origin.url("/moved")).send().await.unwrap();
        assert_eq!((source(&answer), answer.url().path()), (Source::Origin, "/there"));
        assert!(!answer.cache_info().unwrap().stored);
        assert_eq!(answer.text().await.unwrap(), "there");
    }
    assert_eq!(origin.seen().len(), 4);
    assert_eq!(client.get(origin.url("/moves")).send().await.unwrap().text().await.unwrap(), "here");
    let moved = client.get(origin.url("/moves")).send().await.unwrap();
    assert_eq!((moved.status(), moved.text().await.unwrap().as_str()), (StatusCode::OK, "there"));
}

#[tokio::test]
async fn a_hundred_requests_are_one() {
    let origin = Origin::start(|_| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        response(200, &[FRESH], "ok")
    })
    .await;
    let client = client(engine());
    let answers = join_all((0..100).map(|_| {
        let request = client.get(origin.url("/"));
        tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
    }));
    assert!(answers.await.into_iter().all(|answer| answer.unwrap() == "ok"));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_caller_that_goes_away_asks_itself() {
    let arrived = Arc::new(Notify::new());
    let signal = arrived.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (signal, nth) = (signal.clone(), asked.fetch_add(1, Ordering::SeqCst));
        async move {
            if nth == 0 {
                signal.notify_one();
                std::future::pending::<()>().await;
            }
            response(200, &[FRESH], "second")
        }
    })
    .await;
    let client = client(engine());
    let first = tokio::spawn(client.get(origin.url("/")).send());
    arrived.notified().await;
    let others: Vec<_> = (0..3).map(|_| tokio::spawn(client.get(origin.url("/")).send())).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.abort();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().text().await.unwrap(), "second");
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_timeout_is_its_callers_own() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (arrived.clone(), go_on.clone());
    let origin = Origin::start(move |_| {
        let (signal, gate) = gates.clone();
        async move {
            signal.notify_one();
            gate.notified().await;
            response(200, &[FRESH], "ok")
        }
    })
    .await;
    let client = client(engine());
    let patient = tokio::spawn(client.get(origin.url("/")).send());
    arrived.notified().await;
    let impatient = client.get(origin.url("/")).timeout(Duration::from_millis(50)).send().await.unwrap_err();
    let Error::Middleware(impatient) = impatient else { panic!("{impatient:?}") };
    assert!(impatient.downcast_ref::<client_reqwest::Error>().unwrap().is_timeout());
    go_on.notify_one();
    assert_eq!(patient.await.unwrap().unwrap().text().await.unwrap(), "ok");
    assert_eq!(origin.seen().len(), 1);
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// Refuses, below the cache.
struct Refuses;

#[async_trait]
impl Middleware for Refuses {
    async fn handle(
        &self,
        _: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        Err(Error::middleware(Refused))
    }
}

#[tokio::test]
async fn errors_of_the_stack_below_come_as_they_are() {
    let gone = Origin::ok().await;
    let url = gone.url("/?token=secret");
    drop(gone);
    tokio::task::yield_now().await;
    // By the cache, and past it.
    for method in [Method::GET, Method::DELETE] {
        let error = client(engine()).request(method, &url).send().await.unwrap_err();
        let Error::Reqwest(error) = error else { panic!("{error:?}") };
        assert!(error.is_connect());
        assert_eq!(error.url().unwrap().as_str(), url);
    }
    let refusing = ClientBuilder::new(wire()).with(cache(engine())).with(Refuses).build();
    let Error::Middleware(error) = refusing.get(&url).send().await.unwrap_err() else { panic!("another") };
    assert!(error.is::<Refused>());
}

#[tokio::test]
async fn stale_answers_stand_in_and_are_never_refreshed_behind_the_callers_back() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/swr" => response(
            200,
            &[("cache-control", "max-age=1, stale-while-revalidate=60"), ("etag", "\"a\"")],
            "swr",
        ),
        _ => response(200, &[("cache-control", "max-age=1, stale-if-error=60")], "sie"),
    })
    .await;
    let clock = TestClock::new();
    let client = client(engine().clock(clock.clone()));
    for path in ["/swr", "/sie"] {
        client.get(origin.url(path)).send().await.unwrap();
    }
    clock.advance(10);
    let validated = client.get(origin.url("/swr")).send().await.unwrap();
    assert_eq!(source(&validated), Source::Origin);
    assert_eq!(origin.last().header("if-none-match"), Some("\"a\""));
    let url = origin.url("/sie");
    drop(origin);
    tokio::task::yield_now().await;
    let stale = client.get(url).send().await.unwrap();
    assert_eq!((source(&stale), stale.text().await.unwrap().as_str()), (Source::Stale, "sie"));
}

/// What is seen below the cache.
#[derive(Clone, Default)]
struct Watches(Arc<Mutex<Vec<(usize, bool)>>>);

#[derive(Clone)]
struct Callers;

#[async_trait]
impl Middleware for Watches {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.0.lock().unwrap().push((extensions.len(), extensions.get::<Callers>().is_some()));
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn what_steers_the_cache_is_obeyed_and_seen_by_nobody() {
    let origin = Origin::with(|_| response(200, &[FRESH], "x")).await;
    let cache = Arc::new(cache(engine()).cache_status(None).tenant("default"));
    let watches = Watches::default();
    let client = ClientBuilder::new(wire()).with_arc(cache.clone()).with(watches.clone()).build();
    let ask = async |controls: Controls, tenant: &str| {
        let request = client.get(origin.url("/")).with_extension(controls).with_extension(Callers);
        let request = request.with_extension(Tenant::new(tenant)).with_extension(Tags::new([tenant]));
        request.send().await.unwrap()
    };
    let mut offline = Controls::new();
    offline.only_if_cached = true;
    assert_eq!(ask(offline, "acme").await.status(), StatusCode::GATEWAY_TIMEOUT);
    let answer = ask(Controls::new(), "acme").await;
    assert!(!answer.headers().contains_key("cache-status"));
    assert_eq!(source(&answer), Source::Origin);
    answer.bytes().await.unwrap();
    assert_eq!(source(&ask(Controls::new(), "umbrella").await), Source::Origin);
    assert_eq!(source(&ask(offline, "acme").await), Source::Store);
    let plain = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(source(&plain), Source::Origin);
    assert_eq!(cache.purge_tags(["acme"]).await.unwrap(), 1);
    assert_eq!(ask(offline, "acme").await.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(*watches.0.lock().unwrap(), [(1, true), (1, true), (0, false)]);
    let plain = origin.seen()[0].headers.clone();
    assert!(origin.seen().iter().all(|seen| seen.headers == plain));
    cache.close().await.unwrap();
}
