use std::{
    fmt,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache_api::{
    CacheKey, DefaultKey, ErrorKind, KeyFn, KeyRequest, Keyed, Serializer, Storage, TagDigest, Use,
};
use futures_util::{FutureExt, future::poll_immediate};
use http::{HeaderMap, Response};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::{
    body::Body,
    clock::Clock,
    error::Error,
    expedition::Expedition,
    flight::Flights,
    found::{Found, Views},
    info::{CacheInfo, Source},
    lease::Returns,
    lookups::{Entered, Lookups},
    memo::Memo,
    misses::Misses,
    network::{Network, Request},
    policy::{self, Ask, Decision, Options, Reasons, RequestView},
    queue::{Queue, Turn, Wanted},
    sets::Sets,
    settings::Settings,
    slides::Slides,
    store::Store,
    uses::Uses,
};

/// The cache: asks policy, storage and network, and answers.
///
/// Cheap to clone; clones share everything. It needs a tokio runtime.
pub struct Engine<N: Network>(Arc<Inner<N>>);

pub(crate) struct Inner<N: Network> {
    pub(crate) network: N,
    pub(crate) store: Option<Store>,
    key: Arc<dyn KeyFn>,
    /// Makes the keys of requests that name their own.
    named: DefaultKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sets: Sets,
    memo: Memo,
    pub(crate) settings: Settings,
    lookups: Lookups<Found>,
    pub(crate) flights: Flights<N::Error>,
    pub(crate) misses: Misses,
    uses: Uses,
    pub(crate) slides: Slides,
    pub(crate) returns: Returns,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
}

/// An answer, and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answered<R> {
    /// The answer.
    pub answer: Answer<R>,
    /// How it came about.
    pub info: CacheInfo,
}

/// An answer of the cache.
#[derive(Debug)]
pub enum Answer<R> {
    /// The network's own response: the cache has no part in it.
    Wire(R),
    /// A response out of the store, or one that is being stored as it arrives.
    Cached(Response<Body>),
}

