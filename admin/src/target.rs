use std::{fmt, sync::Arc};

use bytes::Bytes;
use cache_api::{KeyRequest, Namespace};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

/// A request by which a resource is known: what a key is made of.
///
/// Fragment and credentials of the URL do not count. In private mode the default key holds `Authorization` and `Cookie`:
/// give the resource of a request with such a field [that field](Target::with_header), or look for
/// [its URL](crate::EntryFilter::url) instead, which finds it whatever its key is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    tenant: Option<Arc<str>>,
}

impl Target {
    /// That method and URL.
    #[must_use]
    pub fn new(method: Method, url: &Url) -> Self {
        Self { method, url: bare(url), headers: HeaderMap::new(), body: Bytes::new(), tenant: None }
    }

    /// A GET, which stands for HEAD as well.
    #[must_use]
    pub fn get(url: &Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// With one more header field.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// With this body; an empty one counts as none.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// On behalf of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Where a redirect leads from here: a GET with the same fields on behalf of the same tenant, without the credentials
    /// where it leads to another origin.
    pub(crate) fn to(mut self, url: Url) -> Self {
        if url.origin() != self.url.origin() {
            for name in [header::AUTHORIZATION, header::COOKIE] {
                self.headers.remove(name);
            }
        }
        Self { method: Method::GET, url, body: Bytes::new(), ..self }
    }

    pub(crate) fn request<'a>(&'a self, namespace: &'a Namespace) -> KeyRequest<'a> {
        let mut request = KeyRequest::new(&self.method, &self.url, &self.headers, namespace);
        if !self.body.is_empty() {
            request = request.with_body(&self.body);
        }
        match &self.tenant {
            Some(tenant) => request.with_tenant(tenant),
            None => request,
        }
    }
}

impl From<&Url> for Target {
    fn from(url: &Url) -> Self {
        Self::get(url)
    }
}

impl fmt::Debug for Target {
    /// Shows neither query, field values, body nor tenant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

/// The URL as heads have it.
pub(crate) fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    // A URL that cannot have credentials has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
