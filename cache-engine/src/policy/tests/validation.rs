//! RFC 9111 §4.3.

use super::*;

const STALE: &str = "200 | Cache-Control: max-age=1 | ETag: \"a\" | Last-Modified: @-100";

#[test]
fn what_is_asked() {
    let table = [
        (STALE, "GET", "Revalidate Stale inm=\"a\" ims=@-100"),
        ("200 | ETag: W/\"a\"", "GET", "Revalidate Stale inm=W/\"a\""),
        ("200 | Cache-Control: max-age=1 | Last-Modified: @-100", "GET", "Revalidate Stale ims=@-100"),
        ("200 | Cache-Control: max-age=1 | Last-Modified: x", "GET", "Fetch Stale"),
        ("200 | Cache-Control: max-age=1", "GET", "Fetch Stale"),
        (
            "200 | Cache-Control: max-age=99, no-cache | ETag: \"a\"",
            "GET",
            "Revalidate ResponseNoCache inm=\"a\"",
        ),
        // The caller's tags go along; its If-None-Match makes our If-Modified-Since void.
        (STALE, "GET | If-None-Match: \"x\"", "Revalidate Stale inm=\"a\", \"x\""),
        (STALE, "GET | If-None-Match: \"a\", \"x\"", "Revalidate Stale inm=\"a\", \"x\""),
        (STALE, "GET | If-None-Match: *", "Fetch Stale"),
        (
            "200 | Cache-Control: max-age=1 | Last-Modified: @-100",
            "GET | If-None-Match: \"x\"",
            "Fetch Stale",
        ),
        (STALE, "GET | If-Modified-Since: @-50", "Revalidate Stale inm=\"a\" ims=@-100"),
        // The origin alone can judge these.
        (STALE, "GET | If-Match: \"a\"", "Fetch OriginCondition"),
        (STALE, "GET | If-Unmodified-Since: @-50", "Fetch OriginCondition"),
    ];
    for (response, request, expected) in table {
        assert_eq!(
            decide(&private(), &req(request), &[stored(response)], 10),
            expected,
            "{response} {request}"
        );
    }
}

#[test]
fn the_callers_conditions_are_answered() {
    let full = "200 | Cache-Control: max-age=60 | ETag: \"a\" | Last-Modified: @-100";
    let dated = "200 | Cache-Control: max-age=60 | Date: @-10";
    let weak = "200 | Cache-Control: max-age=60 | ETag: W/\"a\"";
    let missing = "404 | Cache-Control: max-age=60 | ETag: \"a\"";
    let (yes, no) = ("Serve 0 NotModified Fresh", "Serve 0 Full Fresh");
    let table = [
        (full, "If-None-Match: \"a\"", yes),
        (full, "If-None-Match: W/\"a\"", yes),
        (full, "If-None-Match: \"1\", \"a\", \"2\"", yes),
        (full, "If-None-Match: \"1\" | If-None-Match: \"a\"", yes),
        (full, "If-None-Match: *", yes),
        (full, "If-None-Match: \"1,\\\"a\\\"\"", no),
        (full, "If-None-Match: \"b\"", no),
        (full, "If-None-Match: \"a\" | If-Modified-Since: @-500", yes),
        (full, "If-None-Match: \"b\" | If-Modified-Since: @0", no),
        (full, "If-Modified-Since: @-100", yes),
        (full, "If-Modified-Since: @-50", yes),
        (full, "If-Modified-Since: @-101", no),
        (full, "If-Modified-Since: nonsense", no),
        (dated, "If-Modified-Since: @-10", yes),
        (dated, "If-Modified-Since: @-11", no),
        (dated, "If-None-Match: \"a\"", no),
        (weak, "If-None-Match: \"a\"", yes),
        (missing, "If-None-Match: \"a\"", no),
    ];
    for (response, conditions, expected) in table {
        let request = req(&format!("GET | {conditions}"));
        assert_eq!(decide(&private(), &request, &[stored(response)], 1), expected, "{response} {conditions}");
    }
    assert_eq!(decide(&private(), &req("HEAD | If-None-Match: \"a\""), &[stored(full)], 1), yes);
}

