use std::time::Duration;

use cache_api::Head;
use http::{HeaderMap, header};

use super::age::since;
use super::conditions::strong_eq;
use super::freshness::last_modified;
use super::parse_date;

/// Bytes of a complete body, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte; never before the first.
    pub last: u64,
    /// The length of the complete body.
    pub complete: u64,
    /// Where the first byte lies in what is stored: elsewhere than in the complete body where that is a part.
    pub at: u64,
}

/// What a request's `Range` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// No range, one that cannot be read, or several: the whole is served (RFC 9110 §14.2 allows it).
    Whole,
    Part(ByteRange),
    Unsatisfiable,
}

/// A single range as it is asked for (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// From one byte to another, never before it.
    Between(u64, u64),
    /// From a byte to the end.
    From(u64),
    /// The last so many bytes.
    Last(u64),
}

impl ByteRange {
    /// How many bytes it holds.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Some bytes of a body that is stored whole.
    const fn of_whole(first: u64, last: u64, complete: u64) -> Self {
        Self { first, last, complete, at: first }
    }
}

/// The range that a request asks of a stored response; `None` for none that can be read, several, or one that
/// does not count (RFC 9110 §14.1, §13.1.5).
pub(super) fn asked(request: &HeaderMap, stored: &Head) -> Option<Spec> {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(range), None) = (lines.next(), lines.next()) else { return None };
    parse(range.as_bytes()).filter(|_| if_range(request, stored))
}

/// The part of a complete stored response that a request asks for.
pub(super) fn requested(request: &HeaderMap, stored: &Head, complete: u64) -> Ranged {
    asked(request, stored).map_or(Ranged::Whole, |spec| of_whole(spec, complete))
}

fn of_whole(spec: Spec, complete: u64) -> Ranged {
    let Some(end) = complete.checked_sub(1) else {
        // An empty body has no byte that a range could name.
        return if matches!(spec, Spec::Last(1..)) { Ranged::Whole } else { Ranged::Unsatisfiable };
    };
    let (first, last) = match spec {
        Spec::Last(0) => return Ranged::Unsatisfiable,
        Spec::Last(count) => (complete.saturating_sub(count), end),
        Spec::From(first) => (first, end),
        Spec::Between(first, last) => (first, last.min(end)),
    };
    if first > end { Ranged::Unsatisfiable } else { Ranged::Part(ByteRange::of_whole(first, last, complete)) }
}

fn parse(range: &[u8]) -> Option<Spec> {
    let (unit, spec) = range.trim_ascii().split_at_checked(6)?;
    let spec = spec.trim_ascii();
    let (first, last) = spec.split_at_checked(spec.iter().position(|&byte| byte == b'-')?)?;
    let (_, last) = last.split_first()?;
    let spec = match (first.is_empty(), last.is_empty()) {
        (true, _) => Spec::Last(number(last)?),
        (false, true) => Spec::From(number(first)?),
        (false, false) => Spec::Between(number(first)?, number(last)?),
    };
    let ordered = !matches!(spec, Spec::Between(first, last) if first > last);
    (ordered && unit.eq_ignore_ascii_case(b"bytes=")).then_some(spec)
}

/// A number as HTTP writes it; one that is too large counts as the largest.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| {
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')))
        })
    })
}

/// RFC 9110 §13.1.5: the range counts only where the validator is exactly the stored one, and strong.
fn if_range(request: &HeaderMap, stored: &Head) -> bool {
    let Some(wanted) = request.get(header::IF_RANGE) else { return true };
    let wanted = wanted.as_bytes().trim_ascii();
    if let Some(etag) = stored.headers.get(header::ETAG).filter(|_| wanted.contains(&b'"')) {
        return strong_eq(wanted, etag.as_bytes());
    }
    let date =
        stored.headers.get(header::DATE).and_then(|date| parse_date(date.as_bytes(), stored.responded_at));
    let modified = last_modified(&stored.headers, stored.responded_at);
    match (parse_date(wanted, stored.responded_at), modified, date) {
        // RFC 9110 §8.8.2.2: a Last-Modified is strong when the response is at least a second younger.
        (Some(wanted), Some(modified), Some(date)) => {
            wanted == modified && since(date, modified) >= Duration::from_secs(1)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_ten_bytes() {
        let part = |first, last| Ranged::Part(ByteRange::of_whole(first, last, 10));
        let parse = |range: &str, complete| {
            parse(range.as_bytes()).map_or(Ranged::Whole, |spec| of_whole(spec, complete))
        };
        let table = [
            ("bytes=0-1", part(0, 1)),
            ("BYTES=0-1", part(0, 1)),
            ("bytes=1-", part(1, 9)),
            ("bytes=-1", part(9, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=5-99999999999999999999999", part(5, 9)),
            ("bytes=9-9", part(9, 9)),
            ("bytes=10-", Ranged::Unsatisfiable),
            ("bytes=10-12", Ranged::Unsatisfiable),
            ("bytes=-0", Ranged::Unsatisfiable),
            ("bytes=2-1", Ranged::Whole),
            ("bytes=0-1,3-4", Ranged::Whole),
            ("bytes=-", Ranged::Whole),
            ("bytes=a-b", Ranged::Whole),
            ("bytes=", Ranged::Whole),
            ("lines=0-1", Ranged::Whole),
            ("", Ranged::Whole),
        ];
        for (range, expected) in table {
            assert_eq!(parse(range, 10), expected, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(parse("bytes=-1", 0), Ranged::Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", noise: Vec<u8>, complete in 0..500_u64) {
            for text in [range.as_bytes(), &noise] {
                if let Some(Ranged::Part(part)) = parse(text).map(|spec| of_whole(spec, complete)) {
                    prop_assert!(part.first <= part.last && part.last < complete);
                    prop_assert!(part.count() <= complete);
                }
            }
        }
    }
}
