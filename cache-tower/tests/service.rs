//! The service below: when it is asked whether it is ready, what it is given, and what becomes of its errors.

use std::{
    convert::Infallible,
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::support::{Origin, TestClock, cached, engine, response, send};
use axum::{Router, body::Body, routing::get};
use cache_tower::{Cache, CacheInfo, CacheLayer, Controls, Source, Tags, Tenant};
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, load_shed::LoadShedLayer,
    service_fn,
};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const STALE: (&str, &str) = ("cache-control", "max-age=1, stale-if-error=60");

fn ask() -> Request<Body> {
    Request::get("http://a.test/").body(Body::empty()).unwrap()
}

/// A service that panics when it is called without being ready, and is ready when it is told to be.
struct Strict {
    is_ready: bool,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    calls: AtomicUsize,
}

impl Gate {
    fn opened() -> Arc<Self> {
        let gate = Self::default();
        gate.is_open.store(true, Ordering::SeqCst);
        Arc::new(gate)
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    fn close(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A clone is as little ready as any new service.
impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, gate: Arc::clone(&self.gate) }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.gate.waiting.lock().unwrap().push(cx.waker().clone());
        self.is_ready = self.gate.is_open.load(Ordering::SeqCst);
        if self.is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        let nth = self.gate.calls.fetch_add(1, Ordering::SeqCst);
        let is_known = request.headers().contains_key("if-none-match");
        Box::pin(async move {
            Ok(if is_known && nth == 1 {
                // It names nothing that is stored: the cache asks again, without conditions.
                response(304, &[("etag", "\"other\"")], "")
            } else {
                response(200, &[FRESH, ("etag", "\"a\"")], format!("{nth}"))
            })
        })
    }
}

#[tokio::test]
async fn the_service_is_ready_whenever_it_is_called() {
    let gate = Gate::opened();
    let clock = TestClock::new();
    let strict = Strict { is_ready: false, gate: Arc::clone(&gate) };
    let cache = CacheLayer::new(engine().clock(clock.clone())).layer(strict);
    assert_eq!(send(&cache, ask()).await.unwrap().text(), "0");
    clock.advance(61);
    // Twice for one request.
    assert_eq!(send(&cache, ask()).await.unwrap().text(), "2");
    // Past the cache, and without a URL.
    let mut bypass = ask();
    let mut controls = Controls::new();
    controls.bypass = true;
    bypass.extensions_mut().insert(controls);
    assert_eq!(send(&cache, bypass).await.unwrap().text(), "3");
    let no_url = Request::get("/").body(Body::empty()).unwrap();
    let response = cache.clone().oneshot(no_url).await.unwrap();
    assert!(response.extensions().get::<CacheInfo>().is_none());
    assert_eq!(gate.calls(), 5);
}

#[tokio::test]
async fn a_hit_waits_for_no_service_and_a_fetch_does() {
    let gate = Gate::opened();
    let cache = CacheLayer::new(engine()).layer(Strict { is_ready: false, gate: Arc::clone(&gate) });
    send(&cache, ask()).await.unwrap();
    gate.close();
    let hit = send(&cache, ask()).await.unwrap();
    assert_eq!(hit.source(), Source::Store);

    let other = Request::get("http://a.test/other").body(Body::empty()).unwrap();
    let fetch = tokio::spawn({
        let cache = cache.clone();
        async move { send(&cache, other).await.unwrap().source() }
    });
    while gate.waiting.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!((gate.calls(), fetch.is_finished()), (1, false));
    gate.open();
    assert_eq!(fetch.await.unwrap(), Source::Origin);
}

