//! [`CacheControl`], and the targeted fields that stand for it: lifetimes are bounded and restrictions stay.

use std::time::Duration;

use cache_api::Head;
use cache_engine::policy::{CacheControl, Freshness, Options};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::message::start;

const LONGEST: Duration = Duration::from_secs(1 << 31);
const TARGETED: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Reads each line of the text as a line of the field.
pub fn run(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let parsed = CacheControl::parse(lines.iter().copied());
    for lifetime in [parsed.max_age, parsed.s_maxage, parsed.min_fresh, parsed.stale_while_revalidate] {
        assert!(lifetime.unwrap_or_default() <= LONGEST);
    }
    let more = CacheControl::parse(lines.iter().copied().chain([&b"no-store, private"[..]]));
    assert!(more.no_store && more.private.is_whole());
    let shorter = CacheControl::parse(lines.iter().copied().chain([&b"max-age=0"[..]]));
    assert_eq!(shorter.max_age, Some(Duration::ZERO));

    let mut headers = HeaderMap::new();
    for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(TARGETED, value);
    }
    let head = Head::new(Method::GET, "https://a.example/", StatusCode::OK, headers, start(), start());
    let freshness = Freshness::of(&head, &Options::new().targeted([TARGETED]));
    assert!(freshness.lifetime <= LONGEST);
}
