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
    found::Found,
    info::Source,
    network::{Network, Request},
    policy::{self, Ask, Decision, Outcome, ResponseView},
    store::Store,
};

impl<N: Network> Inner<N> {
    /// Sends a request past the cache.
    pub(crate) async fn past(
        self: &Arc<Self>,
        store: Option<&Store>,
        mut request: Request<N::Body>,
    ) -> Result<Answered<N::Response>, Error<N::Error>> {
        request.controls.bypass |= self.options(&request).methods.contains(&request.method);
        request.secrets = store.and_then(|_| self.secrets_of(&request));
        let parts = request.clone_head();
        // What a body holds that cannot be read ahead cannot be looked for in the answer.
        let unread = request.body.as_ref().is_some_and(|body| N::body_bytes(body).is_none());
        let unread = unread && self.redactor().looks_into_bodies();
        let key = match store {
            Some(store) if !unread => self.key_as_get(store, &parts).await,
            _ => None,
        };
        let options = self.options(&parts);
        // Without a key nothing is looked up or stored that it would tell apart.
        let salt = key.unwrap_or(CacheKey::from_bytes([0; 32]));
        let view = view(&parts, &salt);
        let before = policy::before(options, &view, &[], self.clock.now());
        // RFC 9111 §5.2.1.7: who wants the store alone wants no request, of whatever method.
        if store.is_some() && matches!(before.decision, Decision::Unsatisfiable) {
            return Ok(unsatisfiable(self.info(&parts, Source::Nowhere, before.reasons), None));
        }
        let requested_at = self.clock.now();
        let response = self.network.send(request).await.map_err(|error| Error::Network(Arc::new(error)))?;
        if let Some(store) = store {
            let head = N::head(&response);
            let received = ResponseView::new(head.status, head.headers, requested_at, self.clock.now())
                .with_version(head.version);
            let after = policy::after(options, &view, &Ask::default(), &[], &received);
            let redirected = N::is_redirected(&response, &parts.url);
            let after = if redirected { after.redirected(head.status, &Ask::default()) } else { after };
            for url in &after.invalidates {
                self.invalidate(store, &parts, url).await;
            }
            // The ticket is younger than the removal, and older than any that comes later.
            if let (Outcome::Store { .. }, Some(key)) = (&after.outcome, key)
                && let Ok(found) = Found::lookup(store, &key).await
            {
                let (inner, store, ask) = (Arc::clone(self), store.clone(), Ask::default());
                let expedition =
                    Expedition { inner, store, request: parts, key, found: Some(found), before, ask };
                return expedition.bring_home(response, &after);
            }
        }
        let info = self.info(&parts, Source::Origin, before.reasons).forwarded(&before);
        Ok(Answered { answer: Answer::Wire(response), info })
    }

    /// The key under which the answer to a POST would be stored.
    async fn key_as_get(&self, store: &Store, request: &Request<N::Body>) -> Option<CacheKey> {
        let reused = self.options(request).reuse_posts && request.method == Method::POST;
        let another = policy::names_another_host(&request.headers, &request.url);
        if !reused || request.controls.bypass || request.key.is_some() || another {
            return None;
        }
        let mut keyed =
            KeyRequest::new(&Method::GET, &request.url, &request.headers, store.storage.namespace());
        keyed.tenant = request.tenant.as_deref();
        self.ask_key(&keyed).await
    }

    /// Removes what is stored of a URL (RFC 9111 §4.4), under the request's credentials and under none.
    pub(crate) async fn invalidate(&self, store: &Store, request: &Request<N::Body>, url: &Url) {
        let mut public = request.headers.clone();
        for name in [header::AUTHORIZATION, header::COOKIE] {
            public.remove(name);
        }
        let mut done = None;
        for headers in [&request.headers, &public] {
            let mut keyed = KeyRequest::new(&Method::GET, url, headers, store.storage.namespace());
            keyed.tenant = request.tenant.as_deref();
            let Some(key) = self.ask_key(&keyed).await.filter(|key| done != Some(*key)) else { continue };
            done = Some(key);
            // A failure is reported where it happens; the answer to the unsafe request is the caller's all the same.
            let _ = store.remove(&key, None).await;
        }
    }
}
