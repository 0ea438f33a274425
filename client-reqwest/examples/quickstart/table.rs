//! How the cache handled each request, as a table.

use client_reqwest::{ResponseExt, Source};
use comfy_table::{ContentArrangement, Table, presets};

/// One request.
pub(crate) struct Row([String; 6]);

impl Row {
    pub(crate) fn of(asked: &str, response: &reqwest::Response) -> Self {
        let mut url = asked.to_owned();
        if !asked.starts_with(response.url().as_str().trim_end_matches('/')) {
            url += &format!("\n→ {}", response.url());
        }
        let status = response.status().as_u16().to_string();
        let Some(info) = response.cache_info() else {
            return Self([url, status, "the wire".into(), String::new(), String::new(), String::new()]);
        };
        let from = match info.source {
            Source::Origin if info.stored => "origin, stored now",
            Source::Origin => "origin",
            Source::Store => "the cache",
            Source::Revalidated => "the cache, after a 304",
            Source::Stale => "the cache, stale",
            _ => "nowhere",
        };
        let age = info.age.map(|age| span(age.as_secs())).unwrap_or_default();
        let left = match info.ttl {
            Some(ttl) if ttl < 0 => format!("stale for {}", span(ttl.unsigned_abs())),
            Some(ttl) => span(ttl.unsigned_abs()),
            None => String::new(),
        };
        let mut why = info.reasons.to_string();
        if let Some(forward) = info.forward {
            why += &format!("\nasked for: {forward} (RFC 9211 §2.2)");
        }
        Self([url, status, from.into(), age, left, why])
    }

    pub(crate) fn failed(asked: &str, why: String) -> Self {
        Self([asked.into(), "failed".into(), String::new(), String::new(), String::new(), why])
    }
}

pub(crate) fn of(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["request", "status", "came from", "age", "fresh for", "why"]);
    for Row(cells) in rows {
        table.add_row(cells);
    }
    table
}

/// A time in its two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes, seconds) =
        (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