#[test]
fn what_becomes_of_the_answer() {
    let table = [
        // §4.3.4: which stored response a 304 is about.
        (STALE, "GET", "304 | ETag: \"a\"", "Freshen 0 Full keep"),
        (STALE, "HEAD", "304 | ETag: \"a\"", "Freshen 0 Head keep"),
        (STALE, "GET", "304 | Last-Modified: @-100", "Freshen 0 Full keep"),
        (STALE, "GET", "304", "Freshen 0 Full keep"),
        (STALE, "GET", "304 | ETag: \"b\"", "Refetch"),
        (STALE, "GET", "304 | Last-Modified: @-99", "Refetch"),
        ("200 | ETag: W/\"a\"", "GET", "304 | ETag: \"a\"", "Freshen 0 Full keep"),
        // The caller's own conditions, merged into ours.
        (STALE, "GET | If-None-Match: \"x\"", "304 | ETag: \"a\"", "Freshen 0 Full keep"),
        (STALE, "GET | If-None-Match: \"a\"", "304 | ETag: \"a\"", "Freshen 0 NotModified keep"),
        (STALE, "GET | If-None-Match: \"x\"", "304 | ETag: \"x\"", "Pass CallersCondition, forget [0]"),
        (STALE, "GET | If-None-Match: \"x\"", "304", "Refetch"),
        (STALE, "GET | If-Modified-Since: @-50", "304 | ETag: \"a\"", "Freshen 0 NotModified keep"),
        (STALE, "GET | If-Modified-Since: @-500", "304 | ETag: \"a\"", "Freshen 0 Full keep"),
        (STALE, "GET | Range: bytes=0-1", "304 | ETag: \"a\"", "Freshen 0 0-1 keep"),
        // A 304 that forbids keeping.
        (
            STALE,
            "GET",
            "304 | ETag: \"a\" | Cache-Control: no-store",
            "Freshen 0 Full Remove(ResponseNoStore)",
        ),
        (STALE, "GET", "304 | ETag: \"a\" | Vary: *", "Freshen 0 Full Remove(VaryStar) reselected"),
        (STALE, "GET | Cache-Control: no-cache", "304 | ETag: \"a\"", "Freshen 0 Full keep"),
        (STALE, "GET", "304 | ETag: \"a\" | Vary: Foo", "Freshen 0 Full keep reselected"),
        // §4.3.3: a full response takes the stored one's place.
        (STALE, "GET", "200 | Cache-Control: max-age=5", "Store"),
        (STALE, "GET", "200 | Cache-Control: max-age=5 | Vary: Foo", "Store, forget [0]"),
        (STALE, "GET", "200 | Cache-Control: no-store", "Pass ResponseNoStore, forget [0]"),
        (STALE, "GET", "200", "Pass NotReusable, forget [0]"),
        (STALE, "GET", "404", "Pass NotReusable, forget [0]"),
        (STALE, "GET", "401", "Pass NoFreshness"),
        (STALE, "GET", "503", "Pass NoFreshness"),
        (STALE, "GET | Range: bytes=0-1", "206 | ETag: \"b\"", "Pass Partial, forget [0]"),
        (STALE, "GET | Range: bytes=0-1", "206 | ETag: \"a\"", "Pass Partial"),
        (STALE, "GET | Range: bytes=90-", "416", "Pass StatusNotStored"),
        // The request's no-store says nothing of what is stored.
        (STALE, "GET | Cache-Control: no-store", "200 | Cache-Control: max-age=5", "Pass RequestNoStore"),
    ];
    for (response, request, answer, expected) in table {
        let after = exchange(&private(), &req(request), &[stored(response)], 10, answer);
        assert_eq!(outcome(&after), expected, "{request} → {answer}");
    }
}

#[test]
fn a_304_to_one_user_leaves_a_shared_response_alone() {
    let explicit = shared().set_cookie(SetCookie::Explicit);
    let public = "200 | Cache-Control: max-age=1, public | ETag: \"a\"";
    let table = [
        (&shared(), STALE, "GET | Authorization: x", "304 | ETag: \"a\"", "Untouched"),
        (&shared(), public, "GET | Authorization: x", "304 | ETag: \"a\"", "keep"),
        (&shared(), STALE, "GET", "304 | ETag: \"a\" | Set-Cookie: a=b", "Untouched"),
        (&explicit, STALE, "GET", "304 | ETag: \"a\" | Set-Cookie: a=b", "keep"),
        (&shared(), STALE, "GET", "304 | ETag: \"a\" | Cache-Control: private", "Remove(Private)"),
    ];
    for (options, response, request, answer, keep) in table {
        let after = exchange(options, &req(request), &[stored(response)], 10, answer);
        assert_eq!(outcome(&after), format!("Freshen 0 Full {keep}"), "{request} → {answer}");
    }
}

#[test]
fn a_304_updates_what_it_may() {
    let old = "200 | Cache-Control: max-age=1 | ETag: \"a\" | Age: 9 | Test: old | Kept: 1 | Set-Cookie: a=1 | \
               Content-Length: 10 | Content-Type: text/plain | Content-Encoding: br | Date: @-10";
    let new = "304 | Cache-Control: max-age=60 | ETag: \"a\" | Test: new | Set-Cookie: b=1 | Set-Cookie: c=2 | \
               Content-Length: 0 | Content-Type: text/html | Content-Encoding: gzip | Content-Range: x | \
               Connection: hop | hop: 1 | Keep-Alive: 1";
    let after = exchange(&private(), &req("GET"), &[stored(old)], 10, new);
    let Outcome::Freshen { head, keep, .. } = &after.outcome else { panic!("{after:?}") };
    let mut found: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .filter(|field| !field.starts_with("date"))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "cache-control: max-age=60",
            "content-encoding: br",
            "content-length: 10",
            "content-type: text/plain",
            "etag: \"a\"",
            "kept: 1",
            "set-cookie: b=1",
            "set-cookie: c=2",
            "test: new",
        ]
    );
    assert_eq!(head.headers["date"], format_date(at(10)));
    assert_eq!((head.requested_at, head.responded_at), (at(10), at(10)));
    assert_eq!(*keep, Keep::Until(at(10 + 60 + 7 * 24 * 60 * 60)));
    // An Age that the 304 does not repeat is over, and so is a Date.
    let silent = exchange(&private(), &req("GET"), &[stored(old)], 10, "304 | ETag: \"a\" | Date: none");
    assert_eq!(silent.freshness.map(|freshness| freshness.age(at(10))), Some(Duration::ZERO));
}

