use async_trait::async_trait;
use http::HeaderName;

use super::{CanonicalKey, KeyFn, KeyRequest, Keyed};
use crate::{CacheKey, Result};

/// The default key: namespace, tenant, method class, normalised URL, chosen header fields, and the body's
/// digest where the request has one.
///
/// The same on every replica, release and architecture, as [`CanonicalKey`] says.
#[derive(Clone, Debug, Default)]
pub struct DefaultKey {
    headers: Vec<HeaderName>,
}

impl DefaultKey {
    /// The key without header fields: `Vary` alone decides between variants.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests that differ in these fields are different resources. Order and repetition do not count.
    #[must_use]
    pub fn with_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = names.into_iter().collect();
        self.headers.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        self.headers.dedup();
        self
    }

    /// The key of a request.
    #[must_use]
    pub fn of(&self, request: &KeyRequest<'_>) -> CacheKey {
        let key = self.told_apart(CanonicalKey::new(request.namespace, request.method, request.url), request);
        match request.body {
            Some(body) => key.body(body).finish(),
            None => key.finish(),
        }
    }

    /// The key of a request under a name of the caller's own, in place of its URL and body. What else tells requests apart
    /// does so here: namespace, tenant, method class and the chosen header fields.
    #[must_use]
    pub fn named(&self, name: &str, request: &KeyRequest<'_>) -> CacheKey {
        self.told_apart(CanonicalKey::named(request.namespace, request.method, name), request).finish()
    }

    fn told_apart(&self, mut key: CanonicalKey, request: &KeyRequest<'_>) -> CanonicalKey {
        if let Some(tenant) = request.tenant {
            key = key.tenant(tenant);
        }
        for name in &self.headers {
            key = key.header(name, request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes));
        }
        key
    }
}

#[async_trait]
impl KeyFn for DefaultKey {
    async fn key(&self, request: &KeyRequest<'_>) -> Result<Keyed> {
        Ok(Keyed::Key(self.of(request)))
    }
}
