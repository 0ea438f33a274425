//! One request to the origin, from what it asks to what becomes of the answer.

use std::{panic, sync::Arc, time::SystemTime};

use cache_api::{CacheKey, Change, Committed, Entry, Head, Scan};
use http::{Extensions, HeaderMap, Method, Response, header};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::{
    body::Body,
    engine::{Answer, Answered, Inner, answered, view},
    error::Error,
    filter::{self, Step},
    flight::{Landing, Pilot},
    found::Found,
    info::{CacheInfo, Source},
    lease::Crossing,
    network::{Network, Request, WireBody},
    pipe::Pipe,
    policy::{self, After, Ask, Before, Keep, Outcome, Reason, ResponseView},
    sets::Sets,
    sink::{Draft, Sink},
    spans,
    stats::{NotStored, Purpose, Refresh},
    store::Store,
    transfer::Transfer,
};

pub(crate) struct Expedition<N: Network> {
    pub(crate) inner: Arc<Inner<N>>,
    /// The settings that its request began with.
    pub(crate) sets: Arc<Sets>,
    pub(crate) store: Store,
    pub(crate) request: Request<N::Body>,
    pub(crate) key: CacheKey,
    pub(crate) found: Option<Found>,
    pub(crate) before: Before,
    pub(crate) ask: Ask,
}

type Outcomes<N> = Result<Answered<<N as Network>::Response>, Error<<N as Network>::Error>>;

/// Where an expedition ends.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for a request to the origin, and it is moved once"
)]
enum Return<N: Network> {
    /// With an answer that is complete.
    Home(Outcomes<N>, Landing<N::Error>),
    /// With an answer whose body is on its way to caller and store.
    UnderWay(Answered<N::Response>, Cargo<N::Error>),
}

/// A body to be transferred.
struct Cargo<E> {
    wire: WireBody<E>,
    expected: Option<u64>,
    pipe: Arc<Pipe>,
    sink: Sink,
    scan: Option<Scan>,
}

impl<N: Network> Expedition<N> {
    /// Goes, and hands the answer to the caller. The expedition is a task of its own: a caller that goes away does
    /// not end it while others wait for it.
    pub(crate) async fn lead(mut self, pilot: Option<Pilot<N::Error>>) -> Outcomes<N> {
        self.request.secrets = self.sets.secrets(&self.request, N::body_bytes);
        let (sender, answer) = oneshot::channel();
        let task = tokio::spawn(self.travel(pilot, sender).in_current_span());
        match answer.await {
            Ok(answer) => answer,
            // Without an answer the task panicked, in the network or a store, or the runtime is shutting down.
            Err(_) => match task.await {
                Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                _ => Err(Error::Interrupted),
            },
        }
    }

    /// Goes without a caller, to refresh what is stored.
    ///
    /// Of all processes that share the store one does, where it has leases.
    pub(crate) fn go_in_background(mut self, mut pilot: Pilot<N::Error>) {
        self.request.secrets = self.sets.secrets(&self.request, N::body_bytes);
        let tracked = self.inner.tasks.token();
        let span = spans::refresh(&self.key);
        let refresh = async move {
            let observer = Arc::clone(&self.inner.observer);
            let ended = |how| observer.refreshes.add(how, 1);
            let Inner { settings, leasing, .. } = &*self.inner;
            match leasing.acquire(&self.store, pilot.key(), settings).await {
                Crossing::Held(lease) => {
                    pilot.cross(Some(lease));
                    if self.is_overtaken().await {
                        ended(Refresh::Yielded);
                        return pilot.land(Landing::Stored);
                    }
                }
                Crossing::Busy => {
                    ended(Refresh::Yielded);
                    return pilot.land(Landing::Stored);
                }
                Crossing::Uncacheable(_) | Crossing::Open => {}
            }
            let _tracked = tracked;
            let arrival = self.go(Some(Purpose::Refresh)).await;
            ended(match &arrival {
                Return::Home(_, Landing::Failed(Some(_)) | Landing::Lost) => Refresh::Failed,
                _ => Refresh::Done,
            });
            match arrival {
                Return::Home(_, landing) => self.inner.land(pilot, landing),
                Return::UnderWay(answered, cargo) => {
                    let inner = self.inner;
                    drop(answered);
                    cargo.transfer(&inner, Some(pilot), false).run().await;
                }
            }
        };
        tokio::spawn(refresh.instrument(span));
    }

    /// Whether what was found is not what is stored any more.
    async fn is_overtaken(&self) -> bool {
        let (Some(found), Ok(now)) = (&self.found, self.store.lookup(&self.key).await) else { return false };
        let versions = |variants: &[cache_api::Variant]| -> Vec<_> {
            variants.iter().map(|variant| (variant.id, variant.version)).collect()
        };
        versions(found.ticket().variants()) != versions(now.variants())
    }

