use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

use reqwest::{StatusCode, Url};

use crate::redact::RedactedUrl;

/// A result with this crate's [`struct@Error`].
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request, or the building of a client, failed.
///
/// What went wrong on the wire is a [`reqwest::Error`], which is this error's
/// [`source`](std::error::Error::source); every predicate of `reqwest::Error` is here too and answers for it.
/// Messages name the URL without its query, fragment and credentials; [`Error::url`] has all of it.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    url: Option<Url>,
    /// Shared by the callers who waited for one fetch.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The source is a `reqwest::Error`, which knows what it is.
    Wire,
    Builder,
    Request,
    Redirect,
    Cache,
    /// The cache's storage could not be opened.
    Storage,
}

impl Error {
    pub(crate) fn new(kind: Kind, source: impl Into<BoxError>) -> Self {
        Self { inner: Box::new(Inner { kind, url: None, source: Some(source.into().into()) }) }
    }

    /// What went wrong on the wire, known to others beside this error.
    #[cfg(feature = "middleware")]
    pub(crate) fn shared(source: Arc<dyn StdError + Send + Sync>, url: Option<Url>) -> Self {
        Self { inner: Box::new(Inner { kind: Kind::Wire, url, source: Some(source) }) }
    }

    pub(crate) fn builder(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Builder, source)
    }

    /// Why a storage could not be opened.
    pub(crate) fn storage(source: cache_api::Error) -> Self {
        Self::new(Kind::Storage, source)
    }

    pub(crate) fn of_engine(error: cache_engine::Error<Self>) -> Self {
        match error {
            cache_engine::Error::Network(error) => Arc::try_unwrap(error).unwrap_or_else(|shared| {
                let Inner { kind, url, source } = &*shared.inner;
                Self { inner: Box::new(Inner { kind: *kind, url: url.clone(), source: source.clone() }) }
            }),
            cache_engine::Error::Storage(error) => Self::new(Kind::Cache, error),
            cache_engine::Error::Setting(invalid) => Self::builder(invalid),
            other => Self::new(Kind::Request, other),
        }
    }

    pub(crate) fn redirect(source: impl Into<BoxError>, url: Url) -> Self {
        Self::new(Kind::Redirect, source).with_url(url)
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(Kind::Request, timed_out())
    }

    pub(crate) fn bad_scheme(url: Url) -> Self {
        Self::builder("URL scheme is not allowed").with_url(url)
    }

    pub(crate) fn or_url(mut self, url: &Url) -> Self {
        self.inner.url.get_or_insert_with(|| url.clone());
        self
    }

    /// The URL that the error is about, whole, where there is one.
    #[must_use]
    pub fn url(&self) -> Option<&Url> {
        self.inner.url.as_ref()
    }

    /// A mutable reference to the URL, so that a secret in it can be taken out before the error is passed on.
    #[must_use]
    pub fn url_mut(&mut self) -> Option<&mut Url> {
        self.inner.url.as_mut()
    }

    /// This error, about another URL.
    #[must_use]
    pub fn with_url(mut self, url: Url) -> Self {
        self.inner.url = Some(url);
        self
    }

    /// This error without its URL.
    #[must_use]
    pub fn without_url(mut self) -> Self {
        self.inner.url = None;
        self
    }

    /// Whether the request or the client could not be built.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        self.inner.kind == Kind::Storage || self.is(Kind::Builder, reqwest::Error::is_builder)
    }

    /// Whether following a redirect failed: too many, or refused by the policy.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.is(Kind::Redirect, reqwest::Error::is_redirect)
    }

    /// Whether it comes from [`Response::error_for_status`](reqwest::Response::error_for_status).
    #[must_use]
    pub fn is_status(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_status)
    }

    /// Whether a timeout ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let mut source = self.source();
        while let Some(error) = source {
            if let Some(wire) = error.downcast_ref::<reqwest::Error>() {
                return wire.is_timeout();
            }
            if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
                return true;
            }
            source = error.source();
        }
        false
    }

    /// Whether sending the request failed.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.is(Kind::Request, reqwest::Error::is_request)
    }

    /// Whether the origin could not be connected to.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_connect)
    }

    /// Whether the origin's name could not be resolved.
    #[must_use]
    pub fn is_dns(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_dns)
    }

    /// Whether the request's or the response's body failed.
    #[must_use]
    pub fn is_body(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_body)
    }

    /// Whether the response's body could not be decoded.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_decode)
    }

    /// Whether upgrading the connection failed.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.wire().is_some_and(reqwest::Error::is_upgrade)
    }

    /// Whether the cache failed: its storage could not be opened, or it failed a client that asked for failing
    /// closed. The source is a [`cache_api::Error`].
    #[must_use]
    pub fn is_cache(&self) -> bool {
        matches!(self.inner.kind, Kind::Cache | Kind::Storage)
    }

    /// The status, if it comes from [`Response::error_for_status`](reqwest::Response::error_for_status).
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.wire().and_then(reqwest::Error::status)
    }

    fn is(&self, kind: Kind, wire: fn(&reqwest::Error) -> bool) -> bool {
        self.inner.kind == kind || self.wire().is_some_and(wire)
    }

    fn wire(&self) -> Option<&reqwest::Error> {
        self.inner.source.as_ref()?.downcast_ref()
    }

    fn summary(&self) -> &'static str {
        match self.inner.kind {
            Kind::Cache => "the cache failed",
            Kind::Storage => "the cache's storage could not be opened",
            _ if self.is_builder() => "the request or client could not be built",
            _ if self.is_redirect() => "a redirect could not be followed",
            _ if self.is_status() => "the server answered with an error status",
            _ if self.is_decode() => "the response body could not be decoded",
            _ if self.is_body() => "a request or response body failed",
            _ if self.is_upgrade() => "the connection could not be upgraded",
            _ => "the request failed",
        }
    }
}

