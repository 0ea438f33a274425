use std::{fmt, sync::Arc, time::Duration};

use cache_api::{CacheKey, DefaultKey, ErrorKind, KeyFn, Serializer, Storage, TagDigest, Version};
use http::{HeaderMap, Response};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    body::Body,
    clock::Clock,
    error::Error,
    expedition::Expedition,
    flight::Flights,
    found::Found,
    info::{CacheInfo, Source},
    lease::Leasing,
    live::Live,
    lookups::Lookups,
    misses::Misses,
    network::{Network, Request},
    observer::{Observer, Watch},
    policy::{self, Ask, Decision, Reason, RequestView},
    queue::{Queue, Turn, Wanted},
    sets::Sets,
    settings::Settings,
    sift::decide,
    slides::Slides,
    spans,
    stats::{Bypass, Stats},
    store::Store,
    suspend::Suspensions,
    uses::Uses,
};

/// The cache: asks policy, storage and network, and answers.
///
/// Cheap to clone; clones share everything. It needs a tokio runtime.
pub struct Engine<N: Network>(Arc<Inner<N>>);

pub(crate) struct Inner<N: Network> {
    pub(crate) network: N,
    pub(crate) observer: Arc<Observer>,
    pub(crate) store: Option<Store>,
    pub(crate) key: Arc<dyn KeyFn>,
    /// Makes the keys of requests that name their own, and all of them where `key` is the same.
    pub(crate) named: DefaultKey,
    pub(crate) key_is_default: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) live: Live,
    pub(crate) suspensions: Suspensions,
    pub(crate) settings: Settings,
    pub(crate) lookups: Lookups<Found>,
    pub(crate) flights: Flights<N::Error>,
    pub(crate) misses: Misses,
    pub(crate) uses: Uses,
    pub(crate) slides: Slides,
    pub(crate) leasing: Leasing,
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
        observer: Arc<Observer>,
        store: Option<Store>,
        keys: (Option<Arc<dyn KeyFn>>, DefaultKey),
        clock: Arc<dyn Clock>,
        sets: Sets,
        settings: Settings,
    ) -> Self {
        let (key, named) = keys;
        let key_is_default = key.is_none();
        let tasks = TaskTracker::new();
        let key = key.unwrap_or_else(|| Arc::new(named.clone()));
        Self(Arc::new(Inner {
            network,
            observer,
            store,
            key,
            named,
            key_is_default,
            clock,
            live: Live::new(sets),
            suspensions: Suspensions::default(),
            settings,
            lookups: Lookups::default(),
            flights: Flights::default(),
            misses: Misses::default(),
            uses: Uses::default(),
            slides: Slides::default(),
            leasing: Leasing::new(tasks.clone()),
            tasks,
            closing: CancellationToken::new(),
        }))
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Error::Network`] when the origin could not be reached and nothing stored may stand in for it.
    /// [`Error::Storage`] when the storage failed and the engine is set to fail closed. [`Error::Setting`] when the
    /// request's controls contradict each other.
    pub async fn handle(
        &self,
        mut request: Request<N::Body>,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        self.handle_in_place(&mut request).await
    }

    /// As [`Engine::handle`], and leaves the request where it is, for who may need it once more: all of it but the body,
    /// which is taken when it goes to the origin.
    ///
    /// # Errors
    /// Those of [`Engine::handle`].
    // What a hit does not come to is in a box of its own: a future is moved whole, however little of it is used.
    pub async fn handle_in_place(
        &self,
        request: &mut Request<N::Body>,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        let span = spans::request(request);
        let watch = Watch::new(&self.0.observer, &span);
        let result = match span.is_disabled() {
            true => self.answer(request).await,
            false => Box::pin(self.answer(request).instrument(span.clone())).await,
        };
        watch.end::<N>(&result);
        result
    }

    async fn answer(&self, request: &mut Request<N::Body>) -> Result<Answered<N::Response>, Error<N::Error>> {
        let inner = &self.0;
        request.controls.check().map_err(Error::Setting)?;
        // What is swapped meanwhile is for the requests that come later.
        let sets = inner.live.load();
        request.rule = sets.find(&request.url);
        let Some(store) = inner.open_store() else {
            let why = if inner.store.is_some() { Bypass::Closed } else { Bypass::Disabled };
            return Box::pin(inner.past(&sets, None, request.take(), why)).await;
        };
        if inner.suspensions.any() {
            return Box::pin(inner.past(&sets, Some(store), request.take(), Bypass::Suspended)).await;
        }
        let key = inner.key_of(&sets, store, request).await;
        let why = if request.controls.bypass {
            Bypass::Caller
        } else if !sets.of(request).methods.contains(&request.method) {
            Bypass::Method
        } else if policy::names_another_host(&request.headers, &request.url) {
            Bypass::Host
        } else if let Some(key) = key {
            return Inner::cached(inner, &sets, store, request, key).await;
        } else {
            Bypass::Key
        };
        Box::pin(inner.past(&sets, Some(store), request.take(), why)).await
    }

    /// What was counted since the engine was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.observer.stats()
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
        self.flush_uses().await;
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

    async fn cached(
        self: &Arc<Self>,
        sets: &Arc<Sets>,
        store: &Store,
        request: &mut Request<N::Body>,
        key: CacheKey,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        let mut queue = Queue::default();
        let mut unreadable: Vec<Version> = Vec::new();
        // Why something that was found was left out, in this round or in one before.
        let mut left_out = None;
        loop {
            let landings = self.flights.landings(&key);
            let mut found = match self.look(store, &key).await {
                Ok(found) => Some(found),
                Err(error) if self.settings.fail_closed => return Err(Error::Storage(error)),
                Err(_) => None,
            };
            let now = self.clock.now();
            if let (Some(found), false) = (&mut found, unreadable.is_empty()) {
                found.pass_over_versions(&unreadable);
            }
            let mut before = decide(sets, request, &key, found.as_ref(), now);
            if let Some(reason) = left_out {
                before.leave_out(reason);
            }
            if let (Some(_), Some(found)) = (&sets.filter, &mut found) {
                let sifted = Box::pin(self.sift(sets, store, request, &key, found, &mut before)).await;
                left_out = sifted.or(left_out);
            }
            let (index, form, refresh) = match &before.decision {
                Decision::Serve { index, form } => (*index, *form, None),
                Decision::ServeEarly { index, form, refresh }
                | Decision::ServeStale { index, form, refresh } => (*index, *form, Some(refresh)),
                Decision::Unsatisfiable => {
                    let info = sets.info(request, Source::Nowhere, before.reasons);
                    return Ok(unsatisfiable(info, Some(key)));
                }
                Decision::Revalidate(ask) | Decision::Fetch(ask) | Decision::Bypass(ask) => {
                    let ask = ask.clone();
                    let wanted = Wanted {
                        sets,
                        store,
                        request,
                        flight: (key, selection(sets, request, &key, found.as_ref())),
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
                        sets: Arc::clone(sets),
                        store: store.clone(),
                        request: request.take(),
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
            let served =
                found.serve(store, index, form, None, age, |head| self.resume(sets, request, head)).await;
            if let Some(refresh) = refresh {
                self.refresh(sets, store, request, key, &found, &before, refresh, landings);
            }
            let source = if before.ttl.is_some_and(|ttl| ttl <= 0) { Source::Stale } else { Source::Store };
            match served {
                Ok(response) => {
                    if !sets.keep_out_writes(request) {
                        self.note_use(store, key, &found, index, now);
                        // What is refreshed beside this has a head of its own on the way.
                        if refresh.is_none() {
                            self.slide(sets, store, request, key, &found, index);
                        }
                    }
                    let mut info = sets.info(request, source, before.reasons);
                    info.collapsed = queue.collapsed;
                    info.ttl = before.ttl;
                    return Ok(answered(response, info.about(key, &found, index), age));
                }
                Err(error) => {
                    if self.settings.fail_closed {
                        return Err(Error::Storage(error));
                    }
                    // What cannot be read is of no use to anyone.
                    let is_useless =
                        (error.is_gone() || error.is_corrupt()) && !sets.keep_out_writes(request);
                    if let Some(version) = found.variant(index).map(|variant| variant.version) {
                        if is_useless {
                            let _ = store.remove(&key, Some(version)).await;
                        }
                        let mut rest = found.clone();
                        rest.pass_over(index);
                        // Who wants nothing sent gets what else there is, or is told that there is nothing.
                        if decide(sets, request, &key, Some(&rest), now).ask().is_none() {
                            unreadable.push(version);
                            left_out = Some(Reason::Unreadable);
                            continue;
                        }
                    }
                    let ask = Ask::default();
                    let mut before = before;
                    before.forward = Some(policy::Forward::Miss);
                    before.reasons = Reason::Unreadable.into();
                    let expedition = Expedition {
                        inner: Arc::clone(self),
                        sets: Arc::clone(sets),
                        store: store.clone(),
                        request: request.take(),
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
}

/// What of the request is known to select among variants: requests that differ in it do not wait for each other.
pub(crate) fn selection<B>(
    sets: &Sets,
    request: &Request<B>,
    key: &CacheKey,
    found: Option<&Found>,
) -> [u8; 16] {
    let names: HeaderMap = found.map(Found::selecting_fields).unwrap_or_default();
    if names.is_empty() {
        return [0; 16];
    }
    policy::selectors(&names, &view(request, key), sets.client())
        .map_or([0; 16], |selectors| policy::variant_digest(&selectors))
}

pub(crate) fn view<'a, B>(request: &'a Request<B>, key: &'a CacheKey) -> RequestView<'a> {
    RequestView::new(&request.method, &request.url, &request.headers, key.as_bytes())
        .with_controls(request.controls)
        .with_secrets(request.secrets.as_deref())
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
