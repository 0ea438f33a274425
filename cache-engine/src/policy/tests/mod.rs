//! The policy as tables: request, stored, now → decision; one file for each part of the RFCs.

mod attacks;
mod directives;
mod early;
mod faults;
mod freshness;
mod invalidation;
mod listed;
mod modes;
mod overrides;
mod parts;
mod posts;
mod precedence;
mod ranges;
mod selection;
mod stale;
mod storing;
mod targeted;
mod validation;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_api::Head;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use super::*;

const KEY: [u8; 32] = [7; 32];

/// The instant at which everything stored arrived: 2026-09-21, on a whole second.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { start() - distance } else { start() + distance }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Fields written as `Name: value | Name: value`; `@-60` is the date a minute before the start.
fn fields(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in text.split(" | ").filter(|field| !field.trim().is_empty()) {
        let (name, value) = field.split_once(':').unwrap();
        let value = value.trim();
        let value = match value.strip_prefix('@') {
            Some(offset) => format_date(at(offset.parse().unwrap())),
            None => value.to_owned(),
        };
        headers.append(
            name.trim().parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// A request: `GET`, or `HEAD | Name: value`.
struct Req {
    method: Method,
    url: Url,
    headers: HeaderMap,
    controls: Controls,
    chance: Option<f64>,
}

fn req(text: &str) -> Req {
    let (method, rest) = text.split_once(" | ").unwrap_or((text, ""));
    Req {
        method: method.parse().unwrap(),
        url: Url::parse("https://a.example/dir/page?q").unwrap(),
        headers: fields(rest),
        controls: Controls::new(),
        chance: None,
    }
}

impl Req {
    fn with(mut self, change: impl FnOnce(&mut Controls)) -> Self {
        change(&mut self.controls);
        self
    }

    fn view(&self) -> RequestView<'_> {
        RequestView::new(&self.method, &self.url, &self.headers, &KEY)
            .with_controls(self.controls)
            .with_chance(self.chance)
    }
}

/// A response: `200 | Name: value`. Without a `Date` it has the start's; `Date: none` leaves it out.
fn resp(text: &str, arrival: i64) -> (StatusCode, HeaderMap) {
    let (status, rest) = text.split_once(" | ").unwrap_or((text, ""));
    let mut headers = fields(rest);
    match headers.get("date").map(HeaderValue::as_bytes) {
        None => drop(headers.insert("date", format_date(at(arrival)).parse().unwrap())),
        Some(b"none") => drop(headers.remove("date")),
        Some(_) => {}
    }
    (status.parse().unwrap(), headers)
}

/// A stored response to `request`, arrived at the start. It need not be one that would be stored.
fn stored_for(request: &str, response: &str) -> Head {
    let (request, (status, headers)) = (req(request), resp(response, 0));
    let mut head = Head::new(request.method.clone(), request.url.as_str(), status, headers, start(), start());
    head.selectors = selectors(&head.headers, &request.view(), &Options::new()).unwrap_or_default();
    head
}

fn stored(response: &str) -> Head {
    stored_for("GET", response)
}

fn views(heads: &[Head]) -> Vec<StoredView<'_>> {
    heads.iter().map(|head| StoredView::new(head).with_body_len(10)).collect()
}

fn private() -> Options {
    Options::new()
}

fn shared() -> Options {
    Options::new().mode(Mode::Shared)
}

fn ask_before(options: &Options, request: &Req, heads: &[Head], now: i64) -> Before {
    before(options, &request.view(), &views(heads), at(now))
}

/// `before` as text: what is done, with what, and the deciding reason.
fn decide(options: &Options, request: &Req, heads: &[Head], now: i64) -> String {
    let before = ask_before(options, request, heads, now);
    let reason = before.reason();
    match &before.decision {
        Decision::Serve { index, form } => format!("Serve {index} {} {reason:?}", shape(*form)),
        Decision::ServeStale { index, form, refresh } => {
            format!("ServeStale {index} {} {reason:?}{}", shape(*form), asked(refresh))
        }
        Decision::ServeEarly { index, form, refresh } => {
            format!("ServeEarly {index} {} {reason:?}{}", shape(*form), asked(refresh))
        }
        Decision::Unsatisfiable => format!("504 {:?}", before.reasons),
        Decision::Revalidate(ask) => format!("Revalidate {reason:?}{}", asked(ask)),
        Decision::Fetch(ask) => format!("Fetch {reason:?}{}", asked(ask)),
        Decision::Bypass(ask) => format!("Bypass {reason:?}{}", asked(ask)),
    }
}

fn shape(form: Form) -> String {
    match form {
        Form::Range(part) => format!("{}-{}", part.first, part.last),
        other => format!("{other:?}"),
    }
}

fn asked(ask: &Ask) -> String {
    ask.conditions
        .iter()
        .map(|(name, value)| {
            let short = if name == "if-none-match" { "inm" } else { "ims" };
            let value = String::from_utf8_lossy(value.as_bytes());
            let date = parse_date(value.as_bytes(), start());
            let value = date.map_or(value.to_string(), |date| {
                format!("@-{}", start().duration_since(date).unwrap().as_secs())
            });
            format!(" {short}={value}")
        })
        .collect()
}

/// A whole exchange: what is asked at `now` and what becomes of the answer, which arrives at once.
fn exchange(options: &Options, request: &Req, heads: &[Head], now: i64, answer: &str) -> After {
    let views = views(heads);
    let ask = before(options, &request.view(), &views, at(now)).ask().cloned().unwrap_or_default();
    let (status, headers) = resp(answer, now);
    after(options, &request.view(), &ask, &views, &ResponseView::new(status, &headers, at(now), at(now)))
}

/// `after` as text: what is done, the deciding reason, and what is forgotten.
fn outcome(after: &After) -> String {
    let reason = after.reason();
    let done = match &after.outcome {
        Outcome::Store { .. } => "Store".to_owned(),
        Outcome::Freshen { index, keep, form, reselected, .. } => {
            let keep = match keep {
                Keep::Until(_) => "keep".to_owned(),
                other => format!("{other:?}"),
            };
            let reselected = if *reselected { " reselected" } else { "" };
            format!("Freshen {index} {} {keep}{reselected}", shape(*form))
        }
        Outcome::Refetch => "Refetch".to_owned(),
        Outcome::Pass => format!("Pass {reason:?}"),
        Outcome::ServeStale { index, form, .. } => format!("ServeStale {index} {}", shape(*form)),
    };
    if after.forget.is_empty() { done } else { format!("{done}, forget {:?}", after.forget) }
}
