use http::{Method, StatusCode};

use super::range::{self, ByteRange, Ranged};
use super::{RequestView, StoredView, conditions};

/// In which form a stored response answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As it is stored, body included.
    Full,
    /// Its head alone: the request is a HEAD.
    Head,
    /// 304: the caller's own conditions hold (RFC 9111 §4.3.2).
    NotModified,
    /// 206 with these bytes of the body (RFC 9110 §14).
    Range(ByteRange),
    /// 416: the requested range lies outside the body.
    RangeNotSatisfiable {
        /// The length of the complete body.
        complete: u64,
    },
}

/// The form in which `stored` answers `request`, in the order of RFC 9110 §13.2.2.
pub(super) fn form(request: &RequestView<'_>, stored: &StoredView<'_>) -> Form {
    let whole = if *request.method == Method::HEAD { Form::Head } else { Form::Full };
    // RFC 9110 §13.2.1: conditions count only where the answer would be 2xx without them.
    let safe = matches!(*request.method, Method::GET | Method::HEAD);
    if !safe || stored.head.status != StatusCode::OK {
        return whole;
    }
    if conditions::not_modified(request.headers, stored.head) {
        return Form::NotModified;
    }
    // RFC 9110 §14.2: Range is defined for GET alone.
    match stored.body_len {
        Some(len) if *request.method == Method::GET => {
            match range::requested(request.headers, stored.head, len) {
                Ranged::Whole => whole,
                Ranged::Part(part) => Form::Range(part),
                Ranged::Unsatisfiable => Form::RangeNotSatisfiable { complete: len },
            }
        }
        _ => whole,
    }
}
