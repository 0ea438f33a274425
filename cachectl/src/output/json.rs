//! Entries and counts as JSON: one object a line, times in RFC 3339, durations in seconds.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use cache_admin::{EntryInfo, Progress};
use jiff::Timestamp;
use serde::Serialize;

use super::human;

/// One entry.
#[derive(Serialize)]
pub(crate) struct EntryLine<'a> {
    url: Option<&'a str>,
    method: Option<&'a str>,
    status: Option<u16>,
    state: &'static str,
    bytes: u64,
    age_seconds: Option<u64>,
    ttl_seconds: Option<i64>,
    confirmed_at: Option<String>,
    fresh_until: Option<String>,
    stored_at: Option<String>,
    dead_at: Option<String>,
    used_at: Option<String>,
    hits: Option<u64>,
    tags: Vec<String>,
    key: String,
    variant: String,
    damage: Option<String>,
}

impl<'a> EntryLine<'a> {
    pub(crate) fn of(entry: &'a EntryInfo, now: SystemTime) -> Self {
        Self {
            url: entry.url(),
            method: entry.method().map(http::Method::as_str),
            status: entry.status().map(|status| status.as_u16()),
            state: human::state(entry.state),
            bytes: entry.len,
            age_seconds: entry.age().map(|age| age.as_secs()),
            ttl_seconds: entry.freshness().map(|freshness| freshness.ttl(now)),
            confirmed_at: entry.created().and_then(instant),
            fresh_until: entry.expires().and_then(instant),
            stored_at: instant(entry.stored_at),
            dead_at: instant(entry.dead_at),
            used_at: entry.used_at.and_then(instant),
            hits: entry.hits(),
            tags: entry.tags.iter().map(ToString::to_string).collect(),
            key: entry.key.to_string(),
            variant: entry.variant.to_string(),
            damage: entry.damage().map(ToString::to_string),
        }
    }
}

/// What came of work over many entries.
#[derive(Serialize)]
pub(crate) struct ProgressLine {
    pub(crate) dry_run: bool,
    seen: u64,
    done: u64,
    bytes: u64,
    passed_over: u64,
    invalid: u64,
    unkeyed: u64,
    refused: u64,
    swept: u64,
}

impl ProgressLine {
    pub(crate) fn of(progress: &Progress, dry_run: bool) -> Self {
        let Progress { seen, done, bytes, passed_over, invalid, unkeyed, refused, swept, .. } = *progress;
        Self { dry_run, seen, done, bytes, passed_over, invalid, unkeyed, refused, swept }
    }
}

fn instant(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|time| time.to_string())
}

/// Writes a value and the end of its line.
pub(crate) fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
