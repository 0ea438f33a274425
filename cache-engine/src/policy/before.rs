use std::time::{Duration, SystemTime};

use super::select::{Chosen, Found, Missed, select};
use super::settle::with_settings;
use super::wants::Wants;
use super::{
    Ask, Before, Decision, Form, Forward, Freshness, Options, Reason, Reasons, RequestView, StoredView,
    conditions, early, form, names_another_host, part,
};

/// What a request gets before the origin is asked (RFC 9111 §4).
///
/// `stored` are the responses stored for its key; the indices of the decision are theirs.
#[must_use]
pub fn before(
    options: &Options,
    request: &RequestView<'_>,
    stored: &[StoredView<'_>],
    now: SystemTime,
) -> Before {
    let wants = Wants::under(options, request);
    if request.controls.bypass {
        if options.offline {
            return unsatisfiable(options, Reason::Bypass);
        }
        return Before::bypass(Reason::Bypass, Forward::Bypass);
    }
    if names_another_host(request.headers, request.url) {
        if wants.only_if_cached {
            return unsatisfiable(options, Reason::AnotherHost);
        }
        return Before::bypass(Reason::AnotherHost, Forward::Bypass);
    }
    if !options.methods.contains(request.method) {
        if wants.only_if_cached {
            return unsatisfiable(options, Reason::MethodNotCacheable);
        }
        return Before::bypass(Reason::MethodNotCacheable, Forward::Method);
    }
    let network = Network { options, request, stored, wants };
    match select(options, request, stored) {
        Ok(Found { chosen, part }) => {
            let part = part.filter(|part| network.prefers(part, &chosen, now));
            found(&network, &part.unwrap_or(chosen), now)
        }
        Err(Missed::Empty) => network.miss(Reason::NothingStored, Forward::UriMiss),
        Err(Missed::Vary) => network.miss(Reason::VaryMismatch, Forward::VaryMiss),
        Err(Missed::Redacted) => network.miss(Reason::VaryRedacted, Forward::VaryMiss),
        Err(Missed::Method) => network.miss(Reason::MethodMismatch, Forward::Miss),
        Err(Missed::Part) => network.miss(Reason::PartOnly, Forward::Partial),
    }
}

fn found(network: &Network<'_>, &Chosen { index, freshness }: &Chosen, now: SystemTime) -> Before {
    let &Network { request, stored, options, .. } = network;
    let wants = network.wants.for_source(options, request, freshness.source);
    let network = &Network { options, request, stored, wants };
    let Some((view, form)) = stored.get(index).and_then(|view| Some((view, form::form(request, view)?)))
    else {
        return network.miss(Reason::NothingStored, Forward::UriMiss);
    };
    let age = freshness.age(now);
    let known = |decision, reasons, forward| Before {
        decision,
        reasons,
        age: Some(age),
        ttl: Some(freshness.ttl_at(age)),
        forward,
    };
    let is_part = part::is_part(view.head);
    let (reasons, forward) = match usable(options, &wants, request, &freshness, age) {
        Usable::Yes(reasons) => {
            let reasons = match form {
                Form::Range(_) if is_part => reasons.and(Reason::WithinPart),
                _ => reasons,
            };
            // What must not be asked for, or not as a whole, is not refreshed either.
            let may_refresh = reasons.first() == Reason::Fresh && !wants.only_if_cached && !is_part;
            if may_refresh
                && refreshes(options, request)
                && early::is_due(options, request, view.head, &freshness, now)
            {
                let refresh = conditions::validating(request, index, view.head, true);
                let decision = Decision::ServeEarly { index, form, refresh };
                return known(decision, reasons.and(Reason::EarlyRefresh), None);
            }
            return known(Decision::Serve { index, form }, reasons, None);
        }
        // A refresh asks for the whole; nobody did, of which a part is stored.
        Usable::WhileRefreshed if refreshes(options, request) && !wants.only_if_cached && !is_part => {
            let refresh = conditions::validating(request, index, view.head, true);
            let reasons = Reasons::one(Reason::StaleWhileRevalidate);
            return known(Decision::ServeStale { index, form, refresh }, reasons, None);
        }
        Usable::WhileRefreshed => (Reasons::one(Reason::Stale), Forward::Stale),
        Usable::No(reasons, forward) => (reasons, forward),
    };
    let mut answer = known(network.validate(index, view, reasons.first()), reasons, Some(forward));
    if wants.only_if_cached {
        answer.reasons = Reasons::one(nothing_sent(options)).and(reasons.first());
        answer.forward = None;
    }
    answer
}

/// Whether a stored response may answer a request as it is.
enum Usable {
    Yes(Reasons),
    WhileRefreshed,
    No(Reasons, Forward),
}

fn usable(
    options: &Options,
    wants: &Wants,
    request: &RequestView<'_>,
    freshness: &Freshness,
    age: Duration,
) -> Usable {
    let fresh = freshness.lifetime > age;
    let refused = if fresh { Forward::Request } else { Forward::Stale };
    let no = |reason, forward| Usable::No(Reasons::one(reason), forward);
    // RFC 9111 §4.3.2: the origin judges these on its current state.
    if !conditions::is_plain(request.headers) && conditions::for_origin(request.headers) {
        return no(Reason::OriginCondition, Forward::Request);
    }
    if wants.force && fresh_or_forced(options, freshness) {
        let reason = match options.offline {
            _ if fresh => Reason::Fresh,
            true => Reason::Offline,
            false => Reason::ForceCache,
        };
        return Usable::Yes(with_settings(Reasons::one(reason), freshness));
    }
    if let Some(reason) = wants.fetch.or(wants.validate) {
        return no(reason, refused);
    }
    // RFC 9111 §5.2.2.4
    if freshness.no_cache {
        return no(Reason::ResponseNoCache, Forward::Stale);
    }
    // RFC 8246 §2: max-age=0 is what a reload sends.
    let reload = wants.max_age == Some(Duration::ZERO);
    let immutable = reload && freshness.immutable && fresh;
    // RFC 9111 §5.2.1.1
    if wants.max_age.is_some_and(|most| (reload || age > most) && !immutable) {
        return no(Reason::RequestMaxAge, refused);
    }
    // RFC 9111 §5.2.1.3
    if wants.min_fresh.is_some_and(|least| freshness.lifetime.saturating_sub(age) < least) {
        return no(Reason::RequestMinFresh, refused);
    }
    if fresh {
        let reasons = with_settings(Reasons::one(Reason::Fresh), freshness);
        return Usable::Yes(if immutable { reasons.and(Reason::Immutable) } else { reasons });
    }
    // RFC 9111 §4.2.4
    if let Some(rule) = freshness.never_stale {
        return Usable::No(Reasons::one(Reason::Stale).and(rule), Forward::Stale);
    }
    let stale = age.saturating_sub(freshness.lifetime);
    // RFC 9111 §5.2.1.2
    if wants.max_stale.is_some_and(|most| stale <= most) {
        return Usable::Yes(Reasons::one(Reason::StaleAccepted));
    }
    // RFC 5861 §3
    if freshness.stale_while_revalidate.is_some_and(|window| stale <= window) {
        return Usable::WhileRefreshed;
    }
    no(Reason::Stale, Forward::Stale)
}

/// Whether a caller who takes whatever is stored gets this. In a shared cache without a tenant what its header fields say of
/// its reuse holds all the same: it may be open to all only because the origin is asked each time (RFC 9111 §3.5).
fn fresh_or_forced(options: &Options, freshness: &Freshness) -> bool {
    !options.is_shared() || options.tenant_scoped || freshness.may_be_stale()
}

/// A request that the store cannot answer.
struct Network<'a> {
    options: &'a Options,
    request: &'a RequestView<'a>,
    stored: &'a [StoredView<'a>],
    wants: Wants,
}