    async fn travel(mut self, pilot: Option<Pilot<N::Error>>, mut caller: oneshot::Sender<Outcomes<N>>) {
        let tracked = self.inner.tasks.token();
        let arrival = {
            let going = std::pin::pin!(self.go(None));
            tokio::select! {
                biased;
                arrival = going => arrival,
                () = unwanted(&mut caller, pilot.as_ref()) => return,
            }
        };
        match arrival {
            Return::Home(answer, landing) => {
                if let Some(pilot) = pilot {
                    self.inner.land(pilot, landing);
                }
                let _ = caller.send(answer);
            }
            Return::UnderWay(answered, cargo) => {
                drop(tracked);
                // A caller that is gone drops the answer, and with it the pipe's end.
                let _ = caller.send(Ok(answered));
                let inner = self.inner;
                cargo.transfer(&inner, pilot, true).run().await;
            }
        }
    }

    /// Goes for `purpose`; without one, for what is to be asked.
    async fn go(&mut self, purpose: Option<Purpose>) -> Return<N> {
        let mut ask = self.ask.clone();
        // The one loop: a 304 that matches nothing stored, or what cannot be read, is asked for again.
        loop {
            let requested_at = self.inner.clock.now();
            let asked = if ask.candidates.is_empty() { Purpose::Fetch } else { Purpose::Validate };
            let response = match self.inner.ask(purpose.unwrap_or(asked), self.outgoing(&ask)).await {
                Ok(response) => response,
                Err(error) => return self.failed(error, &ask).await,
            };
            let received = (requested_at, self.inner.clock.now());
            let mut after = self.judge(&response, &ask, received, None);
            if let Outcome::Store { head, .. } = &after.outcome
                && let Some(reason) = self.refusal(Step::Write, head).await
            {
                // What is stored is as outdated by it as by any answer that is not stored.
                after = self.judge(&response, &ask, received, Some(reason));
            }
            if let Some(arrival) = self.settle(response, after, &mut ask).await {
                return arrival;
            }
        }
    }

    /// What the policy says of an answer, or of one that is kept out of the store for a reason of its own.
    fn judge(
        &self,
        response: &N::Response,
        ask: &Ask,
        (requested_at, responded_at): (SystemTime, SystemTime),
        refused: Option<Reason>,
    ) -> After {
        let head = N::head(response);
        let views = self.found.as_ref().map(|found| self.sets.views(found)).unwrap_or_default();
        let received = ResponseView::new(head.status, head.headers, requested_at, responded_at)
            .with_version(head.version)
            .with_refusal(refused);
        let options = self.sets.of(&self.request);
        let after = policy::after(options, &view(&self.request, &self.key), ask, &views, &received);
        let redirected = N::is_redirected(response, &self.request.url);
        if redirected { after.redirected(head.status, ask) } else { after }
    }

    /// Why the filter has a response neither stored nor used.
    async fn refusal(&self, step: Step, head: &Head) -> Option<Reason> {
        filter::refusal(self.sets.filter.as_ref(), step, &self.request, head).await
    }

    /// The request as it is sent.
    fn outgoing(&self, ask: &Ask) -> Request<N::Body> {
        let mut request = self.request.clone_head();
        ask.apply(&mut request.headers);
        request.body = self.request.body.as_ref().and_then(N::clone_body);
        request
    }

    async fn failed(&self, error: N::Error, ask: &Ask) -> Return<N> {
        if N::is_abandoned(&error) {
            return Return::Home(Err(Error::Network(Arc::new(error))), Landing::Lost);
        }
        let error = Arc::new(error);
        let landing = Landing::Failed(Some(Arc::clone(&error)));
        let Self { inner, sets, store, request, key, found, .. } = self;
        match inner.stale_instead(sets, store, request, key, found.as_ref(), ask).await {
            Some(mut stale) => {
                stale.info = stale.info.forwarded(&self.before);
                Return::Home(Ok(stale), landing)
            }
            None => Return::Home(Err(Error::Network(error)), landing),
        }
    }

