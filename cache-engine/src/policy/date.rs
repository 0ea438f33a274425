use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 24 * 60 * 60;
const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const WEEKDAYS: [&[u8]; 7] =
    [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];
/// 9999-12-31T23:59:59Z, the last second that the format can say.
const LAST: u64 = 253_402_300_799;

/// Reads an HTTP date in any of its three forms (RFC 9110 §5.6.7); `None` where it is none.
///
/// Case does not matter (RFC 9111 §4.2) and the weekday is not checked against the date. A two-digit year that
/// would lie more than 50 years after `now` is one of the century before.
#[must_use]
pub fn parse_date(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    let value = value.trim_ascii();
    parse_full(value).or_else(|| rfc850(value, now))
}

/// The same without the form whose year has two digits.
pub(super) fn parse_full(value: &[u8]) -> Option<SystemTime> {
    let value = value.trim_ascii();
    imf(value).or_else(|| asctime(value))
}

/// Writes a date as an IMF-fixdate. Times before 1970 or after 9999 are written as the nearest that can be.
#[must_use]
pub fn format_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf(value: &[u8]) -> Option<SystemTime> {
    let mut parts = value.split(|&byte| byte == b' ');
    let weekday = parts.next()?.strip_suffix(b",")?;
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (clock, zone) = (parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && is_short_weekday(weekday) && zone.eq_ignore_ascii_case(b"GMT");
    whole.then_some(())?;
    civil(number(year, 4)?, month_of(month)?, number(day, 2)?, clock_of(clock)?)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    let mut parts = value.split(|&byte| byte == b' ');
    let weekday = parts.next()?.strip_suffix(b",")?;
    let mut date = parts.next()?.split(|&byte| byte == b'-');
    let (clock, zone) = (parts.next()?, parts.next()?);
    let (day, month, year) = (number(date.next()?, 2)?, month_of(date.next()?)?, number(date.next()?, 2)?);
    let long = WEEKDAYS.iter().any(|known| weekday.eq_ignore_ascii_case(known));
    let whole = parts.next().is_none() && date.next().is_none() && long && zone.eq_ignore_ascii_case(b"GMT");
    whole.then_some(())?;
    let clock = clock_of(clock)?;
    let horizon = now.checked_add(Duration::from_secs(50 * 31_556_952))?;
    // RFC 9110 §5.6.7: the latest century that does not lie more than 50 years ahead.
    let mut century = 2000;
    while civil(century + 100 + year, month, day, clock).is_some_and(|next| next <= horizon) {
        century += 100;
    }
    match civil(century + year, month, day, clock) {
        Some(time) if time > horizon => civil(century - 100 + year, month, day, clock),
        other => other,
    }
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<SystemTime> {
    let (weekday, rest) = value.split_at_checked(3)?;
    let (month, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let (day, rest) = rest.strip_prefix(b" ")?.split_at_checked(2)?;
    let (clock, year) = rest.strip_prefix(b" ")?.split_at_checked(8)?;
    let day = match day {
        [b' ', digit] => number(std::slice::from_ref(digit), 1)?,
        _ => number(day, 2)?,
    };
    is_short_weekday(weekday).then_some(())?;
    civil(number(year.strip_prefix(b" ")?, 4)?, month_of(month)?, day, clock_of(clock)?)
}

fn is_short_weekday(name: &[u8]) -> bool {
    WEEKDAYS.iter().any(|known| known.get(..3).is_some_and(|short| name.eq_ignore_ascii_case(short)))
}

fn month_of(name: &[u8]) -> Option<i64> {
    MONTHS.iter().zip(1..).find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, month)| month)
}

/// `08:49:37` as seconds of the day; a leap second is the one before it and one more.
fn clock_of(clock: &[u8]) -> Option<i64> {
    let mut parts = clock.split(|&byte| byte == b':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    valid.then_some(hour * 3600 + minute * 60 + second)
}

fn number(digits: &[u8], len: usize) -> Option<i64> {
    (digits.len() == len && digits.iter().all(u8::is_ascii_digit))
        .then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit.wrapping_sub(b'0'))))
}

fn civil(year: i64, month: i64, day: i64, second: i64) -> Option<SystemTime> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=length).contains(&day).then_some(())?;
    // Days since 1970 in the proleptic Gregorian calendar, the year beginning in March (Hinnant).
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * DAY + second;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn forms() {
        let now = at(1_790_000_000); // 2026
        let table: &[(&str, Option<u64>)] = &[
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("SUN, 06 NOV 1994 08:49:37 gMT", Some(784_111_777)),
            // The weekday is wrong, the date is not.
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Sun, 21 Nov 2286 04:46:39 GMT", Some(10_000_039_599)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST)),
            ("Thursday, 18-Aug-50 02:01:18 GMT", Some(2_544_400_878)),
            // More than 50 years ahead: the century before.
            ("Monday, 01-Jan-90 00:00:00 GMT", Some(631_152_000)),
            ("0", None),
            ("", None),
            ("Thu, 18 Aug 50 02:01:18 GMT", None),
            ("Thu 18 Aug 2050 02:01:18 GMT", None),
            ("Thu, 18  Aug  2050 02:01:18 GMT", None),
            ("Thu, 18-Aug-2050 02:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02.01.18 GMT", None),
            ("Thu, 18 Aug 2050 2:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02:01:18 UTC", None),
            ("Thu, 18 Aug 2050 02:01:18 AEST", None),
            ("Wed, 29 Feb 2023 00:00:00 GMT", None),
            ("Wed, 31 Apr 2023 00:00:00 GMT", None),
            ("Wed, 00 Apr 2023 00:00:00 GMT", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_date(text.as_bytes(), now), expected.map(at), "{text}");
        }
        // The same two digits, read later.
        assert_eq!(
            parse_date(b"Friday, 01-Jan-77 00:00:00 GMT", at(1_900_000_000)).map(format_date).as_deref(),
            Some("Fri, 01 Jan 2077 00:00:00 GMT"),
        );
    }

    #[test]
    fn formatting_is_total() {
        let far = UNIX_EPOCH + Duration::from_secs(i64::MAX as u64 / 2);
        assert_eq!(format_date(far), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(format_date(UNIX_EPOCH - Duration::from_secs(5)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn never_panics(value: Vec<u8>, text in "[A-Za-z0-9,: -]{0,40}", now in 0..LAST) {
            let _ = parse_date(&value, at(now));
            let _ = parse_date(text.as_bytes(), at(now));
        }

        #[test]
        fn reads_what_it_writes(seconds in 0..=LAST) {
            prop_assert_eq!(parse_date(format_date(at(seconds)).as_bytes(), at(0)), Some(at(seconds)));
        }
    }
}
