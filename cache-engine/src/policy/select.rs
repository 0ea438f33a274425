use http::Method;

use super::{Freshness, Options, RequestView, StoredView, part, vary};

/// The stored response that answers a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) chosen: Chosen,
    /// A stored part that holds what is asked for as well.
    pub(super) part: Option<Chosen>,
}

/// Why none does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missed {
    /// Nothing is stored.
    Empty,
    /// What is stored was selected by other request fields.
    Vary,
    /// What is stored was selected by a field that a redactor ignores.
    Redacted,
    /// What is stored answers another method.
    Method,
    /// Only a part is stored, and the request goes beyond it.
    Part,
}

/// One of the stored responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) index: usize,
    pub(super) freshness: Freshness,
}

/// RFC 9111 §4, §4.1: of the responses that match, the one with the most recent `Date`.
///
/// A part matches only where it holds all that is asked for (§3.3).
pub(super) fn select(
    options: &Options,
    request: &RequestView<'_>,
    stored: &[StoredView<'_>],
) -> Result<Found, Missed> {
    let (mut whole, mut partial) = (None, None);
    let mut missed = Missed::Empty;
    for (index, each) in stored.iter().enumerate() {
        if !answers(&each.head.method, request.method) {
            if matches!(missed, Missed::Empty) {
                missed = Missed::Method;
            }
        } else if !vary::selects(request, each.head, options) {
            if !matches!(missed, Missed::Part) {
                let redacted = vary::is_redacted(each.head, options);
                missed = if redacted { Missed::Redacted } else { Missed::Vary };
            }
        } else if !part::is_part(each.head) {
            keep_newest(&mut whole, Chosen { index, freshness: each.freshness(options) });
        } else if part::within(request, each).is_some() {
            keep_newest(&mut partial, Chosen { index, freshness: each.freshness(options) });
        } else {
            missed = Missed::Part;
        }
    }
    match (whole, partial) {
        (Some(chosen), part) => Ok(Found { chosen, part }),
        (None, Some(chosen)) => Ok(Found { chosen, part: None }),
        (None, None) => Err(missed),
    }
}

impl Chosen {
    /// Whether it is the more recent one.
    pub(super) fn is_newer(&self, other: &Self) -> bool {
        let rank = |each: &Self| (each.freshness.date, each.freshness.responded_at);
        rank(self) > rank(other)
    }
}

fn keep_newest(best: &mut Option<Chosen>, new: Chosen) {
    if best.as_ref().is_none_or(|best| !best.is_newer(&new)) {
        *best = Some(new);
    }
}

/// Whether a response to one method answers a request with another: itself, or GET a HEAD (RFC 9110 §9.3.2).
pub(super) fn answers(stored: &Method, requested: &Method) -> bool {
    stored == requested || (*stored == Method::GET && *requested == Method::HEAD)
}
