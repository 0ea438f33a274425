use cache_api::Head;
use http::{HeaderMap, Method, StatusCode, header};

use super::freshness::is_heuristically_cacheable;
use super::settle::settle;
use super::targeted::{self, Control};
use super::wants::Wants;
use super::{
    CacheControl, Freshness, Options, Reason, RequestView, ResponseView, SetCookie, fields, part, vary,
};

/// A response that may be stored.
pub(super) struct Storable {
    pub(super) head: Head,
    pub(super) freshness: Freshness,
}

/// The head to store of a response, or the rule that forbids storing it (RFC 9111 §3).
pub(super) fn storable(
    options: &Options,
    request: &RequestView<'_>,
    wants: &Wants,
    response: &ResponseView<'_>,
) -> Result<Storable, Reason> {
    let control = targeted::control(response.headers, options);
    let mut headers = fields::end_to_end(response.headers);
    strip(&mut headers, &control.directives, options);
    let mut head = Head::new(
        request.method.clone(),
        target(request),
        response.status,
        headers,
        response.requested_at,
        response.responded_at,
    );
    head.version = response.version;
    let settled = settle(options, request, &head, &control);
    head.terms = settled.ok().flatten();
    judge(options, request, &head, &control)?;
    settled?;
    if wants.counting(options, request, head.terms).no_store {
        return Err(Reason::RequestNoStore);
    }
    date(&mut head);
    select_by(&mut head, options, request, &control.directives)?;
    let freshness = Freshness::with(&head, &control, options);
    // A response that nothing could be done with is not worth its room.
    if freshness.keep_until(options) <= response.responded_at {
        return Err(Reason::NotReusable);
    }
    if let Some(reason) = response.refused {
        return Err(reason);
    }
    if options.redactor.is_repeated_in(&head.headers, request.secrets) {
        return Err(Reason::SecretRepeated);
    }
    options.redactor.redact(&mut head);
    Ok(Storable { head, freshness })
}

/// Whether a response with this head may be stored, whatever the request says of it.
pub(super) fn judge(
    options: &Options,
    request: &RequestView<'_>,
    head: &Head,
    control: &Control,
) -> Result<(), Reason> {
    let (cc, status, headers) = (&control.directives, head.status, &head.headers);
    if !options.methods.contains(request.method) {
        return Err(Reason::MethodNotCacheable);
    }
    // RFC 9111 §3.3
    if status == StatusCode::PARTIAL_CONTENT && !part::is_storable(request, headers) {
        return Err(Reason::Partial);
    }
    if is_never_stored(status) {
        return Err(Reason::StatusNotStored);
    }
    if options.statuses.as_ref().is_some_and(|listed| !listed.contains(&status)) {
        return Err(Reason::StatusNotListed);
    }
    if !head.terms.is_some_and(|terms| terms.overrides) {
        // RFC 9111 §5.2.2.3: it takes the place of no-store where it is understood.
        if cc.must_understand && !is_understood(status) {
            return Err(Reason::NotUnderstood);
        }
        if cc.no_store && !cc.must_understand {
            return Err(Reason::ResponseNoStore);
        }
    }
    if options.is_shared() {
        for_several_users(options, request, headers, cc)?;
    }
    let explicit = cc.max_age.is_some()
        || cc.public
        || (cc.s_maxage.is_some() && options.is_shared())
        || (!options.is_shared() && cc.private != super::Scope::Absent)
        || headers.contains_key(header::EXPIRES)
        || head.terms.is_some_and(|terms| terms.fresh_until.is_some());
    let assumed = is_heuristically_cacheable(status) && matches!(*request.method, Method::GET | Method::HEAD);
    if !explicit && !assumed && options.fallback_for(request.method, status).is_none() {
        return Err(Reason::NoFreshness);
    }
    Ok(())
}

/// These answer conditions, ranges or a hop, not the resource.
pub(super) fn is_never_stored(status: StatusCode) -> bool {
    status.is_informational() || matches!(status.as_u16(), 304 | 407 | 412 | 416 | 417)
}

