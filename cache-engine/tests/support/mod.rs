//! An origin of one's own making, a clock that is moved by hand, and storages that fail on purpose.

#![allow(unreachable_pub, dead_code, reason = "each test file uses its part")]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{Abilities, CacheKey, ErrorKind, Event, EventStream, HEARTBEAT, Storage};
use cache_backend_memory::MemoryStorage;
use cache_engine::{Answer, Answered, Clock, Engine, EngineBuilder, Network, Request, WireBody, WireHead};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use tokio::sync::broadcast;
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

/// A storage with other abilities than those of the one within.
#[derive(Clone, Debug)]
pub struct With<A> {
    inner: Arc<dyn Storage>,
    pub ability: A,
}

pub trait Ability: fmt::Debug + Send + Sync {
    fn abilities<'a>(&'a self, inner: &'a dyn Storage) -> Abilities<'a>;

    fn changed(&self, _: &CacheKey) {}
}

impl<A: Default> With<A> {
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, ability: A::default() }
    }
}

/// Counts what it is told of uses, and can do nothing beside.
pub type CountsTouches = With<Touches>;

#[derive(Clone, Debug, Default)]
pub struct Touches {
    calls: Arc<AtomicUsize>,
    uses: Arc<AtomicUsize>,
}

impl Touches {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn uses(&self) -> usize {
        self.uses.load(Ordering::SeqCst)
    }
}

impl Ability for Touches {
    fn abilities<'a>(&'a self, _: &'a dyn Storage) -> Abilities<'a> {
        Abilities::none().with_touch(self)
    }
}

#[async_trait::async_trait]
impl cache_api::Touch for Touches {
    async fn touch(&self, uses: &[cache_api::Use], _now: SystemTime) -> cache_api::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.uses.fetch_add(uses.len(), Ordering::SeqCst);
        Ok(())
    }
}

/// Tells all who subscribe of commits, as a shared store tells other processes.
pub type TellsOfCommits = With<Channel>;

#[derive(Clone, Debug)]
pub struct Channel {
    commits: broadcast::Sender<Event>,
    subscriptions: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

impl Default for Channel {
    fn default() -> Self {
        Self { commits: broadcast::Sender::new(16), subscriptions: Arc::default(), is_down: Arc::default() }
    }
}

impl Channel {
    /// How many subscriptions were asked for.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::SeqCst)
    }

    /// How many stand.
    pub fn standing(&self) -> usize {
        self.commits.receiver_count()
    }

    pub fn fail(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }
}

impl Ability for Channel {
    fn abilities<'a>(&'a self, inner: &'a dyn Storage) -> Abilities<'a> {
        inner.abilities().with_events(self)
    }

    fn changed(&self, key: &CacheKey) {
        let _ = self.commits.send(Event::Changed(*key));
    }
}

#[async_trait::async_trait]
impl cache_api::Events for Channel {
    async fn subscribe(&self) -> cache_api::Result<EventStream> {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(cache_api::Error::new(ErrorKind::Unavailable, "subscribe"));
        }
        let events = stream::unfold(self.commits.subscribe(), async |mut commits| {
            let next = tokio::time::timeout(HEARTBEAT, commits.recv()).await;
            Some((Ok(next.map_or(Event::Heartbeat, |event| event.unwrap_or(Event::Cleared))), commits))
        });
        Ok(Box::pin(events))
    }
}

impl<A> fmt::Display for With<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl<A: Ability> Storage for With<A> {
    fn namespace(&self) -> &cache_api::Namespace {
        self.inner.namespace()
    }

    fn limits(&self) -> cache_api::Limits {
        self.inner.limits()
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> cache_api::Result<cache_api::Resource> {
        self.inner.lookup(key, now).await
    }

    async fn read(
        &self,
        key: &CacheKey,
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
        let key = entry.key;
        let committed = self.inner.commit(ticket, entry, change, now).await?;
        self.ability.changed(&key);
        Ok(committed)
    }

    async fn remove(
        &self,
        key: &CacheKey,
        only: Option<cache_api::Version>,
        now: SystemTime,
    ) -> cache_api::Result<u64> {
        self.inner.remove(key, only, now).await
    }

    fn abilities(&self) -> Abilities<'_> {
        self.ability.abilities(&*self.inner)
    }

    async fn close(&self) -> cache_api::Result<()> {
        self.inner.close().await
    }
}
