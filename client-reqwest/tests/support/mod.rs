//! Real origins on loopback that record what they are asked.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use client_reqwest::{CachedClient, CachedClientBuilder, Clock, ResponseExt, Source, SystemClock};
use http::{HeaderMap, Method, StatusCode};

/// A request as an origin received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An origin on an ephemeral port, which ends with the test.
pub(crate) struct Origin {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(Seen) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (record, handler) = (record.clone(), handler.clone());
            async move {
                let (parts, body) = request.into_parts();
                let request = Seen {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().map(str::to_owned),
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap(),
                };
                record.lock().unwrap().push(request.clone());
                handler(request).await
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { addr, seen, server }
    }

    /// One that answers each request at once.
    pub(crate) async fn with(handler: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        Self::start(move |seen| std::future::ready(handler(&seen))).await
    }

    /// One that says `ok`.
    pub(crate) async fn ok() -> Self {
        Self::with(|_| "ok".into_response()).await
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Forgets what it was asked.
    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the origin was asked")
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn redirect(status: u16, location: impl AsRef<str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("location", location.as_ref())]).into_response()
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// A client's builder: with a cache in memory where there can be one.
pub(crate) fn builder() -> CachedClientBuilder {
    let builder = CachedClient::builder().wire(reqwest::ClientBuilder::no_proxy);
    if cfg!(feature = "memory") { builder } else { builder.disabled() }
}

pub(crate) async fn client() -> CachedClient {
    builder().build().await.unwrap()
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

/// Where an answer came from.
pub(crate) fn source(response: &reqwest::Response) -> Source {
    response.cache_info().expect("it passed through the cache").source
}