/// What holds in a shared cache alone.
fn for_several_users(
    options: &Options,
    request: &RequestView<'_>,
    headers: &HeaderMap,
    cc: &CacheControl,
) -> Result<(), Reason> {
    if cc.private.is_whole() {
        return Err(Reason::Private);
    }
    let authorized = request.headers.contains_key(header::AUTHORIZATION);
    if authorized && !options.tenant_scoped && !is_for_all(cc) {
        return Err(Reason::Authorization);
    }
    let marked = match options.set_cookie {
        SetCookie::MarkedShared => cc.public || cc.s_maxage.is_some(),
        SetCookie::Explicit => {
            cc.public || cc.s_maxage.or(cc.max_age).is_some() || headers.contains_key(header::EXPIRES)
        }
        SetCookie::Never => false,
    };
    if headers.contains_key(header::SET_COOKIE) && !marked {
        return Err(Reason::SetCookie);
    }
    Ok(())
}

/// RFC 9111 §3.5: the directives that open an authorized response to a shared cache.
fn is_for_all(cc: &CacheControl) -> bool {
    cc.must_revalidate || cc.public || cc.s_maxage.is_some()
}

/// The selectors of a response that is stored (RFC 9111 §4.1).
///
/// A private cache adds one: an authorized response that a shared cache could not store is selected by its
/// `Authorization`, so that two accounts behind one client do not see each other's answers.
pub(super) fn select_by(
    head: &mut Head,
    options: &Options,
    request: &RequestView<'_>,
    cc: &CacheControl,
) -> Result<(), Reason> {
    let Some(mut selectors) = vary::selectors(&head.headers, request, options) else {
        let star = vary::vary(&head.headers) == vary::Vary::Star;
        return Err(if star { Reason::VaryStar } else { Reason::VaryRedacted });
    };
    let name = header::AUTHORIZATION;
    if is_for_one_account(options, request, head, cc)
        && selectors.iter().all(|selector| selector.name != name)
    {
        selectors.push(vary::selector(name, request));
    }
    head.selectors = selectors;
    Ok(())
}

/// Whether a private cache adds `Authorization` to the selectors of a response.
///
/// Not where a redactor ignores the field: all requests then speak for one account. Under a setting's terms `public` alone says that it is for all: of the other directives that open it, some count on the
/// origin's being asked.
pub(super) fn is_for_one_account(
    options: &Options,
    request: &RequestView<'_>,
    head: &Head,
    cc: &CacheControl,
) -> bool {
    let for_all = if head.terms.is_some() { cc.public } else { is_for_all(cc) };
    let told_apart = !options.redactor.ignores_header(&header::AUTHORIZATION);
    !options.is_shared() && told_apart && request.headers.contains_key(header::AUTHORIZATION) && !for_all
}

/// Removes the fields that `no-cache` and, in a shared cache, `private` name: they must not be reused as they
/// are, and without them the rest can be (RFC 9111 §5.2.2.4, §5.2.2.7).
pub(super) fn strip(headers: &mut HeaderMap, cc: &CacheControl, options: &Options) {
    let private = if options.is_shared() { cc.private.fields() } else { &[] };
    for name in cc.no_cache.fields().iter().chain(private) {
        // The fields that govern the cache itself stay.
        if !matches!(*name, header::CACHE_CONTROL | header::VARY | header::DATE) {
            headers.remove(name);
        }
    }
}

/// RFC 9110 §6.6.1: a recipient with a clock dates a response that has no `Date`.
pub(super) fn date(head: &mut Head) {
    if !head.headers.contains_key(header::DATE)
        && let Ok(now) = super::format_date(head.responded_at).parse()
    {
        head.headers.insert(header::DATE, now);
    }
}

/// The target URI as it is kept: without fragment and credentials.
fn target(request: &RequestView<'_>) -> String {
    let url = request.url;
    if url.fragment().is_none() && url.username().is_empty() && url.password().is_none() {
        return url.as_str().to_owned();
    }
    super::invalidate::bare(url.clone()).into()
}

/// The statuses whose caching rules are obeyed here: those of RFC 9110, less what [`judge`] never stores.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=206 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415 | 421 | 422 | 426 | 451 | 500..=505)
}
