use http::Method;

use super::{Freshness, Options, RequestView, StoredView, vary};

/// Which stored response answers a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Selection {
    /// This one.
    Found(usize, Freshness),
    /// None: nothing is stored.
    Empty,
    /// None: what is stored was selected by other request fields.
    Vary,
    /// None: what is stored answers another method.
    Method,
}

/// RFC 9111 §4, §4.1: of the responses that match, the one with the most recent `Date`.
pub(super) fn select(options: &Options, request: &RequestView<'_>, stored: &[StoredView<'_>]) -> Selection {
    let mut best: Option<(usize, Freshness)> = None;
    let mut missed = Selection::Empty;
    for (index, each) in stored.iter().enumerate() {
        if !answers(&each.head.method, request.method) {
            if !matches!(missed, Selection::Vary) {
                missed = Selection::Method;
            }
        } else if !vary::selects(request, each.head, options) {
            missed = Selection::Vary;
        } else {
            let freshness = each.freshness(options);
            let rank = |f: &Freshness| (f.date, f.responded_at);
            if best.as_ref().is_none_or(|(_, other)| rank(&freshness) >= rank(other)) {
                best = Some((index, freshness));
            }
        }
    }
    best.map_or(missed, |(index, freshness)| Selection::Found(index, freshness))
}

/// Whether a response to one method answers a request with another: itself, or GET a HEAD (RFC 9110 §9.3.2).
pub(super) fn answers(stored: &Method, requested: &Method) -> bool {
    stored == requested || (*stored == Method::GET && *requested == Method::HEAD)
}
