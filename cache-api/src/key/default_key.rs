use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{CanonicalKey, KeyFn, KeyRequest, Keyed};
use crate::{CacheKey, Result};

/// The default key: namespace, tenant, method class, normalised URL, chosen header fields, and the body's
/// digest where the request has one.
///
/// The same on every replica, release and architecture, as [`CanonicalKey`] says.
#[derive(Clone, Debug, Default)]
pub struct DefaultKey {
    headers: Vec<HeaderName>,
    all: bool,
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

    /// The same, and these fields count as well.
    #[must_use]
    pub fn with_more_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let all: Vec<_> = self.headers.iter().cloned().chain(names).collect();
        self.with_headers(all)
    }

    /// Requests that differ in any field are different resources, but for those that do not say what is wanted:
    ///
    /// - the fields of one connection: `Connection` and what it lists, `Keep-Alive`, `Proxy-…`, `TE`, `Trailer`,
    ///   `Transfer-Encoding`, `Upgrade`, and `Expect`;
    /// - `Host` and `Content-Length`, which URL and body say;
    /// - what is asked of the cache itself: `Cache-Control`, `Pragma`, `Range` and the conditions (`If-…`);
    /// - what is another for each request: `Date`, `Idempotency-Key`, `X-Request-Id`, `X-Correlation-Id`, and the fields of
    ///   tracing (`traceparent`, `tracestate`, `baggage`, `b3`, `X-B3-…`, `X-Amzn-Trace-Id`, `X-Cloud-Trace-Context`,
    ///   `Sentry-Trace`, `Uber-Trace-Id`).
    ///
    /// What a [`Redactor`](crate::Redactor) ignores does not count either. Fields that count are `User-Agent`, `Referer`
    /// and `X-Forwarded-For`, too: a hit then takes the same client from the same page.
    #[must_use]
    pub fn with_all_headers(mut self) -> Self {
        self.all = true;
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
        if let Some(digest) = request.redaction {
            key = key.redaction(digest);
        }
        for name in &self.headers {
            key = with_field(key, name, request.headers);
        }
        if self.all {
            // No field has this name: a list of fields never makes the key that all of them make.
            key = key.header(&HeaderName::from_static("*"), [&b"all"[..]]);
            for name in names_that_count(request.headers) {
                if !self.headers.contains(name) {
                    key = with_field(key, name, request.headers);
                }
            }
        }
        key
    }
}

fn with_field(key: CanonicalKey, name: &HeaderName, headers: &HeaderMap) -> CanonicalKey {
    key.header(name, headers.get_all(name).iter().map(HeaderValue::as_bytes))
}

/// The names of [`DefaultKey::with_all_headers`], sorted.
fn names_that_count(headers: &HeaderMap) -> Vec<&HeaderName> {
    let connection = headers.get_all(header::CONNECTION).iter();
    let listed: Vec<HeaderName> = connection
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    let mut names: Vec<_> = headers.keys().filter(|name| counts(name) && !listed.contains(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    names
}

fn counts(name: &HeaderName) -> bool {
    let one_connection = matches!(
        *name,
        header::CONNECTION
            | header::EXPECT
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    );
    let said_elsewhere = matches!(*name, header::CONTENT_LENGTH | header::HOST);
    let of_the_cache = matches!(*name, header::CACHE_CONTROL | header::PRAGMA | header::RANGE);
    let name = name.as_str();
    !(one_connection
        || said_elsewhere
        || of_the_cache
        || ["if-", "proxy-", "x-b3-"].iter().any(|prefix| name.starts_with(prefix))
        || EACH_REQUEST.contains(&name))
}

/// Fields that are others for each request, or have no constant in `http`.
const EACH_REQUEST: [&str; 13] = [
    "b3",
    "baggage",
    "date",
    "idempotency-key",
    "keep-alive",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-request-id",
];

#[async_trait]
impl KeyFn for DefaultKey {
    async fn key(&self, request: &KeyRequest<'_>) -> Result<Keyed> {
        Ok(Keyed::Key(self.of(request)))
    }
}