    /// Does what the policy says of an answer; `None` where it is to be asked for again, as `ask` says then.
    async fn settle(&mut self, response: N::Response, mut after: After, ask: &mut Ask) -> Option<Return<N>> {
        let asked_plainly = ask.conditions.is_empty();
        if let Outcome::Freshen { index, head, keep, .. } = &mut after.outcome {
            if let Some(reason) = self.refusal(Step::Read, head).await {
                if reason == Reason::RejectedOnRead {
                    self.forget(*index).await;
                }
                *ask = ask.anew();
                self.before.leave_out(reason);
                after.reasons = reason.into();
                return asked_plainly.then(|| self.pass(response, &after, reason.into()));
            }
            if let Keep::Until(_) = keep
                && let Some(reason) = self.refusal(Step::Write, head).await
            {
                *keep = Keep::Remove(reason);
                after.reasons = after.reasons.and(reason);
            }
        }
        for url in &after.invalidates {
            self.inner.invalidate(&self.sets, &self.store, &self.request, url).await;
        }
        for index in &after.forget {
            self.forget(*index).await;
        }
        let found = self.found.as_ref();
        let resume = |head: &_| self.inner.resume(&self.sets, &self.request, head);
        match &after.outcome {
            Outcome::Pass => Some(self.pass(response, &after, after.reason().into())),
            Outcome::Refetch if asked_plainly => Some(self.pass(response, &after, NotStored::Other)),
            Outcome::Refetch => {
                *ask = ask.unconditional();
                None
            }
            Outcome::Store { .. } => Some(self.carry(response, &after)),
            Outcome::Freshen { index, head, keep, form, .. } => {
                let served = found?.serve(&self.store, *index, *form, Some(head), None, resume).await;
                let Ok(mut cached) = served else {
                    // It was there when it was looked up, and is not any more.
                    self.forget(*index).await;
                    *ask = ask.unconditional();
                    return asked_plainly.then(|| self.pass(response, &after, NotStored::Storage));
                };
                let stored = self.freshen(*index, head, keep).await;
                let landing = if stored { Landing::Stored } else { Landing::Private };
                let status = N::head(&response).status;
                *cached.extensions_mut() = N::into_parts(response).0;
                let mut info = self.info(Source::Revalidated, &after);
                (info.stored, info.forward_status) = (stored, Some(status));
                info.created = Some(head.responded_at);
                if let Some(variant) = found?.variant(*index) {
                    info.variant = Some(variant.id);
                }
                let age = info.age;
                Some(Return::Home(Ok(answered(cached, info, age)), landing))
            }
            Outcome::ServeStale { index, form, age } => {
                let served = found?.serve(&self.store, *index, *form, None, Some(*age), resume).await;
                let Ok(cached) = served else { return Some(self.pass(response, &after, NotStored::Storage)) };
                let mut info = self.info(Source::Stale, &after).about(self.key, found?, *index);
                info.forward_status = Some(N::head(&response).status);
                Some(Return::Home(Ok(answered(cached, info, Some(*age))), Landing::Failed(None)))
            }
        }
    }

    /// Hands an answer on that is not stored.
    fn pass(&self, response: N::Response, after: &After, why: NotStored) -> Return<N> {
        self.inner.observer.not_stored.add(why, 1);
        // A failing origin is no reason for everyone to ask it at once.
        let is_uncacheable =
            matches!(after.outcome, Outcome::Pass) && !N::head(&response).status.is_server_error();
        let landing = if is_uncacheable { Landing::Uncacheable } else { Landing::Private };
        let info = self.info(Source::Origin, after);
        Return::Home(Ok(Answered { answer: Answer::Wire(response), info }), landing)
    }

    /// Stores an answer that has come already, as it goes to the caller.
    pub(crate) fn bring_home(self, response: N::Response, after: &After) -> Outcomes<N> {
        match self.carry(response, after) {
            Return::Home(answer, _) => answer,
            Return::UnderWay(answered, cargo) => {
                tokio::spawn(cargo.transfer(&self.inner, None, true).run().in_current_span());
                Ok(answered)
            }
        }
    }

    /// Hands a body to the caller and to the store at once.
    fn carry(&self, response: N::Response, after: &After) -> Return<N> {
        let (Outcome::Store { head, keep_until }, Some(found)) = (&after.outcome, &self.found) else {
            // What was not looked up has no ticket.
            return self.pass(response, after, NotStored::Storage);
        };
        let asked = self.sets.tags(&self.request);
        let Some(tags) = self.inner.settings.tagging.of(&head.headers, &asked, &[]) else {
            tracing::warn!(key = %self.key, "not stored: more tags than an entry may have");
            return self.pass(response, after, NotStored::Tags);
        };
        let ticket = found.ticket().clone();
        let draft = Draft { ticket, head: (**head).clone(), keep_until: *keep_until, tags };
        let head = N::head(&response);
        let expected = if self.request.method == Method::HEAD { None } else { content_length(head.headers) };
        if expected.is_some_and(|expected| expected > self.inner.settings.max_body) {
            return self.pass(response, after, NotStored::Size);
        }
        let tracked = self.inner.tasks.token();
        let sink = Sink::new(self.store.clone(), draft, self.inner.settings.max_body, expected, tracked);
        let Ok(sink) = sink else { return self.pass(response, after, NotStored::Other) };
        let pipe = Arc::new(Pipe::default());
        let body = Body::piped(Arc::clone(&pipe), self.store.clone(), sink.place().clone(), expected);
        let mut cached = Response::new(body);
        *cached.status_mut() = head.status;
        *cached.version_mut() = head.version;
        *cached.headers_mut() = policy::end_to_end(head.headers);
        let mut info = self.info(Source::Origin, after);
        (info.stored, info.variant) = (true, Some(sink.place().variant));
        let (extensions, wire) = N::into_parts(response);
        *cached.extensions_mut() = extensions;
        let age = info.age;
        let scan = self.request.secrets.as_ref().map(|secrets| secrets.scan());
        Return::UnderWay(answered(cached, info, age), Cargo { wire, expected, pipe, sink, scan })
    }

