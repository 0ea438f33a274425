use http::{Method, StatusCode, header};

use super::freshness::Source;
use super::wants::Wants;
use super::{Options, RequestView, ResponseView, invalidate, store};

/// The answer to a POST as one to later GETs, where it says itself that it is one: 200, explicit freshness, and a
/// `Content-Location` that is the target (RFC 9110 §9.3.3).
pub(super) fn for_gets(
    options: &Options,
    request: &RequestView<'_>,
    response: &ResponseView<'_>,
) -> Option<store::Storable> {
    let reused = options.reuse_posts && *request.method == Method::POST && response.status == StatusCode::OK;
    if !reused || response.headers.get_all(header::CONTENT_LOCATION).iter().count() != 1 {
        return None;
    }
    let target = invalidate::bare(request.url.clone());
    if invalidate::named(request.url, response, &header::CONTENT_LOCATION)? != target {
        return None;
    }
    let get = RequestView { method: &Method::GET, ..*request };
    let new = store::storable(options, &get, &Wants::of(request), response).ok()?;
    matches!(new.freshness.source, Source::SMaxAge | Source::MaxAge | Source::Expires).then_some(new)
}
