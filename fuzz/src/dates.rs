//! Dates: what is read is written and read again alike, and is what another reader makes of it.

use std::time::{Duration, SystemTime};

use cache_engine::policy::{format_date, parse_date};

use crate::message::start;

/// The last second that is written as it is: the end of 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Reads a date, now and in times far away.
pub fn run(data: &[u8]) {
    let far = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64)).unwrap_or(start());
    for now in [SystemTime::UNIX_EPOCH, start(), start() + LAST, far] {
        let Some(date) = parse_date(data, now) else { continue };
        let text = format_date(date);
        if date >= SystemTime::UNIX_EPOCH && date <= SystemTime::UNIX_EPOCH + LAST {
            assert_eq!(parse_date(text.as_bytes(), now), Some(date), "{text}");
        }
    }
    // `httpdate` has another rule for years of two digits.
    let strict = std::str::from_utf8(data).ok().filter(|text| !text.contains('-'));
    if let (Some(Ok(theirs)), Some(ours)) = (strict.map(httpdate::parse_http_date), parse_date(data, start()))
    {
        assert_eq!(theirs, ours);
    }
}