#[tokio::test]
async fn a_stampede_takes_one_permit_and_one_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let slow = service_fn(move |_: Request<Body>| {
        counter.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, io::Error>(response(200, &[FRESH], "ok"))
        }
    });
    // Who waits for another's fetch must not hold what that needs.
    let cache = ServiceBuilder::new()
        .layer(CacheLayer::new(engine()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(slow);
    let answers = join_all((0..100).map(|_| {
        let cache = cache.clone();
        tokio::spawn(async move { send(&cache, ask()).await.unwrap() })
    }));
    for answer in answers.await {
        assert_eq!(answer.unwrap().text(), "ok");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stampede_on_an_origin_is_one_request() {
    let origin = Origin::start(|_, _| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        response(200, &[FRESH], "ok")
    })
    .await;
    let cache = cached(engine());
    let answers = join_all((0..100).map(|_| {
        let (cache, request) = (cache.clone(), origin.get("/"));
        tokio::spawn(async move { send(&cache, request).await.unwrap() })
    }));
    for answer in answers.await {
        assert_eq!(answer.unwrap().text(), "ok");
    }
    assert_eq!(origin.asked(), 1);
}

#[derive(Clone, Debug, PartialEq)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[tokio::test]
async fn an_error_of_the_service_comes_in_its_own_type() {
    let refusing = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(Refused(7)) });
    let cache = CacheLayer::new(engine()).layer(refusing);
    // By the cache, and past it.
    for method in ["GET", "DELETE"] {
        let request = Request::builder().method(method).uri("http://a.test/").body(Body::empty()).unwrap();
        let error = cache.clone().oneshot(request).await.unwrap_err();
        assert!(error.is_service() && !error.is_cache() && !error.is_body());
        assert_eq!(error.inner().downcast_ref(), Some(&Refused(7)), "{method}");
        assert_eq!(error.to_string(), "the service below the cache failed");
    }
    // One that has no type any more.
    let boxed = refusing.map_err(|error| -> Box<dyn std::error::Error + Send + Sync> { error.into() });
    let error = CacheLayer::new(engine()).layer(boxed).oneshot(ask()).await.unwrap_err();
    assert_eq!(error.inner().downcast_ref(), Some(&Refused(7)));
    // Nobody listens.
    let gone = Origin::with(|_, _| response(200, &[], "")).await;
    let request = gone.get("/");
    drop(gone);
    tokio::task::yield_now().await;
    let error = cached(engine()).oneshot(request).await.unwrap_err();
    let error = error.inner().downcast_ref::<hyper_util::client::legacy::Error>().unwrap();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn a_stale_answer_stands_in_for_a_service_that_sheds_its_load() {
    let gate = Gate::opened();
    let clock = TestClock::new();
    let strict = Strict { is_ready: false, gate: Arc::clone(&gate) };
    let sometimes = strict.map_response(|mut response: Response<Body>| {
        response.headers_mut().insert(STALE.0, STALE.1.parse().unwrap());
        response
    });
    let cache = ServiceBuilder::new()
        .layer(CacheLayer::new(engine().clock(clock.clone())))
        .layer(LoadShedLayer::new())
        .service(sometimes);
    send(&cache, ask()).await.unwrap();
    clock.advance(10);
    gate.close();
    let stale = send(&cache, ask()).await.unwrap();
    assert_eq!((stale.source(), stale.text()), (Source::Stale, "0"));
    let other = Request::get("http://a.test/other").body(Body::empty()).unwrap();
    let error = cache.oneshot(other).await.unwrap_err();
    assert!(error.inner().is::<tower::load_shed::error::Overloaded>());
}

#[derive(Clone, Debug, PartialEq)]
struct Of(&'static str);

#[tokio::test]
async fn extensions_reach_the_service_and_none_of_the_caches_own() {
    type Given = (Option<Of>, usize);
    let given: Arc<Mutex<Vec<Given>>> = Arc::default();
    let record = Arc::clone(&given);
    let service = service_fn(move |request: Request<Body>| {
        let extensions = request.extensions();
        record.lock().unwrap().push((extensions.get().cloned(), extensions.len()));
        let mut response = response(200, &[FRESH], "");
        response.extensions_mut().insert(Of("response"));
        async { Ok::<_, Infallible>(response) }
    });
    let cache = CacheLayer::new(engine()).layer(service);
    // Fetched and stored, past the cache, and without a URL.
    for (n, (method, uri)) in
        [("GET", "http://a.test/"), ("PUT", "http://a.test/"), ("GET", "/")].into_iter().enumerate()
    {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .extension(Of("request"))
            .extension(Controls::new())
            .extension(Tenant::new("acme"))
            .extension(Tags::new(["tag"]))
            .body(Body::empty());
        let response = cache.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&Of("response")));
        assert_eq!(given.lock().unwrap()[n], (Some(Of("request")), 1), "{method} {uri}");
    }
    // Those of one answer are not those of the next.
    let first = cache.clone().oneshot(ask()).await.unwrap();
    assert!(first.extensions().get::<Of>().is_some());
    drop(first);
    let hit = cache.oneshot(ask()).await.unwrap();
    assert_eq!(hit.extensions().get::<CacheInfo>().unwrap().source, Source::Store);
    assert_eq!((hit.extensions().get::<Of>(), hit.extensions().len()), (None, 1));
}

