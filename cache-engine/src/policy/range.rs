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
}

/// What a request's `Range` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// No range, one that cannot be read, or several: the whole is served (RFC 9110 §14.2 allows it).
    Whole,
    Part(ByteRange),
    Unsatisfiable,
}

impl ByteRange {
    /// How many bytes it holds.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// The part of a stored response that a request asks for (RFC 9110 §14.1, §13.1.5).
pub(super) fn requested(request: &HeaderMap, stored: &Head, complete: u64) -> Ranged {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(range), None) = (lines.next(), lines.next()) else { return Ranged::Whole };
    if !if_range(request, stored) {
        return Ranged::Whole;
    }
    parse(range.as_bytes(), complete)
}

fn parse(range: &[u8], complete: u64) -> Ranged {
    let spec = range
        .trim_ascii()
        .split_at_checked(6)
        .filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes="))
        .map(|(_, spec)| spec.trim_ascii());
    let Some((first, last)) = spec.and_then(|spec| {
        let dash = spec.iter().position(|&byte| byte == b'-')?;
        let (first, last) = spec.split_at_checked(dash)?;
        Some((first, last.split_first()?.1))
    }) else {
        return Ranged::Whole;
    };
    let Some(end) = complete.checked_sub(1) else {
        // An empty body has no byte that a range could name.
        return if first.is_empty() { Ranged::Whole } else { Ranged::Unsatisfiable };
    };
    match (first.is_empty(), last.is_empty(), number(first), number(last)) {
        // The last n bytes.
        (true, false, _, Some(0)) => Ranged::Unsatisfiable,
        (true, false, _, Some(n)) => {
            Ranged::Part(ByteRange { first: complete.saturating_sub(n), last: end, complete })
        }
        (false, true, Some(first), _) if first <= end => {
            Ranged::Part(ByteRange { first, last: end, complete })
        }
        (false, true, Some(_), _) => Ranged::Unsatisfiable,
        (false, false, Some(first), Some(last)) if first > last => Ranged::Whole,
        (false, false, Some(first), Some(last)) if first <= end => {
            Ranged::Part(ByteRange { first, last: last.min(end), complete })
        }
        (false, false, Some(_), Some(_)) => Ranged::Unsatisfiable,
        _ => Ranged::Whole,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
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
        let part = |first, last| Ranged::Part(ByteRange { first, last, complete: 10 });
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
            assert_eq!(parse(range.as_bytes(), 10), expected, "{range}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(parse(b"bytes=-1", 0), Ranged::Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", noise: Vec<u8>, complete in 0..500_u64) {
            for text in [range.as_bytes(), &noise] {
                if let Ranged::Part(part) = parse(text, complete) {
                    prop_assert!(part.first <= part.last && part.last < complete);
                    prop_assert!(part.count() <= complete);
                }
            }
        }
    }
}