    /// Replaces the head of a stored response, and says whether it is stored under it now.
    async fn freshen(&self, index: usize, head: &Head, keep: &Keep) -> bool {
        let Some((found, variant)) =
            self.found.as_ref().and_then(|found| Some((found, found.variant(index)?)))
        else {
            return false;
        };
        match keep {
            Keep::Until(keep_until) => {
                let tagging = &self.inner.settings.tagging;
                let asked = self.sets.tags(&self.request);
                let Some(tags) = tagging.of(&head.headers, &asked, &variant.tags) else {
                    self.inner.observer.not_stored.add(NotStored::Tags, 1);
                    tracing::warn!(key = %self.key, "not kept: more tags than an entry may have");
                    self.forget(index).await;
                    return false;
                };
                let place = self.store.place(&self.key, variant);
                let mut stored = head.clone();
                self.sets.redactor().redact(&mut stored);
                let cell = self.store.head_cell(stored, place);
                let now = self.inner.clock.now();
                let entry = Entry::new(self.key, variant.id, cell, now, *keep_until).with_tags(tags);
                let committed = self.store.commit(found.ticket(), entry, Change::Keep(variant.version)).await;
                matches!(committed, Ok(Committed::Stored { .. }))
            }
            Keep::Remove(_) => {
                self.forget(index).await;
                false
            }
            Keep::Untouched => false,
        }
    }

    /// Removes a stored response that must not be used any more.
    async fn forget(&self, index: usize) {
        if self.sets.keep_out_writes(&self.request) {
            return;
        }
        if let Some(variant) = self.found.as_ref().and_then(|found| found.variant(index)) {
            // A failure is reported where it happens; the entry is judged again at its next use.
            let _ = self.store.remove(&self.key, Some(variant.version)).await;
        }
    }

    fn info(&self, source: Source, after: &After) -> CacheInfo {
        let now = self.inner.clock.now();
        let info = self.sets.info(&self.request, source, after.reasons);
        let info = info.with_freshness(after.freshness.as_ref(), now);
        let mut info = info.forwarded(&self.before);
        info.key = Some(self.key);
        info.created = Some(now);
        info
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Cargo<E> {
    fn transfer<N: Network<Error = E>>(
        self,
        inner: &Inner<N>,
        pilot: Option<Pilot<E>>,
        has_caller: bool,
    ) -> Transfer<E> {
        let Self { wire, expected, pipe, sink, scan } = self;
        Transfer {
            wire,
            expected,
            pipe: has_caller.then_some(pipe),
            sink: Some(sink),
            scan,
            pilot,
            finish_dropped: inner.settings.finish_dropped,
            patience: inner.settings.lease,
            closing: inner.closing.clone(),
            observer: Arc::clone(&inner.observer),
        }
    }
}

impl<B> Request<B> {
    /// The same request, with its body: this one has none any more.
    pub(crate) fn take(&mut self) -> Self {
        Self { body: self.body.take(), ..self.clone_head() }
    }

    /// The same request without its body.
    pub(crate) fn clone_head(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            version: self.version,
            headers: self.headers.clone(),
            extensions: Extensions::clone(&self.extensions),
            body: None,
            controls: self.controls,
            tenant: self.tenant.clone(),
            tags: self.tags.clone(),
            key: self.key.clone(),
            rule: self.rule,
            secrets: self.secrets.clone(),
        }
    }
}

/// Resolves when neither the caller nor anybody else waits for the answer.
async fn unwanted<T, E>(caller: &mut oneshot::Sender<T>, pilot: Option<&Pilot<E>>) {
    caller.closed().await;
    if let Some(pilot) = pilot {
        pilot.alone().await;
    }
}

/// The body's length as announced; `None` without one, or where several disagree.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lines.next()?;
    if lines.any(|line| line != first) {
        return None;
    }
    let text = std::str::from_utf8(first.as_bytes()).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