#[tokio::test]
async fn a_cache_in_front_of_routes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let page = async move || {
        counter.fetch_add(1, Ordering::SeqCst);
        ([FRESH], "page")
    };
    let cache: Cache<Body, Body> = CacheLayer::new(engine()).layer(Router::new().route("/page", get(page)));
    let request =
        |path: &str, host: &str| Request::get(path).header("host", host).body(Body::empty()).unwrap();
    for (path, host, source) in [
        ("/page", "a.test", Source::Origin),
        ("/page", "a.test", Source::Store),
        ("/page", "A.test:80", Source::Store),
        // What the routes would take for another page is not kept for this one.
        ("/x/%2e%2e/page", "a.test", Source::Store),
        ("/page", "b.test", Source::Origin),
    ] {
        let answer = send(&cache, request(path, host)).await.unwrap();
        assert_eq!((answer.source(), answer.text()), (source, "page"), "{path} {host}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    // As a layer of axum's, and as a service below it.
    let layered = Router::new().route("/", get(async || ([FRESH], "layered")));
    let layered = layered.layer(
        ServiceBuilder::new()
            .layer(axum::error_handling::HandleErrorLayer::new(async |error: cache_tower::Error| {
                error.to_string()
            }))
            .layer(CacheLayer::new(engine())),
    );
    for status in ["fwd=uri-miss", "hit"] {
        let response = layered.clone().oneshot(request("/", "a.test")).await.unwrap();
        let field = response.headers()["cache-status"].to_str().unwrap().to_owned();
        assert!(field.contains(status), "{field}");
        axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    }
}

#[tokio::test]
async fn offline_nothing_reaches_the_service() {
    let origin = Origin::with(|_, _| response(200, &[("cache-control", "max-age=60")], "kept")).await;
    let cache = cached(engine());
    send(&cache, origin.get("/")).await.unwrap();
    cache.reconfigure(|settings| settings.options.offline = true).unwrap();
    assert!(cache.live_settings().options.offline);
    assert_eq!(send(&cache, origin.get("/")).await.unwrap().text(), "kept");
    // What has no URL, what is not stored, and what a suspended cache would pass on.
    let mut server = origin.request("OPTIONS", "/");
    *server.uri_mut() = "*".parse().unwrap();
    for request in [server, origin.get("/other"), origin.request("CONNECT", "/")] {
        let refused = send(&cache, request).await.unwrap();
        assert_eq!((refused.status.as_u16(), refused.source()), (504, Source::Nowhere));
        assert_eq!(refused.cache_status(), "http-cache; detail=offline");
    }
    let suspended = cache.suspend();
    assert_eq!(send(&cache, origin.get("/")).await.unwrap().status.as_u16(), 504);
    drop(suspended);
    assert_eq!(origin.asked(), 1);
    cache.reconfigure(|settings| settings.options.offline = false).unwrap();
    send(&cache, origin.get("/other")).await.unwrap();
    assert_eq!(origin.asked(), 2);
}
