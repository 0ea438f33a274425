//! Which methods and statuses are cached, errors on terms of their own, and which errors a stale response stands in for.

use super::*;

fn stores(options: &Options, request: &str, answer: &str) -> String {
    outcome(&exchange(options, &req(request), &[], 0, answer))
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

/// How long an answer is fresh; `None` where it is not stored.
fn fresh_for(options: &Options, request: &str, answer: &str) -> Option<u64> {
    let after = exchange(options, &req(request), &[], 0, answer);
    let stored = matches!(after.outcome, Outcome::Store { .. });
    after.freshness.filter(|_| stored).map(|freshness| freshness.remaining(at(0)).as_secs())
}

#[test]
fn statuses() {
    let listed = private().statuses([code(200), code(302), code(429)]);
    let table: &[(&str, &str)] = &[
        ("200 | Cache-Control: max-age=60", "Store"),
        ("302 | Cache-Control: max-age=60", "Store"),
        ("429 | Cache-Control: max-age=60", "Store"),
        ("203 | Cache-Control: max-age=60", "Pass StatusNotListed"),
        ("404 | Cache-Control: max-age=60", "Pass StatusNotListed"),
        ("404 | Last-Modified: @-86400", "Pass StatusNotListed"),
        // Listed is not dated.
        ("302", "Pass NoFreshness"),
    ];
    for (answer, expected) in table {
        assert_eq!(stores(&listed, "GET", answer), *expected, "{answer}");
    }
    let ranged = stores(
        &listed,
        "GET | Range: bytes=0-1",
        "206 | Content-Range: bytes 0-1/9 | Cache-Control: max-age=60",
    );
    assert_eq!(ranged, "Pass StatusNotListed");
}

#[test]
fn errors_have_an_expiry_of_their_own() {
    let ttl = private().ttl(Expiry::after_secs(600));
    let negative = ttl.clone().negative(Expiry::after_secs(10));
    let listed = ttl.clone().statuses([code(200), code(302), code(404), code(503)]);
    let both = listed.clone().negative(Expiry::after_secs(10));
    let forbidden = private().negative(Expiry::DoNotStore);
    let rfc = private().negative(Expiry::after_secs(10));
    let rule = Rule::new("rule").negative(Expiry::after_secs(20)).over(&negative);
    let table: &[(&str, &Options, &str, Option<u64>)] = &[
        ("an expiry is for no error", &ttl, "404", None),
        ("", &ttl, "200", Some(600)),
        ("", &ttl, "301", Some(600)),
        ("", &ttl, "302", None),
        ("one of its own", &negative, "404", Some(10)),
        ("", &negative, "410", Some(10)),
        ("", &negative, "501", Some(10)),
        ("", &negative, "200", Some(600)),
        ("not every error", &negative, "500", None),
        ("", &negative, "403", None),
        ("a list", &listed, "404", Some(600)),
        ("", &listed, "503", Some(600)),
        ("", &listed, "302", Some(600)),
        ("", &listed, "410", None),
        ("both", &both, "503", Some(10)),
        ("", &both, "302", Some(600)),
        ("a rule's", &rule, "404", Some(20)),
        ("", &rule, "200", Some(600)),
        ("by the fields' leave", &rfc, "404", Some(10)),
        ("", &rfc, "404 | Cache-Control: max-age=5", Some(5)),
        ("", &rfc, "404 | Cache-Control: no-store", None),
        ("", &rfc, "200", None),
        ("none is stored", &forbidden, "404 | Last-Modified: @-86400", None),
        ("", &forbidden, "200 | Cache-Control: max-age=60", Some(60)),
    ];
    for (about, options, answer, expected) in table {
        assert_eq!(fresh_for(options, "GET", answer), *expected, "{about}: {answer}");
    }
    let (mut request, answer) = (req("GET"), "404");
    request.controls.expiry = Some(Expiry::after_secs(60));
    assert_eq!(outcome(&exchange(&private(), &request, &[], 0, answer)), "Pass NotReusable");
}

#[test]
fn methods() {
    let query = Method::from_bytes(b"QUERY").unwrap();
    let opted = private().methods([Method::GET, Method::POST, query]).expiry(Expiry::after_secs(600));
    let by_rule = Rule::new("search").methods([Method::POST]).over(&private().ttl(Expiry::after_secs(600)));
    let table = [
        (&opted, "POST", Some(600)),
        (&opted, "QUERY", Some(600)),
        (&opted, "HEAD", None),
        (&by_rule, "POST", Some(600)),
        (&by_rule, "GET", None),
        (&private().ttl(Expiry::after_secs(600)), "POST", None),
    ];
    for (options, method, expected) in table {
        assert_eq!(fresh_for(options, method, "200"), expected, "{method}");
    }
}

#[test]
fn which_errors_a_stale_response_stands_in_for() {
    let lenient = private().stale_if_error(secs(3600));
    let limited = lenient.clone().stale_if_error_statuses([code(429), code(502)]);
    let heads = [stored("200 | Cache-Control: max-age=60")];
    let table = [
        (&lenient, 500, true),
        (&lenient, 502, true),
        (&lenient, 503, true),
        (&lenient, 504, true),
        (&lenient, 501, false),
        (&lenient, 429, false),
        (&limited, 429, true),
        (&limited, 502, true),
        (&limited, 500, false),
        (&limited, 404, false),
    ];
    for (options, status, stands_in) in table {
        let after = outcome(&exchange(options, &req("GET"), &heads, 100, &status.to_string()));
        assert_eq!(after == "ServeStale 0 Full", stands_in, "{status}: {after}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let table = [
        (private(), None),
        (private().methods([Method::GET, Method::PUT]), Some("methods: answers to PUT are never cached")),
        (private().statuses([code(200), code(412)]), Some("statuses: a response with 412 is never stored")),
        (private().statuses([code(100)]), Some("statuses: a response with 100 is never stored")),
        (
            private().stale_if_error_statuses([code(500), code(200)]),
            Some("stale_if_error_statuses: 200 is no error"),
        ),
    ];
    for (options, expected) in table {
        assert_eq!(options.check().err().map(|invalid| invalid.to_string()).as_deref(), expected);
    }
    type Change = fn(&mut Controls);
    let table: &[(Change, Option<&str>)] = &[
        (|_| (), None),
        (|c| c.only_if_cached = true, None),
        (|c| (c.only_if_cached, c.stale_ok, c.force_cache) = (true, true, true), None),
        (|c| (c.no_store, c.expiry) = (true, Some(Expiry::DoNotStore)), None),
        (|c| (c.always_cache, c.expiry, c.reload) = (true, Some(Expiry::Never), true), None),
        (|c| (c.only_if_cached, c.reload) = (true, true), Some("only_if_cached: contradicts `reload`")),
        (
            |c| (c.only_if_cached, c.revalidate) = (true, true),
            Some("only_if_cached: contradicts `revalidate`"),
        ),
        (|c| (c.only_if_cached, c.bypass) = (true, true), Some("only_if_cached: contradicts `bypass`")),
        (|c| (c.force_cache, c.reload) = (true, true), Some("force_cache: contradicts `reload`")),
        (|c| (c.force_cache, c.revalidate) = (true, true), Some("force_cache: contradicts `revalidate`")),
        (|c| (c.force_cache, c.bypass) = (true, true), Some("force_cache: contradicts `bypass`")),
        (|c| (c.bypass, c.reload) = (true, true), Some("bypass: contradicts `reload`")),
        (|c| (c.bypass, c.revalidate) = (true, true), Some("bypass: contradicts `revalidate`")),
        (|c| (c.bypass, c.expiry) = (true, Some(Expiry::Never)), Some("bypass: contradicts `expiry`")),
        (|c| (c.bypass, c.always_cache) = (true, true), Some("bypass: contradicts `always_cache`")),
        (|c| (c.no_store, c.expiry) = (true, Some(Expiry::AtOnce)), Some("no_store: contradicts `expiry`")),
        (|c| (c.no_store, c.always_cache) = (true, true), Some("no_store: contradicts `always_cache`")),
        (|c| (c.read_only, c.reload, c.bypass) = (true, false, true), None),
        (|c| (c.read_only, c.expiry) = (true, Some(Expiry::Never)), Some("read_only: contradicts `expiry`")),
        (|c| (c.read_only, c.always_cache) = (true, true), Some("read_only: contradicts `always_cache`")),
        (
            |c| (c.always_cache, c.expiry) = (true, Some(Expiry::DoNotStore)),
            Some("always_cache: contradicts `expiry`"),
        ),
    ];
    for (change, expected) in table {
        let mut controls = Controls::new();
        change(&mut controls);
        let found = controls.check().err().map(|invalid| invalid.to_string());
        assert_eq!(found.as_deref(), *expected, "{controls:?}");
    }
}
