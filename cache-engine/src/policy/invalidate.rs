use http::header::{self, HeaderName};
use http::{Method, StatusCode};
use url::Url;

use super::{RequestView, ResponseView};

/// Safe methods that `http` does not know to be safe.
const SAFE: [&str; 4] = ["QUERY", "PROPFIND", "REPORT", "SEARCH"];

/// The URIs that an unsafe request has made invalid (RFC 9111 §4.4): its target, and what the answer names in
/// `Location` and `Content-Location` where that is of the same origin.
pub(super) fn invalidates(request: &RequestView<'_>, response: &ResponseView<'_>) -> Vec<Url> {
    if is_safe(request.method) || !is_no_error(response.status) {
        return Vec::new();
    }
    let mut urls = vec![bare(request.url.clone())];
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Some(url) = named(request.url, response, &name)
            && url.origin() == request.url.origin()
            && !urls.contains(&url)
        {
            urls.push(url);
        }
    }
    urls
}

/// An unknown method counts as unsafe.
fn is_safe(method: &Method) -> bool {
    method.is_safe() || SAFE.contains(&method.as_str())
}

fn is_no_error(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// The URI that a field of the answer names.
pub(super) fn named(base: &Url, response: &ResponseView<'_>, name: &HeaderName) -> Option<Url> {
    let text = response.headers.get(name)?.to_str().ok()?;
    base.join(text).ok().map(bare)
}

/// A URI without fragment and credentials.
pub(super) fn bare(mut url: Url) -> Url {
    url.set_fragment(None);
    // They fail only for URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
