//! An origin of one's own making, a clock that is moved by hand, and storages that fail on purpose.

#![allow(unreachable_pub, dead_code, reason = "each test file uses its part")]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::Storage;
use cache_backend_memory::MemoryStorage;
use cache_engine::{Answer, Answered, Clock, Engine, EngineBuilder, Network, Request, WireBody, WireHead};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use url::Url;

pub const URL: &str = "http://origin.test/resource";

#[derive(Debug)]
pub struct OriginError(pub &'static str);

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for OriginError {}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: WireBody<OriginError>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut reply = Self::streamed(status, headers, stream::iter([Ok(body.clone())]));
        reply.headers.insert(header::CONTENT_LENGTH, body.len().into());
        reply
    }

    pub fn streamed(
        status: u16,
        headers: &[(&str, &str)],
        body: impl futures_util::Stream<Item = Result<Bytes, OriginError>> + Send + 'static,
    ) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Self { status: StatusCode::from_u16(status).unwrap(), headers: map, body: body.boxed() }
    }
}

type Handler = dyn Fn(usize, Request<Bytes>) -> BoxFuture<'static, Result<Reply, OriginError>> + Send + Sync;

#[derive(Clone)]
pub struct Origin {
    handler: Arc<Handler>,
    requests: Arc<AtomicUsize>,
    log: Arc<Mutex<Vec<(Method, HeaderMap)>>>,
}

impl Origin {
    /// An origin that answers its nth request (from 0) so.
    pub fn new<F, Fut>(handler: F) -> Self
    where
        F: Fn(usize, Request<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, OriginError>> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |nth, request| handler(nth, request).boxed());
        Self { handler, requests: Arc::default(), log: Arc::default() }
    }

    /// An origin that answers every request so.
    pub fn always(status: u16, headers: &'static [(&str, &str)], body: &'static str) -> Self {
        Self::new(move |_, _| async move { Ok(Reply::new(status, headers, body)) })
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The header fields of the nth request.
    pub fn received(&self, nth: usize) -> HeaderMap {
        self.log.lock().unwrap()[nth].1.clone()
    }
}

impl Network for Origin {
    type Body = Bytes;
    type Response = Reply;
    type Error = OriginError;

    async fn send(&self, request: Request<Bytes>) -> Result<Reply, OriginError> {
        let nth = self.requests.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push((request.method.clone(), request.headers.clone()));
        (self.handler)(nth, request).await
    }

    fn body_bytes(body: &Bytes) -> Option<&[u8]> {
        Some(body)
    }

    fn clone_body(body: &Bytes) -> Option<Bytes> {
        Some(body.clone())
    }

    fn head(response: &Reply) -> WireHead<'_> {
        WireHead { status: response.status, version: Version::HTTP_11, headers: &response.headers }
    }

    fn into_parts(response: Reply) -> (Extensions, WireBody<OriginError>) {
        (Extensions::new(), response.body)
    }
}

#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))))
    }

    pub fn forward(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// An engine over an origin, with all that a test wants to get at.
pub struct Bench {
    pub engine: Engine<Origin>,
    pub origin: Origin,
    pub clock: TestClock,
}

pub fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

impl Bench {
    pub fn new(origin: Origin) -> Self {
        Self::with(origin, memory(), |builder| builder)
    }

    pub fn with(
        origin: Origin,
        storage: Arc<dyn Storage>,
        configure: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let clock = TestClock::new();
        let builder = EngineBuilder::new().storage(storage).clock(Arc::new(clock.clone()));
        Self { engine: configure(builder).build(origin.clone()), origin, clock }
    }

    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub async fn get(&self) -> Got {
        self.send(get()).await
    }

    pub async fn send(&self, request: Request<Bytes>) -> Got {
        Got::of(self.engine.handle(request).await.unwrap()).await.unwrap()
    }
}

pub fn get() -> Request<Bytes> {
    Request::new(Method::GET, Url::parse(URL).unwrap())
}

pub fn with_field(mut request: Request<Bytes>, name: &'static str, value: &str) -> Request<Bytes> {
    request.headers.append(name, HeaderValue::from_str(value).unwrap());
    request
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub info: cache_engine::CacheInfo,
}

impl Got {
    pub async fn of(answered: Answered<Reply>) -> Result<Self, String> {
        let info = answered.info;
        match answered.answer {
            Answer::Wire(Reply { status, headers, mut body }) => {
                let mut bytes = Vec::new();
                while let Some(chunk) = body.next().await {
                    bytes.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
                }
                Ok(Self { status, headers, body: bytes.into(), info })
            }
            Answer::Cached(response) => {
                let (parts, body) = response.into_parts();
                let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
                Ok(Self { status: parts.status, headers: parts.headers, body, info })
            }
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at / 7 + at / 4096) % 251).unwrap()).collect::<Vec<_>>().into()
}

/// A body in chunks of 10,000 bytes.
pub fn chunked(bytes: &Bytes) -> Vec<Result<Bytes, OriginError>> {
    (0..bytes.len()).step_by(10_000).map(|at| Ok(bytes.slice(at..bytes.len().min(at + 10_000)))).collect()
}

/// Lets everything run that can.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A storage that counts what it is told of uses.
#[derive(Clone, Debug)]
pub struct CountsTouches {
    inner: Arc<dyn Storage>,
    calls: Arc<AtomicUsize>,
    uses: Arc<AtomicUsize>,
}

impl CountsTouches {
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, calls: Arc::default(), uses: Arc::default() }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn uses(&self) -> usize {
        self.uses.load(Ordering::SeqCst)
    }
}

impl fmt::Display for CountsTouches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl cache_api::Touch for CountsTouches {
    async fn touch(&self, uses: &[cache_api::Use], _now: SystemTime) -> cache_api::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.uses.fetch_add(uses.len(), Ordering::SeqCst);
        Ok(())
    }
}

#[async_trait::async_trait]
impl Storage for CountsTouches {
    fn namespace(&self) -> &cache_api::Namespace {
        self.inner.namespace()
    }

    fn limits(&self) -> cache_api::Limits {
        self.inner.limits()
    }

    async fn lookup(
        &self,
        key: &cache_api::CacheKey,
        now: SystemTime,
    ) -> cache_api::Result<cache_api::Resource> {
        self.inner.lookup(key, now).await
    }

    async fn read(
        &self,
        key: &cache_api::CacheKey,
        body: cache_api::BodyId,
        frames: std::ops::Range<u32>,
    ) -> cache_api::Result<Vec<cache_api::Frame>> {
        self.inner.read(key, body, frames).await
    }

    async fn writer(
        &self,
        ticket: &cache_api::Ticket,
        body: cache_api::BodyId,
        now: SystemTime,
    ) -> cache_api::Result<Box<dyn cache_api::BodyWriter>> {
        self.inner.writer(ticket, body, now).await
    }

    async fn commit(
        &self,
        ticket: &cache_api::Ticket,
        entry: cache_api::Entry,
        change: cache_api::Change,
        now: SystemTime,
    ) -> cache_api::Result<cache_api::Committed> {
        self.inner.commit(ticket, entry, change, now).await
    }

    async fn remove(
        &self,
        key: &cache_api::CacheKey,
        only: Option<cache_api::Version>,
        now: SystemTime,
    ) -> cache_api::Result<u64> {
        self.inner.remove(key, only, now).await
    }

    fn abilities(&self) -> cache_api::Abilities<'_> {
        cache_api::Abilities::none().with_touch(self)
    }

    async fn close(&self) -> cache_api::Result<()> {
        self.inner.close().await
    }
}
