//! What a request asks for: the URL under which it is cached, and the URI with which it is sent on.

use http::{
    HeaderMap, Uri, header,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use url::{Position, Url};

/// The URL that a URI means, and the URI in the same form that says it as the URL does.
///
/// The parser of URLs takes dot segments out and writes some characters in their encoded form. What is sent on is what
/// was keyed: if the service below were to read `/%2e%2e/b` otherwise than as `/b`, its answer would be kept for `/b`.
///
/// `None` where there is no URL: a target in authority form (CONNECT) or `*`, a path without a `Host`, credentials in
/// the URI, another scheme than HTTP's.
pub(crate) fn target(uri: &Uri, headers: &HeaderMap, scheme: &Scheme) -> Option<(Url, Uri)> {
    let path = uri.path_and_query()?.as_str();
    if !path.starts_with('/') {
        return None;
    }
    let (scheme, authority, is_absolute) = match (uri.scheme(), uri.authority()) {
        (Some(scheme), Some(authority)) => (scheme, authority.clone(), true),
        (None, None) => (scheme, host(headers)?, false),
        _ => return None,
    };
    if ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) || authority.as_str().contains('@') {
        return None;
    }
    let url = Url::parse(&format!("{scheme}://{authority}{path}")).ok()?;
    let canonical = &url[Position::BeforePath..Position::AfterQuery];
    if canonical == path
        && (!is_absolute || url[Position::BeforeHost..Position::AfterPort] == *authority.as_str())
    {
        return Some((url, uri.clone()));
    }
    let mut parts = Parts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(canonical).ok()?);
    if is_absolute {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(Authority::try_from(&url[Position::BeforeHost..Position::AfterPort]).ok()?);
    }
    let uri = Uri::from_parts(parts).ok()?;
    Some((url, uri))
}

/// The one `Host`.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut lines = headers.get_all(header::HOST).iter();
    let host = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    Authority::try_from(host.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(uri: &str, host: Option<&'static str>) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_static(host));
        }
        let (url, uri) = target(&uri.parse().unwrap(), &headers, &Scheme::HTTPS)?;
        Some((url.into(), uri.to_string()))
    }

    #[test]
    fn what_is_sent_is_what_is_keyed() {
        let table = [
            ("http://a.test", None, "http://a.test/", "http://a.test/"),
            ("http://a.test/b?c=d", None, "http://a.test/b?c=d", "http://a.test/b?c=d"),
            ("http://a.test/b?", None, "http://a.test/b?", "http://a.test/b?"),
            ("http://A.test:80/b", None, "http://a.test/b", "http://a.test/b"),
            ("http://[::1]:81/b", None, "http://[::1]:81/b", "http://[::1]:81/b"),
            ("/b?c", Some("a.test"), "https://a.test/b?c", "/b?c"),
            ("/b", Some("a.test:443"), "https://a.test/b", "/b"),
            ("/b", Some("a.test:80"), "https://a.test:80/b", "/b"),
            // Not a network path, and not another directory.
            ("//evil.test/b", Some("a.test"), "https://a.test//evil.test/b", "//evil.test/b"),
            ("/x/../b", Some("a.test"), "https://a.test/b", "/b"),
            ("/x/%2e%2E/b", Some("a.test"), "https://a.test/b", "/b"),
            ("http://a.test/x/../b", None, "http://a.test/b", "http://a.test/b"),
            ("/%61", Some("a.test"), "https://a.test/%61", "/%61"),
        ];
        for (uri, host, url, sent) in table {
            assert_eq!(of(uri, host), Some((url.to_owned(), sent.to_owned())), "{uri} {host:?}");
        }
    }

    #[test]
    fn what_has_no_url_goes_past() {
        for (uri, host) in [
            ("/b", None),
            ("*", Some("a.test")),
            ("a.test:443", Some("a.test")),
            ("ftp://a.test/b", None),
            ("http://user:pass@a.test/b", None),
            ("/b", Some("a.test/x?")),
            ("/b", Some("user@a.test")),
            ("/b", Some("")),
        ] {
            assert_eq!(of(uri, host), None, "{uri} {host:?}");
        }
    }
}