#[test]
fn the_right_variant_is_freshened() {
    let variant = |foo: &str, rest: &str| {
        stored_for(
            &format!("GET | Foo: {foo}"),
            &format!("200 | Cache-Control: max-age=1 | Vary: Foo | {rest}"),
        )
    };
    let heads =
        [variant("1", "ETag: \"1\""), variant("2", "ETag: \"2\""), variant("3", "ETag: \"3\" | Date: @5")];
    let table = [
        ("GET | Foo: 2", "304 | ETag: \"2\"", "Freshen 1 Full keep"),
        // Only what was offered counts.
        ("GET | Foo: 2", "304 | ETag: \"1\"", "Refetch"),
        ("GET | Foo: 9", "304 | ETag: \"1\"", "Freshen 0 Full keep"),
        ("GET | Foo: 9", "304 | ETag: \"3\"", "Freshen 2 Full keep"),
        ("GET | Foo: 9", "304 | ETag: \"9\"", "Refetch"),
        ("GET | Foo: 9", "304", "Refetch"),
        ("GET | Foo: 9", "304 | Last-Modified: @-5", "Refetch"),
    ];
    for (request, answer, expected) in table {
        assert_eq!(
            outcome(&exchange(&private(), &req(request), &heads, 10, answer)),
            expected,
            "{request} {answer}"
        );
    }
    // Freshened for another request, a variant still answers those that it answered before, and no others.
    let after = exchange(
        &private(),
        &req("GET | Foo: 9"),
        &heads,
        10,
        "304 | ETag: \"1\" | Cache-Control: max-age=60",
    );
    let Outcome::Freshen { head, .. } = after.outcome else { panic!() };
    assert_eq!(
        decide(&private(), &req("GET | Foo: 1"), std::slice::from_ref(&head), 20),
        "Serve 0 Full Fresh"
    );
    assert_eq!(decide(&private(), &req("GET | Foo: 9"), &[*head], 20), "Revalidate VaryMismatch inm=\"1\"");
}

#[test]
fn a_304_that_varies_otherwise_selects_by_the_current_request() {
    let answer = "304 | ETag: \"a\" | Cache-Control: max-age=60 | Vary: Foo";
    let after = exchange(&private(), &req("GET | Foo: 1"), &[stored(STALE)], 10, answer);
    let Outcome::Freshen { head, reselected: true, .. } = after.outcome else { panic!("{after:?}") };
    assert_eq!(
        decide(&private(), &req("GET | Foo: 1"), std::slice::from_ref(&head), 20),
        "Serve 0 Full Fresh"
    );
    assert_eq!(decide(&private(), &req("GET | Foo: 2"), &[*head], 20), "Revalidate VaryMismatch inm=\"a\"");
}

#[test]
fn a_head_updates_a_get_or_shows_it_outdated() {
    let get =
        "200 | Cache-Control: max-age=1 | ETag: \"a\" | Last-Modified: @-100 | Content-Length: 10 | Test: 1";
    let table = [
        (get, "200 | Cache-Control: max-age=1000 | ETag: \"a\"", "Freshen 0 Head keep"),
        (get, "200 | Cache-Control: max-age=1000", "Freshen 0 Head keep"),
        (get, "200 | Cache-Control: max-age=1000 | Content-Length: 10", "Freshen 0 Head keep"),
        (get, "200 | Cache-Control: max-age=1000 | Content-Length: 11", "Store, forget [0]"),
        (get, "200 | Cache-Control: max-age=1000 | ETag: \"b\"", "Store, forget [0]"),
        (get, "200 | Cache-Control: max-age=1000 | Last-Modified: @-9", "Store, forget [0]"),
        (get, "200 | Cache-Control: no-store | ETag: \"b\"", "Pass ResponseNoStore, forget [0]"),
        (get, "404", "Pass NotReusable, forget [0]"),
        // What failed says nothing of the resource, and must not take its place.
        (get, "500 | Cache-Control: max-age=9", "Pass StatusNotStored"),
        (get, "403 | Cache-Control: max-age=9", "Pass StatusNotStored"),
    ];
    for (response, answer, expected) in table {
        let after = exchange(&private(), &req("HEAD"), &[stored(response)], 10, answer);
        assert_eq!(outcome(&after), expected, "{answer}");
    }
}
