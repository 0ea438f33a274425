//! Stored parts: a 206 is kept as what it is, and answers ranges that lie within it (RFC 9111 §3.3).

use cache_api::Head;
use http::{HeaderMap, Method, StatusCode, header};

use super::range::{self, ByteRange, Spec};
use super::{RequestView, ResponseView, StoredView, conditions, freshness};

/// What a 206 holds, as its `Content-Range` says (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: u64,
    last: u64,
    complete: u64,
}

impl Part {
    /// `None` without exactly one `Content-Range` in bytes that is valid and tells the complete length, and for
    /// several ranges in one message (RFC 9110 §15.3.7.2).
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::CONTENT_RANGE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |media| media.as_bytes().trim_ascii());
        let multipart = b"multipart/byteranges";
        if media.get(..multipart.len()).is_some_and(|media| media.eq_ignore_ascii_case(multipart)) {
            return None;
        }
        let (unit, range) = line.to_str().ok()?.trim().split_once(' ')?;
        let (bounds, complete) = range.trim().split_once('/')?;
        let (first, last) = bounds.split_once('-')?;
        let number = |text: &str| range::number(text.as_bytes());
        let part = Self { first: number(first)?, last: number(last)?, complete: number(complete)? };
        let valid = part.first <= part.last && part.last < part.complete;
        (valid && unit.eq_ignore_ascii_case("bytes")).then_some(part)
    }

    /// How many bytes it says that there are.
    fn span(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// The bytes asked for, where they lie within the part, of which `len` bytes are there.
    ///
    /// Some origins send fewer bytes than their `Content-Range` says. Positions count from the part's first byte
    /// and suffixes from its last one; what is answered is what is there.
    fn slice(&self, spec: Spec, len: u64) -> Option<ByteRange> {
        let len = len.min(self.span());
        let end = len.checked_sub(1)?;
        let reaches_end = self.last.saturating_add(1) == self.complete;
        let (at, to) = match spec {
            Spec::Between(first, last) if last.min(self.complete.saturating_sub(1)) <= self.last => {
                (first.checked_sub(self.first)?, end.min(last.checked_sub(self.first)?))
            }
            Spec::From(first) if reaches_end => (first.checked_sub(self.first)?, end),
            Spec::Last(count) if reaches_end && count > 0 => {
                (len.checked_sub(count.min(self.complete))?, end)
            }
            _ => return None,
        };
        let (first, last) = (self.first.checked_add(at)?, self.first.checked_add(to)?);
        (at <= to).then_some(ByteRange { first, last, complete: self.complete, at })
    }
}

/// Whether a stored response is a part.
pub(super) fn is_part(head: &Head) -> bool {
    head.status == StatusCode::PARTIAL_CONTENT
}

/// Whether a 206 with these fields can be kept as a part.
pub(super) fn is_storable(request: &RequestView<'_>, headers: &HeaderMap) -> bool {
    let asked = *request.method == Method::GET && request.headers.contains_key(header::RANGE);
    let fits = |part: Part| content_length(headers).is_none_or(|len| len > 0 && len <= part.span());
    asked && Part::of(headers).is_some_and(fits)
}

/// The bytes of a stored part that answer a request (RFC 9111 §3.3); `None` where it goes beyond the part.
pub(super) fn within(request: &RequestView<'_>, stored: &StoredView<'_>) -> Option<ByteRange> {
    if *request.method != Method::GET || !is_part(stored.head) {
        return None;
    }
    let spec = range::asked(request.headers, stored.head)?;
    Part::of(&stored.head.headers)?.slice(spec, stored.body_len?)
}

/// How many bytes the response under `head` says that it holds of its representation, where it is a part.
#[must_use]
pub fn part_len(head: &Head) -> Option<u64> {
    Part::of(&head.headers).filter(|_| is_part(head)).map(|part| part.span())
}

/// Whether an answer shows that a stored response is of another representation, as far as status, tags, dates and
/// lengths tell.
pub(super) fn differs(stored: &StoredView<'_>, response: &ResponseView<'_>) -> bool {
    let head = stored.head;
    let (old, new) = (&head.headers, response.headers);
    if !matches!(head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return true;
    }
    if let (Some(old), Some(new)) = (old.get(header::ETAG), new.get(header::ETAG)) {
        return !conditions::weak_eq(old.as_bytes(), new.as_bytes());
    }
    let modified = |headers| freshness::last_modified(headers, response.responded_at);
    let len = |status, headers: &HeaderMap| match status {
        StatusCode::PARTIAL_CONTENT => Part::of(headers).map(|part| part.complete),
        _ => content_length(headers),
    };
    let (old_len, new_len) = (len(head.status, old), len(response.status, new));
    modified(old).zip(modified(new)).is_some_and(|(old, new)| old != new)
        || old_len.zip(new_len).is_some_and(|(old, new)| old != new)
}

/// Whether two stored responses are the same representation, byte for byte (RFC 9110 §8.8.1).
pub(super) fn same(one: &Head, other: &Head) -> bool {
    let tags = one.headers.get(header::ETAG).zip(other.headers.get(header::ETAG));
    tags.is_some_and(|(one, other)| conditions::strong_eq(one.as_bytes(), other.as_bytes()))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    range::number(headers.get(header::CONTENT_LENGTH)?.as_bytes().trim_ascii())
}
