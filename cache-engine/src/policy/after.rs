use cache_api::VariantId;
use http::{Method, StatusCode, header};

use super::settle::with_settings;
use super::wants::Wants;
use super::{
    After, Ask, Freshness, Options, Outcome, Reason, Reasons, RequestView, ResponseView, StoredView,
    conditions, freshen, invalidate, part, post, stale, store, variant_id, vary,
};

/// What becomes of the origin's answer (RFC 9111 §3, §4.3.3 to §4.4).
///
/// `ask` is what [`super::before`] said to ask, and `stored` are the responses it was asked about.
#[must_use]
pub fn after(
    options: &Options,
    request: &RequestView<'_>,
    ask: &Ask,
    stored: &[StoredView<'_>],
    response: &ResponseView<'_>,
) -> After {
    let mut after = judged(options, request, ask, stored, response);
    if options.keep_out_writes(&request.controls) {
        return after.unwritten();
    }
    after.invalidates = invalidate::invalidates(request, response);
    after
}

fn judged(
    options: &Options,
    request: &RequestView<'_>,
    ask: &Ask,
    stored: &[StoredView<'_>],
    response: &ResponseView<'_>,
) -> After {
    if request.controls.bypass {
        return pass(Reason::Bypass);
    }
    if !options.methods.contains(request.method) {
        return match post::for_gets(options, request, response) {
            Some(new) => stored_as(options, new, Reason::PostReused),
            None => pass(Reason::MethodNotCacheable),
        };
    }
    let wants = Wants::of(request);
    let answer = Answer { options, request, wants, ask, stored, response };
    if response.status == StatusCode::NOT_MODIFIED {
        return answer.not_modified();
    }
    // RFC 9111 §4.3.3, RFC 5861 §4: an error to a validation may be taken for no answer.
    if options.stale_if_error_statuses.contains(&response.status)
        && let Ok((index, form, freshness)) =
            stale::instead(options, request, &answer.wants, ask, stored, response.responded_at)
    {
        let age = freshness.age(response.responded_at);
        let outcome = Outcome::ServeStale { index, form, age };
        return done(outcome, Reason::StaleIfError, Some(freshness));
    }
    if *request.method == Method::HEAD
        && let Some(index) = ask.selected
        && let Some(view) = stored.get(index).filter(|view| view.head.method == Method::GET)
    {
        return answer.to_head(index, view);
    }
    answer.full()
}

/// An answer and all that is needed to judge it.
struct Answer<'a> {
    options: &'a Options,
    request: &'a RequestView<'a>,
    wants: Wants,
    ask: &'a Ask,
    stored: &'a [StoredView<'a>],
    response: &'a ResponseView<'a>,
}

impl Answer<'_> {
    /// RFC 9111 §4.3.4.
    fn not_modified(&self) -> After {
        // The conditions were the caller's alone, and so is the answer.
        if self.ask.candidates.is_empty() {
            return pass(Reason::CallersCondition);
        }
        let named = freshen::named(self.request, self.ask, self.stored, self.response);
        if let Some((index, view)) = named.and_then(|index| Some((index, self.stored.get(index)?))) {
            return self.freshened(index, view, Reason::Validated);
        }
        let etag = self.response.headers.get(header::ETAG);
        let callers = !self.ask.whole
            && etag.is_some_and(|etag| {
                conditions::tags(self.request.headers).any(|tag| conditions::weak_eq(tag, etag.as_bytes()))
            });
        if callers {
            // What the caller has is current, so what is stored is not.
            return After {
                forget: self.ask.selected.into_iter().collect(),
                ..pass(Reason::CallersCondition)
            };
        }
        done(Outcome::Refetch, Reason::NoMatchFor304, None)
    }

    /// RFC 9111 §4.3.5: a HEAD updates the stored response to a GET, or shows it to be outdated.
    fn to_head(&self, index: usize, view: &StoredView<'_>) -> After {
        if self.response.status.is_success() && freshen::head_agrees(view, self.response) {
            return self.freshened(index, view, Reason::HeadUpdate);
        }
        if !self.is_definitive() {
            return pass(Reason::StatusNotStored);
        }
        let mut full = self.full();
        full.reasons = full.reasons.and(Reason::HeadMismatch);
        if !full.forget.contains(&index) {
            full.forget.push(index);
        }
        full
    }

    fn freshened(&self, index: usize, view: &StoredView<'_>, reason: Reason) -> After {
        match freshen::freshen(self.options, self.request, &self.wants, index, view, self.response) {
            Some((outcome, freshness)) => done(outcome, reason, Some(freshness)),
            None => done(Outcome::Refetch, Reason::PartOnly, None),
        }
    }

    /// A response of its own: stored or not, it takes the place of what was stored (RFC 9111 §4.3.3).
    fn full(&self) -> After {
        match store::storable(self.options, self.request, &self.wants, self.response) {
            Ok(new) => {
                let id = variant_id(&new.head);
                let forget = self.outdated(Some(id));
                After { forget, ..stored_as(self.options, new, Reason::Stored) }
            }
            // The request keeps its answer out of the store; that is no word on what is in it.
            Err(reason @ Reason::RequestNoStore) => pass(reason),
            Err(reason) => After { forget: self.outdated(None), ..pass(reason) },
        }
    }

    /// What the answer shows to be outdated, of that which would answer this request and of the parts beside it.
    /// Stored, it takes the place of its namesake by itself.
    fn outdated(&self, stored: Option<VariantId>) -> Vec<usize> {
        let part = |view: &StoredView<'_>| {
            part::is_part(view.head) && vary::selects(self.request, view.head, self.options)
        };
        let outdated = |index: usize, view: &StoredView<'_>| {
            let is_part = part(view);
            let concerned = is_part || self.ask.selected == Some(index);
            // A part may be one of what is stored; a HEAD tells of the same representation.
            let compared = self.response.status == StatusCode::PARTIAL_CONTENT
                || (is_part && *self.request.method == Method::HEAD && self.response.status.is_success());
            concerned
                && stored.is_none_or(|stored| variant_id(view.head) != stored)
                && match compared {
                    true => part::differs(view, self.response),
                    false => self.is_definitive() || (stored.is_some() && !is_part),
                }
        };
        let all = self.stored.iter().enumerate();
        all.filter(|(index, view)| outdated(*index, view)).map(|(index, _)| index).collect()
    }

    /// Whether the answer tells what the resource is now, rather than that this request failed.
    fn is_definitive(&self) -> bool {
        let status = self.response.status;
        status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 410)
    }
}

fn stored_as(options: &Options, new: store::Storable, reason: Reason) -> After {
    let keep_until = new.freshness.keep_until(options);
    let outcome = Outcome::Store { head: Box::new(new.head), keep_until };
    done(outcome, reason, Some(new.freshness))
}

fn pass(reason: Reason) -> After {
    done(Outcome::Pass, reason, None)
}

fn done(outcome: Outcome, reason: Reason, freshness: Option<Freshness>) -> After {
    let mut reasons = Reasons::one(reason);
    if let Some(freshness) = &freshness {
        reasons = with_settings(reasons, freshness);
    }
    After { outcome, reasons, forget: Vec::new(), invalidates: Vec::new(), freshness }
}
