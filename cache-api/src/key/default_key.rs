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
        let mut key = CanonicalKey::new(request.namespace, request.method, request.url);
        if let Some(tenant) = request.tenant {
            key = key.tenant(tenant);
        }
        for name in &self.headers {
            key = key.header(name, request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes));
        }
        if let Some(body) = request.body {
            key = key.body(body);
        }
        key.finish()
    }
}

#[async_trait]
impl KeyFn for DefaultKey {
    async fn key(&self, request: &KeyRequest<'_>) -> Result<Keyed> {
        Ok(Keyed::Key(self.of(request)))
    }
}
