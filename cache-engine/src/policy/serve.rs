use std::time::Duration;

use cache_api::Head;
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Version};

use super::Form;
use super::cache_control::MAX_DELTA;

/// The head under which a stored response is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// Its status.
    pub status: StatusCode,
    /// Its protocol version.
    pub version: Version,
    /// Its header fields.
    pub headers: HeaderMap,
}

/// The head under which `head` is served in a form.
///
/// `age` is the age to state: `None` where the origin has just confirmed the response, so that a stored `Age` is
/// the origin's own word. `Date` and all else stay as they were received; no `Warning` is made, which is obsolete.
#[must_use]
pub fn serve(head: &Head, form: Form, age: Option<Duration>) -> Served {
    let mut served = Served { status: head.status, version: head.version, headers: HeaderMap::new() };
    match form {
        Form::Full | Form::Head => served.headers = head.headers.clone(),
        Form::NotModified => {
            served.status = StatusCode::NOT_MODIFIED;
            served.headers = head.headers.clone();
            without_content(&mut served.headers);
        }
        Form::Range(part) => {
            served.status = StatusCode::PARTIAL_CONTENT;
            served.headers = head.headers.clone();
            served.headers.insert(header::CONTENT_LENGTH, part.count().into());
            let text = format!("bytes {}-{}/{}", part.first, part.last, part.complete);
            insert(&mut served.headers, header::CONTENT_RANGE, &text);
        }
        Form::RangeNotSatisfiable { complete } => {
            // A head of its own: what is said of the representation is not said of this error.
            served.status = StatusCode::RANGE_NOT_SATISFIABLE;
            if let Some(date) = head.headers.get(header::DATE) {
                served.headers.insert(header::DATE, date.clone());
            }
            served.headers.insert(header::CONTENT_LENGTH, 0.into());
            insert(&mut served.headers, header::CONTENT_RANGE, &format!("bytes */{complete}"));
            return served;
        }
    }
    if let Some(age) = age {
        // RFC 9111 §5.1
        served.headers.insert(header::AGE, age.as_secs().min(MAX_DELTA).into());
    }
    served
}

/// The 504 of a request that says `only-if-cached` (RFC 9111 §5.2.1.7).
#[must_use]
pub fn unsatisfiable() -> Served {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, 0.into());
    Served { status: StatusCode::GATEWAY_TIMEOUT, version: Version::HTTP_11, headers }
}

/// RFC 9110 §15.4.5: a 304 says nothing of the body, beyond what tells responses apart.
fn without_content(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_LANGUAGE,
        header::CONTENT_RANGE,
        header::CONTENT_DISPOSITION,
    ] {
        headers.remove(name);
    }
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
