//! RFC 5861, and RFC 9111 §4.2.4.

use super::*;

#[test]
fn while_revalidate() {
    let swr = "200 | Cache-Control: max-age=10, stale-while-revalidate=20 | ETag: \"a\"";
    let strict = "200 | Cache-Control: max-age=10, stale-while-revalidate=20, must-revalidate | ETag: \"a\"";
    let served = "ServeStale 0 Full StaleWhileRevalidate inm=\"a\"";
    let stale = "Revalidate Stale inm=\"a\"";
    let table = [
        ("GET", swr, 9, "Serve 0 Full Fresh"),
        ("GET", swr, 10, served),
        ("GET", swr, 30, served),
        ("GET", swr, 31, stale),
        ("GET", strict, 10, stale),
        ("GET | Cache-Control: no-cache", swr, 10, "Revalidate RequestNoCache inm=\"a\""),
        ("GET | Cache-Control: max-age=5", swr, 10, "Revalidate RequestMaxAge inm=\"a\""),
        ("GET | Cache-Control: only-if-cached", swr, 10, "504 [OnlyIfCached, Stale]"),
        // The refresh asks for the whole, whatever the caller asked for.
        ("GET | Range: bytes=0-1", swr, 10, "ServeStale 0 0-1 StaleWhileRevalidate inm=\"a\""),
        ("GET | If-None-Match: \"x\"", swr, 10, served),
        ("GET | If-None-Match: \"a\"", swr, 10, "ServeStale 0 NotModified StaleWhileRevalidate inm=\"a\""),
    ];
    for (request, response, now, expected) in table {
        assert_eq!(
            decide(&private(), &req(request), &[stored(response)], now),
            expected,
            "{request} at {now}"
        );
    }
    // s-maxage forbids stale responses, in a shared cache alone.
    let shared_age = [stored("200 | Cache-Control: max-age=10, s-maxage=10, stale-while-revalidate=20")];
    assert_eq!(decide(&private(), &req("GET"), &shared_age, 10), "ServeStale 0 Full StaleWhileRevalidate");
    assert_eq!(decide(&shared(), &req("GET"), &shared_age, 10), "Fetch Stale");

    // Where nothing is refreshed in the background, it is validated first, and the caller's own Range is asked for.
    let foreground = private().background_refresh(false);
    for (request, now, expected) in [
        ("GET", 9, "Serve 0 Full Fresh"),
        ("GET", 10, stale),
        ("GET | Cache-Control: max-stale", 10, "Serve 0 Full StaleAccepted"),
    ] {
        assert_eq!(decide(&foreground, &req(request), &[stored(swr)], now), expected, "{request} at {now}");
    }

    let before =
        ask_before(&private(), &req("GET | Range: bytes=0-1 | If-None-Match: \"x\""), &[stored(swr)], 10);
    let mut sent = fields("Range: bytes=0-1 | If-None-Match: \"x\" | If-Range: \"x\" | Accept: a");
    before.ask().unwrap().apply(&mut sent);
    assert_eq!(sent, fields("Accept: a | If-None-Match: \"a\""));
    assert!(before.ask().unwrap().coalesce);
}

/// What a transport error and what a 503 come to.
fn failure(options: &Options, request: &Req, heads: &[Head], now: i64) -> (String, String) {
    let views = views(heads);
    let ask = before(options, &request.view(), &views, at(now)).ask().cloned().unwrap();
    let error = match on_error(options, &request.view(), &ask, &views, at(now)) {
        OnError::ServeStale { index, .. } => format!("stale {index}"),
        OnError::Fail(reason) => format!("{reason:?}"),
    };
    let after = exchange(options, request, heads, now, "503");
    (error, outcome(&after))
}

#[test]
fn if_error() {
    let (none, hour) = (private(), private().stale_if_error(secs(3600)));
    let shared = shared().stale_if_error(secs(3600));
    let sie = "200 | Cache-Control: max-age=1, stale-if-error=60";
    let plain = "200 | Cache-Control: max-age=1";
    let strict = "200 | Cache-Control: max-age=1, stale-if-error=60, must-revalidate";
    let proxy = "200 | Cache-Control: max-age=1, proxy-revalidate";
    let s_maxage = "200 | Cache-Control: max-age=1, s-maxage=1";
    let no_cache = "200 | Cache-Control: max-age=1, stale-if-error=60, no-cache | ETag: \"a\"";
    let table = [
        (&none, "GET", sie, 61, "stale 0"),
        (&none, "GET", sie, 62, "StaleTooLong"),
        (&none, "GET", plain, 10, "NoStaleAllowed"),
        (&none, "GET | Cache-Control: stale-if-error=60", plain, 10, "stale 0"),
        (&hour, "GET", plain, 10, "stale 0"),
        (&hour, "GET", plain, 3602, "StaleTooLong"),
        // The widest of several windows.
        (&hour, "GET", sie, 600, "stale 0"),
        (&hour, "GET", strict, 10, "MustRevalidate"),
        (&hour, "GET", proxy, 10, "stale 0"),
        (&shared, "GET", proxy, 10, "ProxyRevalidate"),
        (&hour, "GET", s_maxage, 10, "stale 0"),
        (&shared, "GET", s_maxage, 10, "SharedMaxAge"),
        (&hour, "GET", no_cache, 10, "ResponseNoCache"),
        (&hour, "GET | Cache-Control: no-cache", sie, 10, "RequestNoCache"),
        (&hour, "GET | Cache-Control: max-age=5", sie, 10, "RequestMaxAge"),
        (&hour, "GET | Cache-Control: no-store", sie, 10, "RequestNoStore"),
        (&hour, "GET | If-Match: \"a\"", sie, 10, "OriginCondition"),
    ];
    for (options, request, response, now, expected) in table {
        let (error, answer) = failure(options, &req(request), &[stored(response)], now);
        assert_eq!(error, expected, "{request} {response} at {now}");
        // A 503 is stood in for exactly where an error is.
        assert_eq!(
            answer.starts_with("ServeStale"),
            expected.starts_with("stale"),
            "{request} {response}: {answer}"
        );
    }
    // A request's own window stands for all others.
    for (window, expected) in [(0, "StaleTooLong"), (5, "StaleTooLong"), (60, "stale 0")] {
        let request = req("GET").with(|controls| controls.stale_if_error = Some(secs(window)));
        assert_eq!(failure(&hour, &request, &[stored(sie)], 20).0, expected);
    }
}

#[test]
fn which_statuses_are_errors() {
    let heads = [stored("200 | Cache-Control: max-age=1, stale-if-error=60 | ETag: \"a\"")];
    for (status, expected) in [
        ("500", "ServeStale 0 Full"),
        ("502", "ServeStale 0 Full"),
        ("503", "ServeStale 0 Full"),
        ("504", "ServeStale 0 Full"),
        ("503 | Cache-Control: max-age=5", "ServeStale 0 Full"),
        ("501 | Cache-Control: max-age=5", "Store"),
        ("429", "Pass NoFreshness"),
        ("404", "Pass NotReusable, forget [0]"),
    ] {
        assert_eq!(outcome(&exchange(&private(), &req("GET"), &heads, 10, status)), expected, "{status}");
    }
}
