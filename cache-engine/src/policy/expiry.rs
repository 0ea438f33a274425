use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::age::plus;
use super::cache_control::MAX_DELTA;
use super::date;

/// How long a response is fresh, as a setting says it.
///
/// ```
/// use std::time::Duration;
/// use cache_engine::policy::Expiry;
///
/// let expiry = Expiry::from(Duration::from_secs(600));
/// assert_eq!(expiry, Expiry::After(Duration::from_secs(600)));
/// let at: Expiry = "Sun, 06 Nov 1994 08:49:37 GMT".parse()?;
/// assert!(matches!(at, Expiry::At(_)));
/// # Ok::<_, cache_engine::policy::NoHttpDate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expiry {
    /// It does not go stale: it is fresh for 2^31 seconds (68 years), which is HTTP's own infinity (RFC 9111 §1.2.2). The
    /// storage's own bound on retention holds all the same.
    Never,
    /// It is not stored. What is stored already is served as before, until it goes stale.
    DoNotStore,
    /// It is stale at once, and kept so that it can be validated; without a validator it is not kept.
    AtOnce,
    /// It is fresh for this long after it arrived, whatever age it arrives with; 2^31 seconds at most.
    After(Duration),
    /// It is fresh until this instant. One that has passed is as [`Expiry::AtOnce`].
    At(SystemTime),
}

/// A text is no HTTP date whose year has four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHttpDate;

impl Expiry {
    /// Fresh for so many seconds after it arrived.
    #[must_use]
    pub const fn after_secs(seconds: u64) -> Self {
        Self::After(Duration::from_secs(seconds))
    }

    /// Until when a response is fresh that arrived then; `None` where it is not stored.
    pub(super) fn fresh_until(self, arrived: SystemTime) -> Option<SystemTime> {
        let last = plus(arrived, Duration::from_secs(MAX_DELTA));
        match self {
            Self::Never => Some(last),
            Self::DoNotStore => None,
            Self::AtOnce => Some(arrived),
            Self::After(time) => Some(arrived.checked_add(time).unwrap_or(last).min(last)),
            Self::At(instant) => Some(instant.clamp(arrived, last.max(arrived))),
        }
    }
}

impl From<Duration> for Expiry {
    fn from(time: Duration) -> Self {
        Self::After(time)
    }
}

impl From<SystemTime> for Expiry {
    fn from(instant: SystemTime) -> Self {
        Self::At(instant)
    }
}

/// Reads an HTTP date (RFC 9110 §5.6.7), as in `Expires`.
///
/// Of the obsolete forms that of RFC 850 is not read: what its two-digit year means depends on the current time, which
/// [`parse_date`](super::parse_date) takes.
impl FromStr for Expiry {
    type Err = NoHttpDate;

    fn from_str(text: &str) -> Result<Self, NoHttpDate> {
        date::parse_full(text.as_bytes()).map(Self::At).ok_or(NoHttpDate)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::DoNotStore => f.write_str("do not store"),
            Self::AtOnce => f.write_str("at once"),
            Self::After(time) => write!(f, "after {time:?}"),
            Self::At(instant) => write!(f, "at {}", super::format_date(*instant)),
        }
    }
}

impl fmt::Display for NoHttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an HTTP date with a year of four digits")
    }
}

impl std::error::Error for NoHttpDate {}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    const ARRIVED: u64 = 1_790_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn until_when_it_makes_a_response_fresh() {
        let table = [
            (Expiry::Never, Some(ARRIVED + MAX_DELTA)),
            (Expiry::DoNotStore, None),
            (Expiry::AtOnce, Some(ARRIVED)),
            (Expiry::after_secs(0), Some(ARRIVED)),
            (Expiry::after_secs(60), Some(ARRIVED + 60)),
            (Expiry::After(Duration::MAX), Some(ARRIVED + MAX_DELTA)),
            (Expiry::At(at(ARRIVED + 7)), Some(ARRIVED + 7)),
            (Expiry::At(at(7)), Some(ARRIVED)),
            (Expiry::At(at(u64::from(u32::MAX) * 1000)), Some(ARRIVED + MAX_DELTA)),
        ];
        for (expiry, until) in table {
            assert_eq!(expiry.fresh_until(at(ARRIVED)), until.map(at), "{expiry}");
        }
    }

    #[test]
    fn http_dates_are_read() {
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            (" sun, 06 nov 1994 08:49:37 gmt ", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            // What the year is depends on the current time.
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("0", None),
            ("-1", None),
            ("1994-11-06", None),
            ("", None),
        ];
        for (text, seconds) in table {
            let expected = seconds.map(|seconds| Expiry::At(at(seconds))).ok_or(NoHttpDate);
            assert_eq!(text.parse::<Expiry>(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_date_that_is_written_is_read(seconds in 0_u64..253_402_300_800) {
            prop_assert_eq!(super::super::format_date(at(seconds)).parse(), Ok(Expiry::At(at(seconds))));
        }

        #[test]
        fn it_is_never_before_the_arrival(arrived in 0_u64..u64::MAX / 4, seconds: u64) {
            if let Some(arrived) = UNIX_EPOCH.checked_add(Duration::from_secs(arrived)) {
                for expiry in [Expiry::Never, Expiry::after_secs(seconds), Expiry::At(at(seconds % (1 << 40)))] {
                    prop_assert!(expiry.fresh_until(arrived) >= Some(arrived));
                }
            }
        }
    }
}
