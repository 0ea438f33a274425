//! RFC 9111 §5.2.1 and the caller's controls.

use super::*;

#[test]
fn of_requests() {
    let fresh = "200 | Cache-Control: max-age=60 | ETag: \"a\"";
    let immutable = "200 | Cache-Control: max-age=60, immutable | ETag: \"a\"";
    let strict = "200 | Cache-Control: max-age=60, must-revalidate | ETag: \"a\"";
    let no_cache = "200 | Cache-Control: max-age=60, no-cache | ETag: \"a\"";
    // Directives, stored, seconds later, decision.
    let table = [
        ("max-age=30", fresh, 30, "Serve 0 Full Fresh"),
        ("max-age=30", fresh, 31, "Revalidate RequestMaxAge inm=\"a\""),
        ("max-age=0", fresh, 0, "Revalidate RequestMaxAge inm=\"a\""),
        ("max-age=nonsense", fresh, 0, "Revalidate RequestMaxAge inm=\"a\""),
        ("min-fresh=30", fresh, 30, "Serve 0 Full Fresh"),
        ("min-fresh=30", fresh, 31, "Revalidate RequestMinFresh inm=\"a\""),
        ("max-stale", fresh, 9999, "Serve 0 Full StaleAccepted"),
        ("max-stale=10", fresh, 70, "Serve 0 Full StaleAccepted"),
        ("max-stale=10", fresh, 71, "Revalidate Stale inm=\"a\""),
        ("max-stale", strict, 60, "Revalidate Stale inm=\"a\""),
        ("max-stale", no_cache, 1, "Revalidate ResponseNoCache inm=\"a\""),
        ("no-cache", fresh, 1, "Revalidate RequestNoCache inm=\"a\""),
        ("no-cache", immutable, 1, "Revalidate RequestNoCache inm=\"a\""),
        // RFC 8246 §2
        ("max-age=0", immutable, 1, "Serve 0 Full Fresh"),
        ("max-age=0", immutable, 60, "Revalidate RequestMaxAge inm=\"a\""),
        ("no-store", fresh, 1, "Fetch RequestNoStore"),
        ("only-if-cached", fresh, 1, "Serve 0 Full Fresh"),
        ("only-if-cached", fresh, 60, "504 [OnlyIfCached, Stale]"),
        ("only-if-cached, max-stale", fresh, 60, "Serve 0 Full StaleAccepted"),
        ("only-if-cached, no-cache", fresh, 1, "504 [OnlyIfCached, RequestNoCache]"),
    ];
    for (directives, response, now, expected) in table {
        let request = req(&format!("GET | Cache-Control: {directives}"));
        assert_eq!(decide(&private(), &request, &[stored(response)], now), expected, "{directives} at {now}");
    }
    assert_eq!(
        decide(&private(), &req("GET | Cache-Control: only-if-cached"), &[], 0),
        "504 [OnlyIfCached, NothingStored]"
    );
    assert_eq!(
        decide(&private(), &req("POST | Cache-Control: only-if-cached"), &[], 0),
        "504 [OnlyIfCached, MethodNotCacheable]"
    );
    let table = [
        ("GET | Pragma: no-cache", "Revalidate RequestPragma inm=\"a\""),
        ("GET | Pragma: no-cache | Cache-Control: max-age=30", "Serve 0 Full Fresh"),
        ("GET | Pragma: other", "Serve 0 Full Fresh"),
    ];
    for (request, expected) in table {
        assert_eq!(decide(&private(), &req(request), &[stored(fresh)], 1), expected, "{request}");
    }
}

#[test]
fn of_callers() {
    type Set = fn(&mut Controls);
    let fresh = "200 | Cache-Control: max-age=60 | ETag: \"a\"";
    let strict = "200 | Cache-Control: max-age=60, must-revalidate | ETag: \"a\"";
    let table: &[(Set, &str, i64, &str)] = &[
        (|c| c.only_if_cached = true, fresh, 1, "Serve 0 Full Fresh"),
        (|c| c.only_if_cached = true, fresh, 61, "504 [OnlyIfCached, Stale]"),
        (|c| c.reload = true, fresh, 1, "Fetch Reload"),
        (|c| c.revalidate = true, fresh, 1, "Revalidate Revalidate inm=\"a\""),
        (|c| c.no_store = true, fresh, 1, "Serve 0 Full Fresh"),
        (|c| c.no_store = true, fresh, 61, "Revalidate Stale inm=\"a\""),
        (|c| c.bypass = true, fresh, 1, "Bypass Bypass"),
        (|c| c.stale_ok = true, fresh, 9999, "Serve 0 Full StaleAccepted"),
        (|c| c.stale_ok = true, strict, 9999, "Revalidate Stale inm=\"a\""),
    ];
    for (set, response, now, expected) in table {
        let request = req("GET").with(set);
        assert_eq!(
            decide(&private(), &request, &[stored(response)], *now),
            *expected,
            "{:?}",
            request.controls
        );
    }
}

#[test]
fn a_fraction_that_is_no_number_is_none() {
    let mut options = private();
    for (fraction, lifetime) in [(f32::NAN, 0), (f32::INFINITY, 100), (-1.0, 0), (0.5, 50)] {
        options.heuristic_fraction = fraction;
        let found = Freshness::of(&stored("200 | Last-Modified: @-100"), &options);
        assert_eq!(found.lifetime, secs(lifetime), "{fraction}");
    }
}

#[test]
fn who_may_share_an_answer() {
    let stale = [stored("200 | Cache-Control: max-age=1 | ETag: \"a\"")];
    let table = [
        ("GET", true),
        ("GET | Cache-Control: max-age=5", true),
        ("GET | Cache-Control: no-cache", false),
        ("GET | Cache-Control: no-store", false),
        ("GET | Cache-Control: max-age=0", false),
        ("GET | If-None-Match: \"x\"", false),
        ("GET | If-Match: \"x\"", false),
        ("GET | Range: bytes=0-1", false),
        ("POST", false),
    ];
    for (request, expected) in table {
        for heads in [&[][..], &stale] {
            let before = ask_before(&private(), &req(request), heads, 10);
            assert_eq!(before.ask().map(|ask| ask.coalesce), Some(expected), "{request}");
        }
    }
    let reload = req("GET").with(|controls| controls.reload = true);
    assert_eq!(ask_before(&private(), &reload, &stale, 10).ask().map(|ask| ask.coalesce), Some(false));
}

#[test]
fn reasons_say_where_they_are_written() {
    let strict = [stored("200 | Cache-Control: max-age=1, must-revalidate")];
    let before = ask_before(&private(), &req("GET | Cache-Control: max-stale"), &strict, 10);
    assert_eq!(
        before.reasons.to_string(),
        "the stored response is stale (RFC 9111 §4.2.4); the response says must-revalidate (RFC 9111 §5.2.2.2)"
    );
}
