//! The keys of requests.

use cache_api::{CacheKey, KeyRequest, Keyed};

use crate::{
    engine::Inner,
    network::{Network, Request},
    sets::Sets,
    store::Store,
};

impl<N: Network> Inner<N> {
    /// The request's key; `None` where it goes past the cache.
    pub(crate) async fn key_of(
        &self,
        sets: &Sets,
        store: &Store,
        request: &Request<N::Body>,
    ) -> Option<CacheKey> {
        let body = match &request.body {
            None => None,
            Some(body) => Some(N::body_bytes(body)?).filter(|bytes| !bytes.is_empty()),
        };
        let mut keyed =
            KeyRequest::new(&request.method, &request.url, &request.headers, store.storage.namespace());
        keyed.body = body;
        keyed.tenant = request.tenant.as_deref();
        if let Some(name) = &request.key {
            return Some(self.named.named(name, &sets.redactor().key_view(&keyed).request()));
        }
        self.ask_key(sets, &keyed).await
    }

    pub(crate) async fn ask_key(&self, sets: &Sets, request: &KeyRequest<'_>) -> Option<CacheKey> {
        let view = sets.redactor().key_view(request);
        if self.key_is_default {
            // It waits for nothing: no box and no call through a table.
            return Some(self.named.of(&view.request()));
        }
        match self.key.key(&view.request()).await {
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
}
