//! Offline and read-only, which the RFCs do not know.

use super::*;

#[test]
fn offline_serves_what_is_there_and_asks_nothing() {
    let fresh = "200 | Cache-Control: max-age=10 | ETag: \"a\"";
    let strict = "200 | Cache-Control: max-age=10, must-revalidate | ETag: \"a\"";
    let no_cache = "200 | Cache-Control: no-cache | ETag: \"a\"";
    let swr = "200 | Cache-Control: max-age=10, stale-while-revalidate=20 | ETag: \"a\"";
    let private = &private().offline(true).early_refresh(1e9_f32);
    let shared = &shared().offline(true);
    let tenant = &shared.clone().tenant_scoped(true);
    let table = [
        (private, "GET", fresh, 9, "Serve 0 Full Fresh"),
        (private, "GET", fresh, 1000, "Serve 0 Full Offline"),
        (private, "GET", strict, 1000, "Serve 0 Full Offline"),
        (private, "GET", no_cache, 1, "Serve 0 Full Offline"),
        (private, "GET", swr, 15, "Serve 0 Full Offline"),
        (private, "HEAD", fresh, 1000, "Serve 0 Head Offline"),
        (private, "GET | Range: bytes=0-1", fresh, 1000, "Serve 0 0-1 Offline"),
        (private, "GET | If-None-Match: \"a\"", fresh, 1000, "Serve 0 NotModified Offline"),
        (private, "GET | Cache-Control: no-cache", fresh, 1, "Serve 0 Full Fresh"),
        (private, "GET | Cache-Control: no-store", fresh, 1, "Serve 0 Full Fresh"),
        (private, "GET | Cache-Control: max-age=0", fresh, 11, "Serve 0 Full Offline"),
        (private, "GET | Pragma: no-cache", fresh, 11, "Serve 0 Full Offline"),
        (private, "GET | If-Match: \"b\"", fresh, 1, "504 [Offline, OriginCondition]"),
        (private, "GET | Host: b.example", fresh, 1, "504 [Offline, AnotherHost]"),
        (private, "POST", fresh, 1, "504 [Offline, MethodNotCacheable]"),
        (private, "GET", "200 | Vary: X | Cache-Control: max-age=10", 1, "Serve 0 Full Fresh"),
        (
            private,
            "GET | X: 1",
            "200 | Vary: X | Cache-Control: max-age=10",
            1,
            "504 [Offline, VaryMismatch]",
        ),
        (shared, "GET", fresh, 1000, "Serve 0 Full Offline"),
        (shared, "GET", strict, 1000, "504 [Offline, Stale]"),
        (shared, "GET", no_cache, 1, "504 [Offline, ResponseNoCache]"),
        (tenant, "GET", strict, 1000, "Serve 0 Full Offline"),
    ];
    for (options, request, response, now, expected) in table {
        let mut request = req(request);
        request.chance = Some(0.0);
        let decided = decide(options, &request, &[stored(response)], now);
        assert_eq!(decided, expected, "{} {response} at {now}", request.method);
    }
    type Change = fn(&mut Controls);
    let changes: &[(Change, &str)] = &[
        (|c| c.reload = true, "Serve 0 Full Offline"),
        (|c| c.revalidate = true, "Serve 0 Full Offline"),
        (|c| c.no_store = true, "Serve 0 Full Offline"),
        (|c| c.bypass = true, "504 [Offline, Bypass]"),
    ];
    for (change, expected) in changes {
        assert_eq!(decide(private, &req("GET").with(change), &[stored(fresh)], 1000), *expected);
    }
    assert_eq!(decide(private, &req("GET"), &[], 0), "504 [Offline, NothingStored]");
}

#[test]
fn read_only_leaves_what_is_stored_as_it_is() {
    let stale = "200 | Cache-Control: max-age=10, stale-while-revalidate=20 | ETag: \"a\"";
    let table = [
        ("GET", "304 | ETag: \"a\" | Cache-Control: no-store", "Freshen 0 Full Untouched"),
        ("GET", "304 | ETag: \"a\" | Cache-Control: max-age=10", "Freshen 0 Full Untouched"),
        ("GET", "200 | Cache-Control: max-age=10", "Pass ReadOnly"),
        ("GET", "404 | Cache-Control: no-store", "Pass ResponseNoStore"),
        ("HEAD", "200 | ETag: \"b\" | Cache-Control: max-age=10", "Pass ReadOnly"),
    ];
    for (request, answer, expected) in table {
        for by_request in [false, true] {
            let options = private().read_only(!by_request);
            let request = req(request).with(|controls| controls.read_only = by_request);
            let after = exchange(&options, &request, &[stored(stale)], 15, answer);
            assert_eq!(outcome(&after), expected, "{answer}, {by_request}");
        }
    }
    let delete = exchange(&private().read_only(true), &req("DELETE"), &[], 0, "200");
    assert!(delete.invalidates.is_empty());
    // Nothing is refreshed for nobody, and nobody waits for what is not stored.
    let before = ask_before(&private().read_only(true), &req("GET"), &[stored(stale)], 15);
    assert!(matches!(&before.decision, Decision::Revalidate(ask) if !ask.coalesce), "{before:?}");
}
