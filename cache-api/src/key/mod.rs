use std::{borrow::Cow, fmt, future::Future};

use async_trait::async_trait;
use http::{HeaderMap, Method};
use url::Url;

use crate::{CacheKey, Namespace, Result};

mod canonical;
mod default_key;

pub use canonical::CanonicalKey;
pub use default_key::DefaultKey;

/// Makes the key of a request, or declines to.
///
/// Two requests with one key are one resource: the answer to either may be served to the other, as far as
/// `Vary` and the policy allow. A key that leaves out what the answer depends on serves one user's answer to
/// another. A closure works too, through [`key_fn`].
#[async_trait]
pub trait KeyFn: fmt::Debug + Send + Sync {
    /// The key of a request.
    ///
    /// # Errors
    /// When the key cannot be made; the request then goes to the origin, past the cache.
    async fn key(&self, request: &KeyRequest<'_>) -> Result<Keyed>;
}

/// What a [`KeyFn`] sees of a request.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct KeyRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target URI.
    pub url: &'a Url,
    /// The header fields that go to the origin.
    pub headers: &'a HeaderMap,
    /// The body, where the method has one that counts and it is in memory.
    pub body: Option<&'a [u8]>,
    /// The namespace of the storage.
    pub namespace: &'a Namespace,
    /// The tenant on whose behalf the request is made.
    pub tenant: Option<&'a str>,
    /// A digest of what is left out of URL, fields and body ([`Redactor::digest`](crate::Redactor::digest)); `None` where
    /// nothing is. A key without it is shared with requests of which something else is left out.
    pub redaction: Option<[u8; 32]>,
}

impl<'a> KeyRequest<'a> {
    /// A request without a body and without a tenant.
    #[must_use]
    pub fn new(method: &'a Method, url: &'a Url, headers: &'a HeaderMap, namespace: &'a Namespace) -> Self {
        Self { method, url, headers, body: None, namespace, tenant: None, redaction: None }
    }

    /// The same request with a body.
    #[must_use]
    pub fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// The same request for a tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: &'a str) -> Self {
        self.tenant = Some(tenant);
        self
    }
}

impl fmt::Debug for KeyRequest<'_> {
    /// Shows neither query, field values, body nor tenant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest")
            .field("method", self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("namespace", self.namespace)
            .finish_non_exhaustive()
    }
}

/// The answer of a [`KeyFn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keyed {
    /// The request's resource.
    Key(CacheKey),
    /// The request goes past the cache, for that reason.
    Bypass(Cow<'static, str>),
}

/// A closure as a [`KeyFn`].
///
/// ```
/// use cache_api::{CanonicalKey, KeyRequest, Keyed, key_fn};
///
/// let by_path = key_fn(|request: &KeyRequest<'_>| {
///     let mut url = request.url.clone();
///     url.set_query(None);
///     let key = CanonicalKey::new(request.namespace, request.method, &url).finish();
///     async move { Ok(Keyed::Key(key)) }
/// });
/// ```
pub fn key_fn<F, Fut>(f: F) -> impl KeyFn
where
    F: Fn(&KeyRequest<'_>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Keyed>> + Send + 'static,
{
    Closure(f)
}

struct Closure<F>(F);

impl<F> fmt::Debug for Closure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFn(closure)")
    }
}

#[async_trait]
impl<F, Fut> KeyFn for Closure<F>
where
    F: Fn(&KeyRequest<'_>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Keyed>> + Send + 'static,
{
    async fn key(&self, request: &KeyRequest<'_>) -> Result<Keyed> {
        let key = (self.0)(request);
        key.await
    }
}
