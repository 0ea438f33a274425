//! Sizes, times and foreign text for people.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use cache_admin::{EntryInfo, State};
use humansize::BINARY;
use jiff::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(crate) fn size(bytes: u64) -> String {
    humansize::format_size(bytes, BINARY)
}

pub(crate) fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

pub(crate) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// A duration in its two or three largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = match seconds {
        0 => return humantime::format_duration(Duration::from_millis(millis(duration))).to_string(),
        1..HOUR => 1,
        HOUR..DAY => MINUTE,
        _ if seconds < 30 * DAY => HOUR,
        _ => DAY,
    };
    humantime::format_duration(Duration::from_secs(seconds - seconds % unit)).to_string()
}

/// A duration in its largest unit, for a column.
pub(crate) fn brief(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..MINUTE => format!("{seconds}s"),
        seconds @ MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// An instant in RFC 3339, to the second.
pub(crate) fn time(time: SystemTime) -> String {
    match Timestamp::try_from(time) {
        Ok(time) => format!("{time:.0}"),
        Err(_) => "never".to_owned(),
    }
}

/// How long an entry is still fresh, or has been stale, for a column.
pub(crate) fn freshness(entry: &EntryInfo, now: SystemTime) -> String {
    match entry.freshness() {
        None => "-".to_owned(),
        Some(freshness) if freshness.no_cache => "no-cache".to_owned(),
        Some(freshness) if freshness.is_fresh(now) => brief(freshness.remaining(now)),
        Some(freshness) => format!("-{}", brief(freshness.stale_for(now))),
    }
}

pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Fresh => "fresh",
        State::Stale => "stale",
        State::Expired => "expired",
        State::Invalid => "invalid",
        _ => "unknown",
    }
}

/// Text out of a store, in which nothing moves a terminal's cursor.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
        return Cow::Owned(text.chars().map(escaped).collect());
    }
    Cow::Borrowed(text)
}

/// An entry's URL; its key where the head cannot be read.
pub(crate) fn url(entry: &EntryInfo) -> Cow<'_, str> {
    match entry.url() {
        Some(url) => text(url),
        None => Cow::Owned(format!("key {}", entry.key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_they_need_to_be() {
        for (seconds, long, short) in [
            (0, "0s", "0s"),
            (59, "59s", "59s"),
            (61, "1m 1s", "1m"),
            (3_661, "1h 1m", "1h"),
            (DAY + 3_661, "1day 1h", "25h"),
            (3 * DAY + 61, "3days", "3d"),
            (40 * DAY + HOUR, "1month 9days", "40d"),
        ] {
            let time = Duration::from_secs(seconds);
            assert!(duration(time).starts_with(long), "{} {long}", duration(time));
            assert_eq!(brief(time), short);
        }
        assert_eq!(duration(Duration::from_micros(12_345)), "12ms");
    }

    #[test]
    fn nothing_out_of_a_store_moves_the_cursor() {
        assert_eq!(text("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(text("grüße/%20"), "grüße/%20");
    }
}
