//! The policy as a whole: a request, what is stored and what the origin says, all of them hostile.

use std::time::{Duration, SystemTime};

use cache_api::Head;
use cache_engine::policy::{
    After, Before, CacheControl, CacheStatus, Controls, Decision, Form, Mode, OnError, Options, Outcome,
    RequestView, ResponseView, StoredView, after, before, is_hop_by_hop, on_error, selectors, serve,
};
use http::{HeaderMap, Method, StatusCode, header};
use sfv::{List, Parser};
use url::Url;

use crate::message::{Message, messages, start};

/// Reads two letters of settings and a request, then the answer of the origin, then what is stored.
pub fn run(data: &[u8]) {
    let Some((&[settings, controls], text)) = data.split_first_chunk() else { return };
    let mut messages = messages(text);
    let (Some(request), Some(answer)) = (messages.next(), messages.next()) else { return };
    let mut words = request.first.split(|&byte| byte == b' ');
    let method = words.next().and_then(|method| Method::from_bytes(method).ok()).unwrap_or(Method::GET);
    let seconds = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u32>().ok());
    let now = start() + Duration::from_secs(seconds.unwrap_or(30).into());
    let url = Url::parse("https://a.example/dir/page?q").expect("a URL");
    let options = options(settings);
    let view = RequestView::new(&method, &url, &request.fields, &[7; 32])
        .with_controls(asked(controls))
        .with_chance(f64::from(settings >> 3) / 32.0);

    let heads: Vec<Head> = messages.take(4).map(|stored| head(&stored, &url, &options)).collect();
    let stored: Vec<_> = heads.iter().map(|head| StoredView::new(head).with_body_len(10)).collect();
    let before = before(&options, &view, &stored, now);
    check_before(&before, &view, &heads);
    assert!(!options.offline || before.ask().is_none(), "asked although offline");
    let Some(ask) = before.ask() else { return };

    let mut sent = request.fields.clone();
    ask.apply(&mut sent);
    let (status, headers) = (status(&answer), &answer.fields);
    let response = ResponseView::new(status, headers, now, now + Duration::from_secs(1));
    let after = after(&options, &view, ask, &stored, &response);
    check_after(&after, &options, &view, headers, &heads);
    if let OnError::ServeStale { index, form, age, .. } = on_error(&options, &view, ask, &stored, now) {
        check_form(&heads[index], form, Some(age));
        assert_eq!(Some(index), ask.selected, "another variant stands in");
    }
    check_status(&before, std::str::from_utf8(request.first).unwrap_or("cache"));
}

fn options(bits: u8) -> Options {
    let mut options =
        Options::new().tenant_scoped(bits & 2 != 0).early_refresh((bits & 8 != 0).then_some(1.0));
    if bits & 1 != 0 {
        options = options.mode(Mode::Shared);
    }
    if bits & 4 != 0 {
        options = options.stale_if_error(Duration::from_secs(60)).ttl_jitter(0.1);
    }
    options.offline(bits & 16 != 0).read_only(bits & 32 != 0)
}

fn asked(bits: u8) -> Controls {
    let mut controls = Controls::new();
    // `@` asks for nothing.
    controls.only_if_cached = bits & 1 != 0;
    controls.reload = bits & 2 != 0;
    controls.revalidate = bits & 4 != 0;
    controls.no_store = bits & 8 != 0;
    controls.stale_ok = bits & 16 != 0;
    controls.bypass = bits & 32 != 0;
    controls
}

fn status(message: &Message<'_>) -> StatusCode {
    StatusCode::from_bytes(message.first).unwrap_or(StatusCode::OK)
}

fn head(message: &Message<'_>, url: &Url, options: &Options) -> Head {
    let fields = message.fields.clone();
    let mut head = Head::new(Method::GET, url.as_str(), status(message), fields, start(), start());
    // As for a request with the fields that the response has: what it varies on is in both.
    let view = RequestView::new(&Method::GET, url, &message.fields, &[7; 32]);
    head.selectors = selectors(&head.headers, &view, options).unwrap_or_default();
    head
}

fn check_before(before: &Before, request: &RequestView<'_>, heads: &[Head]) {
    match &before.decision {
        Decision::Serve { index, form }
        | Decision::ServeEarly { index, form, .. }
        | Decision::ServeStale { index, form, .. } => check_form(&heads[*index], *form, before.age),
        Decision::Revalidate(_) | Decision::Fetch(_) => {
            assert!(!request.controls.only_if_cached, "the origin is asked all the same");
        }
        _ => {}
    }
    if let Some(ask) = before.ask() {
        assert!(ask.candidates.iter().chain(&ask.selected).all(|index| *index < heads.len()));
    }
}

fn check_form(head: &Head, form: Form, age: Option<Duration>) {
    if let Form::Range(part) = form {
        assert!(part.first <= part.last && part.last < part.complete, "{part:?}");
        assert!(part.at.checked_add(part.count()).is_some_and(|end| end <= 10), "{part:?}");
    }
    let served = serve(head, form, age);
    if form == Form::NotModified {
        assert!(!served.headers.contains_key(header::CONTENT_LENGTH));
    }
}

fn check_after(
    after: &After,
    options: &Options,
    request: &RequestView<'_>,
    answer: &HeaderMap,
    heads: &[Head],
) {
    assert!(after.forget.iter().all(|index| *index < heads.len()));
    match &after.outcome {
        Outcome::Store { head, keep_until } => {
            let directives = CacheControl::of(answer);
            assert!(!directives.no_store || directives.must_understand, "against no-store");
            assert!(!request.controls.no_store, "against the caller's no-store");
            assert!(!options.read_only, "written although read-only");
            let shared = options.mode == Mode::Shared;
            assert!(!(shared && directives.private.is_whole()), "a private answer is shared");
            let opened = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
            let credentials = request.headers.contains_key(header::AUTHORIZATION);
            assert!(!(shared && credentials) || opened || options.tenant_scoped, "against RFC 9111 §3.5");
            let cookies = head.headers.contains_key(header::SET_COOKIE);
            assert!(!(shared && cookies) || directives.public || directives.s_maxage.is_some(), "Set-Cookie");
            assert!(!head.headers.keys().any(is_hop_by_hop), "a field of one connection is stored");
            assert!(*keep_until >= SystemTime::UNIX_EPOCH);
        }
        Outcome::Freshen { index, form, head, .. } => {
            assert!(*index < heads.len());
            check_form(head, *form, None);
        }
        Outcome::ServeStale { index, form, age } => check_form(&heads[*index], *form, Some(*age)),
        _ => {}
    }
}

/// What is said of it is a structured field, whatever stands in it.
fn check_status(before: &Before, text: &str) {
    let mut status = CacheStatus::new(text);
    (status.forward, status.ttl) = (before.forward, before.ttl);
    (status.key, status.detail) = (Some(text), Some(text));
    let mut headers = HeaderMap::new();
    status.append(&mut headers);
    let field = headers.get("cache-status").expect("it can always be said");
    Parser::new(field.as_bytes()).parse::<List>().expect("a structured field");
}
