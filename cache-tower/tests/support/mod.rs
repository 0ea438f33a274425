//! Origins on loopback, and a cache over hyper's client.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    response::Response,
};
use cache_backend_memory::MemoryStorage;
use cache_engine::{Clock, SystemClock};
use cache_tower::{Cache, CacheInfo, CacheLayer, EngineBuilder, Error, ResponseBody, Source};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};

/// A request as an origin received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An origin on a free port, which ends with the test.
pub(crate) struct Origin {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Origin {
    /// One that answers its nth request (from 0) so.
    pub(crate) async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(usize, Seen) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = Arc::clone(&seen);
        let app = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let asked = Seen { method: parts.method, uri: parts.uri, headers: parts.headers, body };
            let nth = {
                let mut seen = record.lock().unwrap();
                seen.push(asked.clone());
                seen.len() - 1
            };
            handler(nth, asked).await
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { addr, seen, server }
    }

    /// One that answers each request at once.
    pub(crate) async fn with(
        handler: impl Fn(usize, &Seen) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |nth, seen| std::future::ready(handler(nth, &seen))).await
    }

    pub(crate) fn get(&self, path: &str) -> http::Request<Body> {
        self.request("GET", path)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::Request<Body> {
        let uri = format!("http://{}{path}", self.addr);
        http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// A cache over hyper's client.
pub(crate) type Cached = Cache<Body, Incoming>;

pub(crate) fn engine() -> EngineBuilder {
    EngineBuilder::new().storage(Arc::new(MemoryStorage::new()))
}

pub(crate) fn cached(engine: EngineBuilder) -> Cached {
    CacheLayer::new(engine).layer(Client::builder(TokioExecutor::new()).build_http())
}

/// An answer, read to its end.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) info: CacheInfo,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn source(&self) -> Source {
        self.info.source
    }

    pub(crate) fn cache_status(&self) -> &str {
        self.headers["cache-status"].to_str().unwrap()
    }
}

pub(crate) async fn send<B, R>(cache: &Cache<B, R>, request: http::Request<B>) -> Result<Got, Error>
where
    R: http_body::Body,
    ResponseBody<R>: http_body::Body<Data = Bytes, Error = Error>,
{
    let (parts, body) = cache.clone().oneshot(request).await?.into_parts();
    let info = parts.extensions.get::<CacheInfo>().expect("it passed through the cache").clone();
    let body = body.collect().await?.to_bytes();
    Ok(Got { status: parts.status, headers: parts.headers, info, body })
}

/// A clock that starts at the real time and is moved by hand.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<SystemTime>);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SystemClock.now())))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}