impl Network<'_> {
    /// Whether a part answers rather than a complete response. The complete one is preferred wherever it can be
    /// used, unless the part is more recent and not known to be of the same representation (RFC 9111 §4).
    fn prefers(&self, part: &Chosen, whole: &Chosen, now: SystemTime) -> bool {
        let answers = |one: &Chosen| {
            let (options, request) = (self.options, self.request);
            let wants = self.wants.for_source(options, request, one.freshness.source);
            matches!(usable(options, &wants, request, &one.freshness, one.freshness.age(now)), Usable::Yes(_))
        };
        let head = |one: &Chosen| self.stored.get(one.index).map(|view| view.head);
        let same = || head(part).zip(head(whole)).is_some_and(|(part, whole)| part::same(part, whole));
        answers(part) && (!answers(whole) || (part.is_newer(whole) && !same()))
    }

    fn miss(&self, reason: Reason, forward: Forward) -> Before {
        let reasons = self.wants.fetch.map_or(Reasons::one(reason), |asked| Reasons::one(reason).and(asked));
        if self.wants.only_if_cached {
            return unsatisfiable(self.options, reason);
        }
        let mut ask = if self.wants.fetch.is_some() || forward != Forward::VaryMiss {
            Ask::default()
        } else {
            conditions::among_variants(self.request, self.stored, self.options)
        };
        ask.coalesce = self.coalesces();
        let decision =
            if ask.candidates.is_empty() { Decision::Fetch(ask) } else { Decision::Revalidate(ask) };
        Before { decision, reasons, age: None, ttl: None, forward: Some(forward) }
    }

    fn validate(&self, index: usize, view: &StoredView<'_>, reason: Reason) -> Decision {
        if self.wants.only_if_cached {
            return Decision::Unsatisfiable;
        }
        let plain = self.wants.fetch.is_some() || reason == Reason::OriginCondition;
        let mut ask = if plain {
            Ask { selected: Some(index), ..Ask::default() }
        } else {
            conditions::validating(self.request, index, view.head, false)
        };
        ask.coalesce = self.coalesces();
        if ask.candidates.is_empty() { Decision::Fetch(ask) } else { Decision::Revalidate(ask) }
    }

    /// Whether other callers may wait for this request's answer, and this one for theirs.
    fn coalesces(&self) -> bool {
        // What is not stored is of no use to those who wait.
        !self.options.keep_out_writes(&self.request.controls)
            && !self.wants.end_to_end()
            && !conditions::callers(self.request.headers)
            && self.request.method.is_safe()
    }
}

/// Whether anything may be refreshed in the background: of what is not written to the store nobody has anything.
fn refreshes(options: &Options, request: &RequestView<'_>) -> bool {
    options.background_refresh && !options.keep_out_writes(&request.controls)
}

/// Why the origin is not asked for what the store does not have.
fn nothing_sent(options: &Options) -> Reason {
    if options.offline { Reason::Offline } else { Reason::OnlyIfCached }
}

/// RFC 9111 §5.2.1.7
fn unsatisfiable(options: &Options, reason: Reason) -> Before {
    let reasons = Reasons::one(nothing_sent(options)).and(reason);
    Before { decision: Decision::Unsatisfiable, reasons, age: None, ttl: None, forward: None }
}