impl<N: Network> Engine<N> {
    pub(crate) fn new(
        network: N,
        store: Option<Store>,
        keys: (Arc<dyn KeyFn>, DefaultKey),
        clock: Arc<dyn Clock>,
        sets: Sets,
        settings: Settings,
    ) -> Self {
        let (key, named) = keys;
        Self(Arc::new(Inner {
            network,
            store,
            key,
            named,
            clock,
            sets,
            memo: Memo::new(),
            settings,
            lookups: Lookups::default(),
            flights: Flights::default(),
            misses: Misses::default(),
            uses: Uses::default(),
            slides: Slides::default(),
            returns: Returns::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }))
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Error::Network`] when the origin could not be reached and nothing stored may stand in for it.
    /// [`Error::Storage`] when the storage failed and the engine is set to fail closed. [`Error::Setting`] when the
    /// request's controls contradict each other.
    // What a hit does not come to is in a box of its own: a future is moved whole, however little of it is used.
    pub async fn handle(
        &self,
        mut request: Request<N::Body>,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        let inner = &self.0;
        request.controls.check().map_err(Error::Setting)?;
        request.rule = inner.sets.find(&request.url);
        let Some(store) = inner.open_store() else {
            return Box::pin(inner.past(None, request)).await;
        };
        let Some(key) = inner.key_of(store, &request).await else {
            return Box::pin(inner.past(Some(store), request)).await;
        };
        if request.controls.bypass
            || !inner.options(&request).methods.contains(&request.method)
            || policy::names_another_host(&request.headers, &request.url)
        {
            return Box::pin(inner.past(Some(store), request)).await;
        }
        Inner::cached(inner, store, request, key).await
    }

    /// Waits for what is being stored and refreshed in the background, and closes the storage.
    ///
    /// A body whose caller does not read it is not waited for; it is not stored then. Requests that come later
    /// go to the origin, past the cache.
    ///
    /// # Errors
    /// When the storage could not flush what it held back.
    pub async fn close(&self) -> Result<(), cache_api::Error> {
        self.settle(self.0.settings.close_timeout).await;
        match &self.0.store {
            Some(store) => store.storage.close().await,
            None => Ok(()),
        }
    }

    /// As [`Engine::close`], for no longer than `patience`, and leaves the storage open for others who share it.
    pub async fn settle(&self, patience: Duration) {
        let inner = &self.0;
        inner.closing.cancel();
        inner.tasks.close();
        if tokio::time::timeout(patience, inner.tasks.wait()).await.is_err() {
            tracing::warn!("the cache closes before all is stored");
        }
        if let Some(store) = &inner.store {
            store.touch(&inner.uses.take()).await;
        }
    }

    /// Removes what is stored under any of these tags, for all who share the storage, and returns how many entries went.
    /// What is being fetched at the time is not stored under them either. No deadline holds: it may take a while.
    ///
    /// An answer's tags are those that it names ([`EngineBuilder::tag_fields`](crate::EngineBuilder::tag_fields)) and
    /// those of the [request](Request::tags) that it was stored for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the storage has no tags; otherwise when it failed: some entries may be gone then,
    /// purge again.
    pub async fn purge_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T> + Send,
    ) -> Result<u64, cache_api::Error> {
        let digests: Vec<_> = tags.into_iter().map(|tag| TagDigest::of(tag.as_ref())).collect();
        let Some(store) = &self.0.store else { return Ok(0) };
        let Some(tags) = store.storage.abilities().tags else {
            return Err(cache_api::Error::new(ErrorKind::Config, "purge")
                .with_message(format!("{} has no tags: use another storage", store.storage)));
        };
        if digests.is_empty() {
            return Ok(0);
        }
        tags.purge(&digests, store.clock.now()).await
    }

    /// The storage; `None` for an engine that passes every request on.
    #[must_use]
    pub fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.0.store.as_ref().map(|store| &store.storage)
    }

    /// How entries are encoded; `None` for an engine that passes every request on.
    #[must_use]
    pub fn serializer(&self) -> Option<&Arc<dyn Serializer>> {
        self.0.store.as_ref().map(|store| &store.serializer)
    }

    /// How keys are made.
    #[must_use]
    pub fn key_fn(&self) -> &Arc<dyn KeyFn> {
        &self.0.key
    }

    /// The network below.
    #[must_use]
    pub fn network(&self) -> &N {
        &self.0.network
    }

    /// The settings of the policy, for requests that match no rule.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.0.sets.client()
    }

    /// The settings of the policy for requests to that URL: those of the first rule that matches it.
    #[must_use]
    pub fn options_for(&self, url: &Url) -> &Options {
        self.0.sets.at(url)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn inner(&self) -> &Inner<N> {
        &self.0
    }
}

impl<N: Network> Inner<N> {
    /// The store, until the engine is closed.
    pub(crate) fn open_store(&self) -> Option<&Store> {
        self.store.as_ref().filter(|_| !self.closing.is_cancelled())
    }

    pub(crate) fn options(&self, request: &Request<N::Body>) -> &Options {
        self.sets.of(request)
    }

    /// What is told of an answer to that request.
    pub(crate) fn info(&self, request: &Request<N::Body>, source: Source, reasons: Reasons) -> CacheInfo {
        let mut info = CacheInfo::new(source, reasons);
        info.rule = request.rule.and_then(|rule| self.sets.name(rule)).cloned();
        info
    }

    /// The request's key; `None` where it goes past the cache.
    pub(crate) async fn key_of(&self, store: &Store, request: &Request<N::Body>) -> Option<CacheKey> {
        let body = match &request.body {
            None => None,
            Some(body) => Some(N::body_bytes(body)?).filter(|bytes| !bytes.is_empty()),
        };
        let mut keyed =
            KeyRequest::new(&request.method, &request.url, &request.headers, store.storage.namespace());
        keyed.body = body;
        keyed.tenant = request.tenant.as_deref();
        if let Some(name) = &request.key {
            return Some(self.named.named(name, &keyed));
        }
        self.ask_key(&keyed).await
    }

    pub(crate) async fn ask_key(&self, request: &KeyRequest<'_>) -> Option<CacheKey> {
        match self.key.key(request).await {
            Ok(Keyed::Key(key)) => Some(key),
            Ok(bypass) => {
                tracing::debug!(?bypass, "the key function lets the request pass");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "no key could be made");
                None
            }
        }
    }

    async fn cached(
        self: &Arc<Self>,
        store: &Store,
        request: Request<N::Body>,
        key: CacheKey,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        let mut queue = Queue::default();
        loop {
            let landings = self.flights.landings(&key);
            let found = match self.look(store, &key).await {
                Ok(found) => Some(found),
                Err(error) if self.settings.fail_closed => return Err(Error::Storage(error)),
                Err(_) => None,
            };
            let now = self.clock.now();
            let before = {
                let views = found.as_ref().map(|found| self.views(found)).unwrap_or_default();
                let options = self.options(&request);
                let chance = options.early_refresh.map(|_| fastrand::f64());
                policy::before(options, &view(&request, &key).with_chance(chance), &views, now)
            };
            let (index, form, refresh) = match &before.decision {
                Decision::Serve { index, form } => (*index, *form, None),
                Decision::ServeEarly { index, form, refresh }
                | Decision::ServeStale { index, form, refresh } => (*index, *form, Some(refresh)),
                Decision::Unsatisfiable => {
                    let info = self.info(&request, Source::Nowhere, before.reasons);
                    return Ok(unsatisfiable(info, Some(key)));
                }
                Decision::Revalidate(ask) | Decision::Fetch(ask) | Decision::Bypass(ask) => {
                    let ask = ask.clone();
                    let wanted = Wanted {
                        store,
                        request: &request,
                        flight: (key, self.selection(&request, &key, found.as_ref())),
                        found: found.as_ref(),
                        ask: &ask,
                        landings,
                    };
                    let pilot = match Box::pin(self.queue(&mut queue, wanted)).await {
                        Turn::Go(pilot) => pilot,
                        Turn::Look => continue,
                        Turn::Take(answer) => return answer,
                    };
                    let expedition = Expedition {
                        inner: Arc::clone(self),
                        store: store.clone(),
                        request,
                        key,
                        found,
                        before,
                        ask,
                    };
                    return Box::pin(expedition.lead(pilot)).await;
                }
            };
            queue.step_back();
            let Some(found) = found else { continue };
            let age = before.age;
            let served = found.serve(store, index, form, None, age, |head| self.resume(&request, head)).await;
            if let Some(refresh) = refresh {
                self.refresh(store, &request, key, &found, &before, refresh, landings);
            }
            let source = if before.ttl.is_some_and(|ttl| ttl <= 0) { Source::Stale } else { Source::Store };
            match served {
                Ok(response) => {
                    self.note_use(store, key, &found, index, now);
                    // What is refreshed beside this has a head of its own on the way.
                    if refresh.is_none() {
                        self.slide(store, &request, key, &found, index, now);
                    }
                    let mut info = self.info(&request, source, before.reasons);
                    info.collapsed = queue.collapsed;
                    info.ttl = before.ttl;
                    return Ok(answered(response, info.about(key, &found, index), age));
                }
                Err(error) => {
                    if self.settings.fail_closed {
                        return Err(Error::Storage(error));
                    }
                    // What cannot be read is of no use to anyone.
                    if let Some(variant) =
                        found.variant(index).filter(|_| error.is_gone() || error.is_corrupt())
                    {
                        let _ = store.remove(&key, Some(variant.version)).await;
                    }
                    let ask = Ask::default();
                    let mut before = before;
                    before.forward = Some(policy::Forward::Miss);
                    before.reasons = policy::Reason::Unreadable.into();
                    let expedition = Expedition {
                        inner: Arc::clone(self),
                        store: store.clone(),
                        request,
                        key,
                        found: Some(found),
                        before,
                        ask,
                    };
                    return Box::pin(expedition.lead(None)).await;
                }
            }
        }
    }

    /// Looks a resource up. Where that takes its time, those who want the same at once share it.
    async fn look(&self, store: &Store, key: &CacheKey) -> cache_api::Result<Found> {
        if self.lookups.waits() {
            return Box::pin(self.look_together(store, key)).await;
        }
        let mut lookup = pin!(Found::lookup(store, key));
        if let Some(found) = poll_immediate(lookup.as_mut()).await {
            return found;
        }
        self.lookups.waited();
        lookup.await
    }

    async fn look_together(&self, store: &Store, key: &CacheKey) -> cache_api::Result<Found> {
        let lookup = || {
            let (store, key) = (store.clone(), *key);
            async move { Found::lookup(&store, &key).await }.boxed()
        };
        match self.lookups.enter(*key, lookup) {
            Entered::First(_turn) => Found::lookup(store, key).await,
            // It begins when the one before it ends: both together have the time that one has.
            Entered::Next(shared) => match tokio::time::timeout(store.deadlines.read, shared).await {
                Ok(found) => {
                    found.map_err(|error| cache_api::Error::new(error.kind(), "lookup").with_source(error))
                }
                Err(_) => Err(cache_api::Error::new(ErrorKind::Timeout, "lookup")),
            },
        }
    }

    /// The stored responses as the policy sees them, each judged once.
    pub(crate) fn views<'a>(&self, found: &'a Found) -> Views<'a> {
        found.views(|head| self.memo.freshness(head, self.sets.client()))
    }

    /// Notes that an entry was served, for a storage that evicts what is not used.
    fn note_use(&self, store: &Store, key: CacheKey, found: &Found, index: usize, now: SystemTime) {
        if store.storage.abilities().touch.is_none() {
            return;
        }
        let Some(variant) = found.variant(index) else { return };
        if let Some(batch) = self.uses.note(Use { key, variant: variant.id, at: now }) {
            let (store, tracked) = (store.clone(), self.tasks.token());
            tokio::spawn(async move {
                let _tracked = tracked;
                store.touch(&batch).await;
            });
        }
    }

    /// What of the request is known to select among variants: requests that differ in it do not wait for each other.
    pub(crate) fn selection(
        &self,
        request: &Request<N::Body>,
        key: &CacheKey,
        found: Option<&Found>,
    ) -> [u8; 16] {
        let names: HeaderMap = found.map(Found::selecting_fields).unwrap_or_default();
        if names.is_empty() {
            return [0; 16];
        }
        policy::selectors(&names, &view(request, key), self.sets.client())
            .map_or([0; 16], |selectors| policy::variant_digest(&selectors))
    }
}

pub(crate) fn view<'a, B>(request: &'a Request<B>, key: &'a CacheKey) -> RequestView<'a> {
    RequestView::new(&request.method, &request.url, &request.headers, key.as_bytes())
        .with_controls(request.controls)
}

pub(crate) fn answered<R>(
    response: Response<Body>,
    mut info: CacheInfo,
    age: Option<Duration>,
) -> Answered<R> {
    info.age = age;
    Answered { answer: Answer::Cached(response), info }
}

pub(crate) fn unsatisfiable<R>(mut info: CacheInfo, key: Option<CacheKey>) -> Answered<R> {
    let served = policy::unsatisfiable();
    let mut response = Response::new(Body::bytes(bytes::Bytes::new()));
    *response.status_mut() = served.status;
    *response.headers_mut() = served.headers;
    info.key = key;
    Answered { answer: Answer::Cached(response), info }
}

impl<N: Network> Clone for Engine<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<N: Network> fmt::Debug for Engine<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("storage", &self.0.store.as_ref().map(|store| store.storage.to_string()))
            .field("flights", &self.0.flights)
            .finish_non_exhaustive()
    }
}
