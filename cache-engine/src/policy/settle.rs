//! What the settings make of a response: until when it is fresh, and whether header fields may forbid it.

use cache_api::{Head, SetBy, Terms};
use http::{StatusCode, header};

use super::freshness::{is_heuristically_cacheable, states_lifetime};
use super::targeted::Control;
use super::{Expiry, Freshness, Options, Reason, Reasons, RequestView, Setting};

/// The terms under which a response would be stored; `None` where its header fields alone count.
///
/// `head` is the response as it would be stored, without terms. An error is the setting that keeps it out.
pub(super) fn settle(
    options: &Options,
    request: &RequestView<'_>,
    head: &Head,
    control: &Control,
) -> Result<Option<Terms>, Reason> {
    let reach = Reach::of(options, request);
    let always = always_cached_by(options, request).filter(|_| reach == Reach::Overrides);
    let fields_count = options.precedence.contains(Setting::ResponseHeaders);
    for setting in options.precedence.iter() {
        let by = match setting {
            Setting::RequestHeaders => continue,
            Setting::ResponseHeaders if states_lifetime(&head.headers, control, options) => break,
            Setting::ResponseHeaders => continue,
            Setting::Request => SetBy::Request,
            Setting::Rule => SetBy::Rule,
            Setting::Client => SetBy::Client,
        };
        let Some(expiry) = expiry_by(by, options, request, head.status) else { continue };
        let Some(until) = expiry.fresh_until(head.responded_at) else { return Err(Reason::NotStored(by)) };
        if reach == Reach::Shortens && until > Freshness::with(head, control, options).fresh_until() {
            return Ok(None);
        }
        let overrides = always.is_some() || (!fields_count && reach == Reach::Overrides);
        return Ok(Some(Terms::new(by).with_fresh_until(Some(until)).with_overrides(overrides)));
    }
    if !fields_count && reach != Reach::Shortens {
        return Err(Reason::NoExpirySet);
    }
    Ok(always.map(|by| Terms::new(by).with_overrides(true)))
}

/// What settings may do to the answer of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All that they say.
    Overrides,
    /// Say how long it is fresh, but not that it is kept although its header fields forbid that.
    Dates,
    /// Take of what its header fields allow, and add nothing.
    Shortens,
}

impl Reach {
    /// In a shared cache without a tenant an answer to `Authorization` may be reused only as far as RFC 9111 §3.5 goes, for
    /// what it opens is often open because the origin is asked each time (`must-revalidate, max-age=0`). An origin that
    /// tells users apart by a cookie says so by forbidding as often as by `private`.
    fn of(options: &Options, request: &RequestView<'_>) -> Self {
        if !options.is_shared() || options.tenant_scoped {
            Self::Overrides
        } else if request.headers.contains_key(header::AUTHORIZATION) {
            Self::Shortens
        } else if request.headers.contains_key(header::COOKIE) {
            Self::Dates
        } else {
            Self::Overrides
        }
    }
}

/// Where it is said that header fields do not forbid.
fn always_cached_by(options: &Options, request: &RequestView<'_>) -> Option<SetBy> {
    if request.controls.always_cache {
        return Some(SetBy::Request);
    }
    match options.rule.always_cache {
        Some(always) => always.then_some(SetBy::Rule),
        None => options.always_cache.then_some(SetBy::Client),
    }
}

/// What a setting says of a response with this status, if anything.
pub(super) fn expiry_by(
    by: SetBy,
    options: &Options,
    request: &RequestView<'_>,
    status: StatusCode,
) -> Option<Expiry> {
    let (expiry, negative) = match by {
        SetBy::Request => (request.controls.expiry, None),
        SetBy::Rule => (options.rule.expiry, options.rule.negative),
        _ => (options.expiry, options.negative),
    };
    let is_error = status.is_client_error() || status.is_server_error();
    let listed = options.statuses.as_ref().is_some_and(|listed| listed.contains(&status));
    let said = if is_error { negative.or(expiry.filter(|_| listed)) } else { expiry };
    let known = listed || status.is_success() || is_heuristically_cacheable(status);
    // What is not to be stored is not stored, whatever its status.
    said.filter(|_| known).or(expiry.filter(|expiry| *expiry == Expiry::DoNotStore))
}

/// The reasons, and after them the settings that had a part in how fresh a response is.
pub(super) fn with_settings(mut reasons: Reasons, freshness: &Freshness) -> Reasons {
    if let super::Source::Setting(by) = freshness.source {
        reasons = reasons.and(Reason::ExpirySet(by));
    }
    if let Some(by) = freshness.overridden {
        reasons = reasons.and(Reason::Overridden(by));
    }
    reasons
}
