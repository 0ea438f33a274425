use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use super::cache_control::delta_seconds;
use super::parse_date;

/// `Date`, or when the response arrived where it has none that is valid (RFC 9110 §6.6.1).
pub(super) fn date_value(headers: &HeaderMap, responded_at: SystemTime) -> SystemTime {
    headers
        .get(header::DATE)
        .and_then(|date| parse_date(date.as_bytes(), responded_at))
        .unwrap_or(responded_at)
}

/// `corrected_initial_age` (RFC 9111 §4.2.3).
pub(super) fn corrected_initial_age(
    headers: &HeaderMap,
    date: SystemTime,
    requested_at: SystemTime,
    responded_at: SystemTime,
) -> Duration {
    let response_delay = since(responded_at, requested_at);
    let corrected = age_value(headers).saturating_add(response_delay);
    // `Date` has whole seconds: the fraction of the arrival is no age.
    let apparent = Duration::from_secs(since(responded_at, date).as_secs());
    apparent.max(corrected)
}

/// The time from `earlier` to `later`; zero where the clock went back.
pub(super) fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

/// `time` and `more`, or `time` alone where the sum cannot be said.
pub(super) fn plus(time: SystemTime, more: Duration) -> SystemTime {
    time.checked_add(more).unwrap_or(time)
}

/// RFC 9111 §5.1: of several values the first counts, and one that is no number is ignored.
fn age_value(headers: &HeaderMap) -> Duration {
    let first = headers.get(header::AGE).map_or(&b""[..], |age| age.as_bytes());
    let first = first.split(|&byte| matches!(byte, b',' | b';')).next().unwrap_or_default();
    delta_seconds(first.trim_ascii()).unwrap_or_default()
}
