//! Requests that go past the cache, and what they do to it all the same: an unsafe one removes, and the answer to a
//! POST may be stored for later GETs.

use std::sync::Arc;

use cache_api::{CacheKey, KeyRequest};
use http::{Method, header};
use url::Url;

use crate::{
    engine::{Answer, Answered, Inner, unsatisfiable, view},
    error::Error,
    expedition::Expedition,
    filter::{Step, refusal},
    found::Found,
    info::Source,
    network::{Network, Request},
    policy::{self, Ask, Decision, Outcome, Reason, ResponseView},
    sets::Sets,
    stats::{Bypass, Purpose},
    store::Store,
};

/// The reason that is told where the policy sees none.
fn reason(why: Bypass) -> Reason {
    match why {
        Bypass::Suspended => Reason::Suspended,
        Bypass::Key => Reason::NoKey,
        Bypass::Disabled | Bypass::Closed | Bypass::Caller | Bypass::Method | Bypass::Host => Reason::Bypass,
    }
}

impl<N: Network> Inner<N> {
    /// Sends a request past the cache.
    pub(crate) async fn past(
        self: &Arc<Self>,
        sets: &Arc<Sets>,
        store: Option<&Store>,
        mut request: Request<N::Body>,
        why: Bypass,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        request.secrets = store.and_then(|_| sets.secrets(&request, N::body_bytes));
        let mut parts = request.clone_head();
        let options = sets.of(&parts);
        // Without a key nothing is looked up or stored that it would tell apart.
        let no_key = CacheKey::from_bytes([0; 32]);
        let before = policy::before(options, &view(&parts, &no_key), &[], self.clock.now());
        let mut before = before.detoured(reason(why), store.is_some() || options.offline);
        // RFC 9111 §5.2.1.7: who wants the store alone wants no request, of whatever method.
        if matches!(before.decision, Decision::Unsatisfiable) {
            return Ok(unsatisfiable(sets.info(&parts, Source::Nowhere, before.reasons), None));
        }
        parts.controls.bypass |= why == Bypass::Suspended || options.methods.contains(&parts.method);
        // What a body holds that cannot be read ahead cannot be looked for in the answer.
        let unread = request.body.as_ref().is_some_and(|body| N::body_bytes(body).is_none());
        let unread = unread && sets.redactor().looks_into_bodies();
        let key = match store {
            Some(store) if !unread => self.key_as_get(sets, store, &parts).await,
            _ => None,
        };
        let salt = key.unwrap_or(no_key);
        let view = view(&parts, &salt);
        self.observer.bypasses.add(why, 1);
        let requested_at = self.clock.now();
        let response =
            self.ask(Purpose::Bypass, request).await.map_err(|error| Error::Network(Arc::new(error)))?;
        if let Some(store) = store {
            let head = N::head(&response);
            let received = ResponseView::new(head.status, head.headers, requested_at, self.clock.now())
                .with_version(head.version);
            let after = policy::after(options, &view, &Ask::default(), &[], &received);
            let redirected = N::is_redirected(&response, &parts.url);
            let after = if redirected { after.redirected(head.status, &Ask::default()) } else { after };
            for url in &after.invalidates {
                self.invalidate(sets, store, &parts, url).await;
            }
            if let (Outcome::Store { head, .. }, Some(key)) = (&after.outcome, key) {
                if let Some(reason) = refusal(sets.filter.as_ref(), Step::Write, &parts, head).await {
                    before.reasons = before.reasons.and(reason);
                // The ticket is younger than the removal, and older than any that comes later.
                } else if let Ok(found) = Found::lookup(store, &key).await {
                    let (inner, sets, store) = (Arc::clone(self), Arc::clone(sets), store.clone());
                    let (request, found, ask) = (parts, Some(found), Ask::default());
                    let expedition = Expedition { inner, sets, store, request, key, found, before, ask };
                    return expedition.bring_home(response, &after);
                }
            }
        }
        let info = sets.info(&parts, Source::Origin, before.reasons).forwarded(&before);
        Ok(Answered { answer: Answer::Wire(response), info })
    }

    /// The key under which the answer to a POST would be stored.
    async fn key_as_get(&self, sets: &Sets, store: &Store, request: &Request<N::Body>) -> Option<CacheKey> {
        let reused = sets.of(request).reuse_posts && request.method == Method::POST;
        let another = policy::names_another_host(&request.headers, &request.url);
        if !reused || request.controls.bypass || request.key.is_some() || another {
            return None;
        }
        let mut keyed =
            KeyRequest::new(&Method::GET, &request.url, &request.headers, store.storage.namespace());
        keyed.tenant = request.tenant.as_deref();
        self.ask_key(sets, &keyed).await
    }

    /// Removes what is stored of a URL (RFC 9111 §4.4), under the request's credentials and under none.
    pub(crate) async fn invalidate(&self, sets: &Sets, store: &Store, request: &Request<N::Body>, url: &Url) {
        let mut public = request.headers.clone();
        for name in [header::AUTHORIZATION, header::COOKIE] {
            public.remove(name);
        }
        let mut done = None;
        for headers in [&request.headers, &public] {
            let mut keyed = KeyRequest::new(&Method::GET, url, headers, store.storage.namespace());
            keyed.tenant = request.tenant.as_deref();
            let Some(key) = self.ask_key(sets, &keyed).await.filter(|key| done != Some(*key)) else {
                continue;
            };
            done = Some(key);
            // A failure is reported where it happens; the answer to the unsafe request is the caller's all the same.
            let _ = store.remove(&key, None).await;
        }
    }
}
