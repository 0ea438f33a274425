use std::time::SystemTime;

use super::wants::Wants;
use super::{Ask, Form, Freshness, OnError, Options, Reason, RequestView, StoredView, form};

/// What a failure to reach the origin comes to (RFC 9111 §4.2.4, RFC 5861 §4).
///
/// Only the response that the request selects may stand in, never another variant.
#[must_use]
pub fn on_error(
    options: &Options,
    request: &RequestView<'_>,
    ask: &Ask,
    stored: &[StoredView<'_>],
    now: SystemTime,
) -> OnError {
    match instead(options, request, &Wants::of(request), ask, stored, now) {
        Ok((index, form, freshness)) => OnError::ServeStale {
            index,
            form,
            age: freshness.age(now),
            freshness,
            reason: Reason::StaleIfError,
        },
        Err(reason) => OnError::Fail(reason),
    }
}

/// The stored response that may stand in for a failing origin.
pub(super) fn instead(
    options: &Options,
    request: &RequestView<'_>,
    wants: &Wants,
    ask: &Ask,
    stored: &[StoredView<'_>],
    now: SystemTime,
) -> Result<(usize, Form, Freshness), Reason> {
    let index = ask.selected.ok_or(Reason::NoStaleAllowed)?;
    let view = stored.get(index).ok_or(Reason::NoStaleAllowed)?;
    let form = form::form(request, view).ok_or(Reason::NoStaleAllowed)?;
    let freshness = view.freshness(options);
    let wants = wants.for_source(options, request, freshness.source);
    // The request will have nothing that is not validated.
    if let Some(reason) = wants.fetch.or(wants.validate) {
        return Err(reason);
    }
    if super::conditions::for_origin(request.headers) {
        return Err(Reason::OriginCondition);
    }
    let age = freshness.age(now);
    if wants.max_age.is_some_and(|most| age > most) {
        return Err(Reason::RequestMaxAge);
    }
    if freshness.no_cache {
        return Err(Reason::ResponseNoCache);
    }
    let stale = freshness.stale_for(now);
    // RFC 9111 §4.2.4
    if let Some(rule) = freshness.never_stale.filter(|_| !freshness.is_fresh(now)) {
        return Err(rule);
    }
    // The caller's own window stands for all others; otherwise the widest that someone allows.
    let widest = freshness.stale_if_error.max(wants.stale_if_error).max(options.stale_if_error);
    match request.controls.stale_if_error.or(widest) {
        None if !freshness.is_fresh(now) => Err(Reason::NoStaleAllowed),
        Some(window) if stale > window => Err(Reason::StaleTooLong),
        _ => Ok((index, form, freshness)),
    }
}
