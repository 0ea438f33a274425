//! Lifetimes that begin anew with each use.

use std::time::{Duration, SystemTime};

use cache_api::{Head, Terms};

use super::age::{plus, since};
use super::settle::expiry_by;
use super::{Expiry, Freshness, InvalidSetting, Options, RequestView, Setting, targeted};

/// In how many steps at most an end moves by one lifetime: what is used all the time is written ten times in it.
const STEPS: u32 = 10;

/// That a lifetime which a setting gave begins anew each time a fresh response is used ([`Options::sliding`]).
///
/// ```
/// use std::time::Duration;
/// use cache_engine::policy::{Expiry, Options, Sliding};
///
/// // Ten minutes after its last use, and after a day in any case.
/// let sliding = Sliding::new().max_age(Duration::from_secs(86_400));
/// let options = Options::new().ttl(Expiry::after_secs(600)).sliding(sliding);
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sliding {
    /// How long after its arrival a response goes stale however often it is used. Default: no limit.
    pub max_age: Option<Duration>,
}

impl Sliding {
    /// Without a limit.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_age: None }
    }

    /// Sets [`Sliding::max_age`].
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }
}

/// The head of a response that is fresh and was used now, with a later end of its freshness, and until when it is kept;
/// `None` where the end stays, or would move by less than a tenth of the lifetime.
///
/// What slides is the lifetime of the setting that dated the response, as it is set for this request; what header fields
/// dated, or a setting that names an instant, does not.
#[must_use]
pub fn slide(
    options: &Options,
    request: &RequestView<'_>,
    head: &Head,
    now: SystemTime,
) -> Option<(Head, SystemTime)> {
    let sliding = options.sliding.filter(|_| !request.controls.no_store)?;
    let terms = head.terms?;
    let until = terms.fresh_until.filter(|until| *until > now)?;
    let expiry = expiry_by(terms.by, options, request, head.status)?;
    let Expiry::After(lifetime) = expiry else { return None };
    let last = sliding.max_age.map(|age| plus(head.responded_at, age));
    let end = expiry.fresh_until(now)?;
    let end = last.map_or(end, |last| end.min(last));
    let is_worth_it = |end| !since(end, until).is_zero() && since(end, until) >= lifetime / STEPS;
    if !is_worth_it(end) {
        return None;
    }
    let end = fields_allow(options, head, terms).map_or(end, |bound| end.min(bound));
    if !is_worth_it(end) {
        return None;
    }
    let mut slid = head.clone();
    slid.terms = Some(terms.with_fresh_until(Some(end)));
    let keep_until = Freshness::of(&slid, options).keep_until(options);
    Some((slid, keep_until))
}

/// Until when header fields allow reuse, where that binds settings too: what a shared cache may have stored for a request
/// with `Authorization` (RFC 9111 §3.5) is only shortened by them.
fn fields_allow(options: &Options, head: &Head, terms: Terms) -> Option<SystemTime> {
    if !options.is_shared() || options.tenant_scoped || terms.overrides {
        return None;
    }
    let control = targeted::control(&head.headers, options);
    let cc = &control.directives;
    if !cc.public && !cc.must_revalidate && cc.s_maxage.is_none() {
        return None;
    }
    let mut plain = head.clone();
    plain.terms = None;
    Some(Freshness::with(&plain, &control, options).fresh_until())
}

/// Whether anything can slide, and nothing contradicts it.
pub(super) fn check(options: &Options) -> Result<(), InvalidSetting> {
    let Some(sliding) = options.sliding else { return Ok(()) };
    let problem = if sliding.max_age.is_some_and(|age| age.is_zero()) {
        "its limit is zero: nothing would be fresh"
    } else if options.ttl_jitter > 0.0 {
        "`ttl_jitter` shortens a lifetime by when the response arrived, and a sliding one does not count from there"
    } else if options.expiry.is_some_and(|expiry| !matches!(expiry, Expiry::After(_))) {
        "`expiry` is not a time after arrival: there is no lifetime that could begin anew"
    } else if ![Setting::Request, Setting::Rule, Setting::Client]
        .into_iter()
        .any(|setting| options.precedence.contains(setting))
    {
        "the order of precedence has no setting in it, and what header fields say does not slide"
    } else {
        return Ok(());
    };
    Err(InvalidSetting::new("sliding", problem))
}
