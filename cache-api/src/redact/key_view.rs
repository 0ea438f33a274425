use std::fmt;

use http::HeaderMap;
use url::Url;

use super::{BodyType, Redactor, form, json};
use crate::KeyRequest;

/// A request without what does not count: what a [`KeyFn`](crate::KeyFn) is shown of it.
#[must_use]
pub struct KeyView<'a> {
    request: KeyRequest<'a>,
    url: Option<Url>,
    headers: Option<HeaderMap>,
    body: Option<Vec<u8>>,
}

impl Redactor {
    /// A request without what is [ignored](Redactor::ignore), from which its key is made. A body that is not what its
    /// `Content-Type` says counts whole.
    pub fn key_view<'a>(&self, request: &KeyRequest<'a>) -> KeyView<'a> {
        let mut view = KeyView { request: *request, url: None, headers: None, body: None };
        let Some(digest) = self.digest() else { return view };
        let lists = &*self.0;
        view.request.redaction = Some(digest);
        if let Some(query) = request.url.query()
            && let Some(kept) = form::kept(query.as_bytes(), &lists.query)
        {
            let mut url = request.url.clone();
            let kept = String::from_utf8_lossy(&kept);
            url.set_query(Some(&*kept).filter(|kept| !kept.is_empty()));
            view.url = Some(url);
        }
        if request.headers.keys().any(|name| self.ignores_header(name)) {
            let kept = request.headers.iter().filter(|(name, _)| !self.ignores_header(name));
            let mut headers = HeaderMap::new();
            kept.for_each(|(name, value)| {
                headers.append(name, value.clone());
            });
            view.headers = Some(headers);
        }
        view.body = request.body.and_then(|body| match BodyType::of(request.headers) {
            BodyType::Form => form::kept(body, &lists.form),
            // Whatever is left, white space does not count: it would tell what was left out.
            BodyType::Json if lists.json.ignored().next().is_some() => json::kept(body, &lists.json),
            _ => None,
        });
        view
    }
}

impl KeyView<'_> {
    /// The request as it counts.
    #[must_use]
    pub fn request(&self) -> KeyRequest<'_> {
        KeyRequest {
            url: self.url.as_ref().unwrap_or(self.request.url),
            headers: self.headers.as_ref().unwrap_or(self.request.headers),
            body: self.body.as_deref().or(self.request.body),
            ..self.request
        }
    }
}

impl fmt::Debug for KeyView<'_> {
    /// Shows what [`KeyRequest`] shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyView").field(&self.request()).finish()
    }
}