/// What a timed-out body or head has as its source: `reqwest::Error::is_timeout` recognises it.
pub(crate) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "operation timed out")
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // reqwest's message would show the query; ours shows the URL, redacted.
        let url = error.url().cloned();
        let mut ours = Self::new(Kind::Wire, error.without_url());
        ours.inner.url = url;
        ours
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())?;
        match &self.inner.url {
            Some(url) => write!(f, " for url ({})", RedactedUrl(url)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("client_reqwest::Error");
        out.field("kind", &self.inner.kind);
        if let Some(url) = &self.inner.url {
            out.field("url", &format_args!("{}", RedactedUrl(url)));
        }
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_neither_query_nor_credentials() {
        let url = Url::parse("https://user:pass@example.com:8443/a?token=secret#frag").unwrap();
        let error = Error::timed_out().with_url(url.clone());
        let text = format!("{error} {error:?}");
        assert!(text.contains("https://example.com:8443/a"), "{text}");
        for secret in ["user", "pass", "token", "secret", "frag"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(error.url(), Some(&url));
        assert!(error.without_url().url().is_none());
    }

    #[test]
    fn our_own_kinds_answer_the_predicates() {
        let timeout = Error::timed_out();
        assert!(timeout.is_timeout() && timeout.is_request());
        assert!(!timeout.is_builder() && !timeout.is_redirect() && !timeout.is_connect());

        let scheme = Error::bad_scheme(Url::parse("ftp://example.com/").unwrap());
        assert!(scheme.is_builder() && !scheme.is_timeout());

        let url = Url::parse("http://example.com/").unwrap();
        assert!(Error::redirect("too many redirects", url).is_redirect());
        assert!(Error::new(Kind::Cache, "down").is_cache());

        let opening = Error::storage(cache_api::Error::new(cache_api::ErrorKind::Denied, "open"));
        assert!(opening.is_cache() && opening.is_builder() && !opening.is_request());
    }

    #[test]
    fn who_waited_for_one_fetch_shares_its_error() {
        let url = Url::parse("http://example.com/?token=secret").unwrap();
        let one = Arc::new(Error::timed_out().with_url(url.clone()));
        for shared in [Arc::clone(&one), one] {
            let error = Error::of_engine(cache_engine::Error::Network(shared));
            assert!(error.is_timeout() && error.is_request());
            assert_eq!(error.url(), Some(&url));
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }

    #[test]
    fn the_error_is_as_thin_as_a_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
