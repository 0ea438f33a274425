use cache_api::Head;
use http::header;

use super::age::date_value;
use super::freshness::last_modified;
use super::{Ask, Freshness, Keep, Options, Outcome, Reason, RequestView, ResponseView, StoredView};
use super::{conditions, fields, form, part, settle::settle, store, targeted, vary, wants::Wants};

/// Which of the stored responses that were offered a 304 is about (RFC 9111 §4.3.4).
pub(super) fn named(
    request: &RequestView<'_>,
    ask: &Ask,
    stored: &[StoredView<'_>],
    response: &ResponseView<'_>,
) -> Option<usize> {
    // The selected one first, then the most recent.
    let mut offered: Vec<(usize, &Head)> =
        ask.candidates.iter().filter_map(|&index| stored.get(index).map(|each| (index, each.head))).collect();
    let recent = |head: &Head| date_value(&head.headers, head.responded_at);
    offered.sort_by_key(|(index, head)| std::cmp::Reverse((ask.selected == Some(*index), recent(head))));
    let merged = !ask.whole && request.headers.contains_key(header::IF_NONE_MATCH);
    let find =
        |same: &dyn Fn(&Head) -> bool| offered.iter().find(|(_, head)| same(head)).map(|(index, _)| *index);
    if let Some(etag) = response.headers.get(header::ETAG) {
        return find(&|head| {
            // RFC 9110 §8.8.1: the bytes of a part say nothing unless they are the same to the last.
            let eq = if part::is_part(head) { conditions::strong_eq } else { conditions::weak_eq };
            let ours = head.headers.get(header::ETAG);
            ours.is_some_and(|ours| eq(ours.as_bytes(), etag.as_bytes()))
        });
    }
    // Without a tag it may as well be about one of the caller's.
    if merged {
        return None;
    }
    if let Some(modified) = last_modified(response.headers, response.responded_at) {
        return find(&|head| last_modified(&head.headers, head.responded_at) == Some(modified));
    }
    // No validator at all: it can only be about the one that was asked about.
    match offered.as_slice() {
        [(index, _)] => Some(*index),
        _ => None,
    }
}

/// Whether the answer to a HEAD shows a stored response to a GET to be the current one (RFC 9111 §4.3.5).
pub(super) fn head_agrees(stored: &StoredView<'_>, response: &ResponseView<'_>) -> bool {
    let (old, new) = (&stored.head.headers, response.headers);
    let same_tag = match (old.get(header::ETAG), new.get(header::ETAG)) {
        (Some(old), Some(new)) => conditions::weak_eq(old.as_bytes(), new.as_bytes()),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let now = response.responded_at;
    let same_date = match (last_modified(old, now), last_modified(new, now)) {
        (old, Some(new)) => old == Some(new),
        (_, None) => true,
    };
    let length =
        |headers: &http::HeaderMap| headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok();
    let same_length = match length(new) {
        Some(new) => stored.body_len.or_else(|| length(old)).is_none_or(|old: u64| old == new),
        None => true,
    };
    response.status == stored.head.status && same_tag && same_date && same_length
}

/// The stored response under the head that the answer gives it (RFC 9111 §3.2, §4.3.4); `None` where it is a part
/// that does not answer the request under that head.
pub(super) fn freshen(
    options: &Options,
    request: &RequestView<'_>,
    wants: &Wants,
    index: usize,
    stored: &StoredView<'_>,
    response: &ResponseView<'_>,
) -> Option<(Outcome, Freshness)> {
    let mut head = stored.head.clone();
    update(&mut head, response);
    let answer = targeted::control(response.headers, options).directives;
    let control = targeted::control(&head.headers, options);
    store::strip(&mut head.headers, &control.directives, options);
    // Each answer of the origin is stored on terms of its own.
    head.terms = None;
    let settled = settle(options, request, &head, &control);
    head.terms = settled.ok().flatten();
    let overrides = head.terms.is_some_and(|terms| terms.overrides);
    let verdict = store::judge(options, request, &head, &control);
    let no_store = wants.counting(options, request, head.terms).no_store;
    // The stored variant keeps its selectors unless the answer selects by something else: it is known to be
    // right for this request, and for no other.
    let account = store::is_for_one_account(options, request, &head, &control.directives)
        && head.selectors.iter().all(|selector| selector.name != header::AUTHORIZATION);
    let reselected = account || vary::vary(&head.headers) != vary::vary(&stored.head.headers);
    let selected =
        if reselected { store::select_by(&mut head, options, request, &control.directives) } else { Ok(()) };
    let freshness = Freshness::with(&head, &control, options);
    let keep_until = freshness.keep_until(options);
    let keep = match verdict.and(selected) {
        _ if answer.no_store && !answer.must_understand && !overrides => {
            Keep::Remove(Reason::ResponseNoStore)
        }
        // These keep one caller's answer out of the store; what is there already was never that.
        Err(Reason::Authorization | Reason::SetCookie) => Keep::Untouched,
        Err(reason) => Keep::Remove(reason),
        Ok(()) if no_store || settled.is_err() => Keep::Untouched,
        Ok(()) if options.redactor.is_repeated_in(&head.headers, request.secrets) => {
            Keep::Remove(Reason::SecretRepeated)
        }
        Ok(()) if keep_until <= response.responded_at => Keep::Remove(Reason::NotReusable),
        Ok(()) => Keep::Until(keep_until),
    };
    let form = form::form(request, &StoredView::new(&head).with_body_len(stored.body_len))?;
    Some((Outcome::Freshen { index, head: Box::new(head), keep, form, reselected }, freshness))
}

/// RFC 9111 §3.2: the fields of the answer take the place of the stored ones, all lines of a field together.
fn update(head: &mut Head, response: &ResponseView<'_>) {
    let listed = fields::connection_options(response.headers);
    // An age that an earlier cache had found is over.
    head.headers.remove(header::AGE);
    head.headers.remove(header::DATE);
    for name in response.headers.keys() {
        if fields::is_hop_by_hop(name) || fields::describes_stored_body(name) || listed.contains(name) {
            continue;
        }
        head.headers.remove(name);
        for value in response.headers.get_all(name) {
            head.headers.append(name, value.clone());
        }
    }
    head.requested_at = response.requested_at;
    head.responded_at = response.responded_at;
    store::date(head);
}
