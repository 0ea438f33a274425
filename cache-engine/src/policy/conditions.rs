use cache_api::Head;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::age::date_value;
use super::cache_control::split;
use super::freshness::last_modified;
use super::vary::{Vary, same_account, vary};
use super::{Ask, Options, RequestView, StoredView, parse_date, part};

/// The most variants whose validators are offered at once: it bounds the size of a request.
const MAX_CANDIDATES: usize = 8;

/// Whether the request has no field that is meant for caches: no directive, no condition and no range. Most have none, and
/// looking at each field once costs less than asking for each of these.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    !headers.keys().any(|name| {
        matches!(
            *name,
            header::CACHE_CONTROL
                | header::PRAGMA
                | header::IF_MATCH
                | header::IF_NONE_MATCH
                | header::IF_MODIFIED_SINCE
                | header::IF_UNMODIFIED_SINCE
                | header::IF_RANGE
                | header::RANGE
        )
    })
}

/// Whether the request has conditions that a cache must leave to the origin (RFC 9111 §4.3.2).
pub(super) fn for_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Whether the request has conditions or a range of its own.
pub(super) fn callers(headers: &HeaderMap) -> bool {
    for_origin(headers)
        || [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE]
            .iter()
            .any(|name| headers.contains_key(name))
}

/// Whether the caller's conditions are answered with 304 by this response (RFC 9111 §4.3.2).
pub(super) fn not_modified(request: &HeaderMap, stored: &Head) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        // RFC 9110 §13.1.3: If-Modified-Since does not count beside it.
        return tags(request).any(|tag| {
            tag == b"*" || stored.headers.get(header::ETAG).is_some_and(|etag| weak_eq(tag, etag.as_bytes()))
        });
    }
    let mut lines = request.get_all(header::IF_MODIFIED_SINCE).iter();
    let (Some(since), None) = (lines.next(), lines.next()) else { return false };
    let Some(since) = parse_date(since.as_bytes(), stored.responded_at) else { return false };
    // Without Last-Modified, Date stands for it, and without that the time of arrival.
    let modified = last_modified(&stored.headers, stored.responded_at)
        .unwrap_or_else(|| date_value(&stored.headers, stored.responded_at));
    modified <= since
}

/// What the origin is asked in order to validate the selected response (RFC 9111 §4.3.1).
///
/// Without conditions in it there is nothing to validate by, or the caller's conditions stand in the way: what
/// goes out is the caller's request alone.
pub(super) fn validating(request: &RequestView<'_>, index: usize, stored: &Head, whole: bool) -> Ask {
    let mut ask = Ask { selected: Some(index), coalesce: true, whole, ..Ask::default() };
    let theirs = !whole && request.headers.contains_key(header::IF_NONE_MATCH);
    // RFC 9110 §8.8.1: that a part is still a part of the same, a strong validator alone can say.
    let usable = |etag: &&HeaderValue| match part::is_part(stored) {
        true => is_strong(etag.as_bytes()),
        false => !etag.is_empty(),
    };
    let etag = stored.headers.get(header::ETAG).filter(usable);
    let dated = !part::is_part(stored) && last_modified(&stored.headers, stored.responded_at).is_some();
    let modified = stored.headers.get(header::LAST_MODIFIED).filter(|_| dated);
    match (etag, modified) {
        (Some(etag), modified) => {
            // Both the caller's tags and ours: the tag of a 304 tells which of them it is about.
            let merged = if theirs { merge(request.headers, etag) } else { Some(etag.clone()) };
            let Some(merged) = merged else { return ask };
            ask.conditions.insert(header::IF_NONE_MATCH, merged);
            if let Some(modified) = modified.filter(|_| !theirs) {
                ask.conditions.insert(header::IF_MODIFIED_SINCE, modified.clone());
            }
        }
        // The caller's If-None-Match would make the origin ignore our If-Modified-Since.
        (None, Some(modified)) if !theirs => {
            ask.conditions.insert(header::IF_MODIFIED_SINCE, modified.clone());
        }
        _ => return ask,
    }
    ask.candidates.push(index);
    ask
}

/// What the origin is asked where other variants are stored: whether one of them would do (RFC 9111 §4.3.1).
pub(super) fn among_variants(request: &RequestView<'_>, stored: &[StoredView<'_>], options: &Options) -> Ask {
    let mut ask = Ask { coalesce: true, ..Ask::default() };
    if callers(request.headers) {
        return ask;
    }
    let mut offered: Vec<(usize, &HeaderValue)> = stored
        .iter()
        .enumerate()
        .filter(|(_, each)| each.head.method == Method::GET && each.head.status == StatusCode::OK)
        .filter(|(_, each)| offerable(request, each.head, options))
        .filter_map(|(index, each)| {
            each.head
                .headers
                .get(header::ETAG)
                .filter(|etag| is_strong(etag.as_bytes()))
                .map(|etag| (index, etag))
        })
        .collect();
    offered
        .sort_by_key(|(index, _)| std::cmp::Reverse(stored.get(*index).map(|each| each.head.responded_at)));
    offered.truncate(MAX_CANDIDATES);
    let joined = offered.iter().map(|(_, etag)| etag.as_bytes()).collect::<Vec<_>>().join(&b", "[..]);
    if let Some(value) = HeaderValue::from_bytes(&joined).ok().filter(|value| !value.is_empty()) {
        ask.conditions.insert(header::IF_NONE_MATCH, value);
        ask.candidates = offered.into_iter().map(|(index, _)| index).collect();
    }
    ask
}

/// Whether another variant's tag may be offered. Not where it varies on a redacted field, nor where it was another
/// account's: that tags differ from account to account would have to be trusted.
fn offerable(request: &RequestView<'_>, head: &Head, options: &Options) -> bool {
    let redacted = match vary(&head.headers) {
        Vary::Star => true,
        Vary::Fields(names) => names.iter().any(|name| options.redactor.ignores_header(name)),
    };
    !redacted && same_account(request, head)
}

/// The tags of the caller's `If-None-Match`.
pub(super) fn tags(request: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    request.get_all(header::IF_NONE_MATCH).iter().flat_map(|line| split(line.as_bytes()))
}

/// RFC 9110 §8.8.3.2.
pub(super) fn weak_eq(a: &[u8], b: &[u8]) -> bool {
    opaque(a) == opaque(b)
}

/// RFC 9110 §8.8.3.2.
pub(super) fn strong_eq(a: &[u8], b: &[u8]) -> bool {
    is_strong(a) && a == b
}

/// A quoted tag without the weakness mark.
pub(super) fn is_strong(tag: &[u8]) -> bool {
    tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"")
}

fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn merge(request: &HeaderMap, etag: &HeaderValue) -> Option<HeaderValue> {
    let mut merged = etag.as_bytes().to_vec();
    for tag in tags(request).filter(|tag| *tag != etag.as_bytes()) {
        // "*" cannot stand in a list; it asks for any, and is the origin's to judge.
        if tag == b"*" {
            return None;
        }
        merged.extend_from_slice(b", ");
        merged.extend_from_slice(tag);
    }
    HeaderValue::from_bytes(&merged).ok()
}
