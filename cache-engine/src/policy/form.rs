use http::{Method, StatusCode};

use super::range::{self, ByteRange, Ranged};
use super::{RequestView, StoredView, conditions, part};

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
    /// 206 with these bytes of the body (RFC 9110 §14), out of a complete response or a stored part.
    Range(ByteRange),
    /// 416: the requested range lies outside the body.
    RangeNotSatisfiable {
        /// The length of the complete body.
        complete: u64,
    },
}

/// The form in which `stored` answers `request`, in the order of RFC 9110 §13.2.2; `None` where it is a part that
/// does not hold what is asked for (RFC 9111 §3.3).
pub(super) fn form(request: &RequestView<'_>, stored: &StoredView<'_>) -> Option<Form> {
    if part::is_part(stored.head) {
        let bytes = part::within(request, stored)?;
        let unchanged = conditions::not_modified(request.headers, stored.head);
        return Some(if unchanged { Form::NotModified } else { Form::Range(bytes) });
    }
    let whole = if *request.method == Method::HEAD { Form::Head } else { Form::Full };
    // RFC 9110 §13.2.1: conditions count only where the answer would be 2xx without them.
    let safe = matches!(*request.method, Method::GET | Method::HEAD);
    if !safe || stored.head.status != StatusCode::OK || conditions::is_plain(request.headers) {
        return Some(whole);
    }
    if conditions::not_modified(request.headers, stored.head) {
        return Some(Form::NotModified);
    }
    // RFC 9110 §14.2: Range is defined for GET alone.
    let len = stored.body_len.filter(|_| *request.method == Method::GET);
    Some(len.map_or(whole, |complete| match range::requested(request.headers, stored.head, complete) {
        Ranged::Whole => whole,
        Ranged::Part(part) => Form::Range(part),
        Ranged::Unsatisfiable => Form::RangeNotSatisfiable { complete },
    }))
}
