//! The request that all subjects make, and the head that all answers have.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

/// The fields of each request.
pub(crate) const FIELDS: [(HeaderName, HeaderValue); 3] = [
    (ACCEPT, HeaderValue::from_static("application/json")),
    (ACCEPT_LANGUAGE, HeaderValue::from_static("en")),
    (USER_AGENT, HeaderValue::from_static("cache-bench/0.1")),
];

/// The entity tag of each answer.
pub(crate) const TAG: &str = "\"5f3c6d7e8a9b0c1d\"";

/// Fields that each answer has, beside `date`, `content-length` and `cache-control`: twelve in all.
const ANSWERED: [(&str, &str); 9] = [
    ("content-type", "application/json; charset=utf-8"),
    ("etag", TAG),
    ("last-modified", "Wed, 31 Dec 2025 00:00:00 GMT"),
    ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("server", "origin/1.0"),
    ("vary", "accept-encoding"),
    ("x-request-id", "0b7c3f6e-5d1a-4f0e-9a52-3f1d2c4b5a69"),
    ("x-content-type-options", "nosniff"),
    ("access-control-allow-origin", "*"),
];

/// Those fields, in values on the heap as those that came over a wire are.
pub(crate) fn answered() -> HeaderMap {
    ANSWERED.iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), heap(value)?))).collect()
}

/// A value on the heap.
pub(crate) fn heap(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(value.as_bytes().to_vec())).ok()
}
