//! What a hostile origin or caller writes into fields to have an answer served longer, to others, or at a price.

use super::*;

/// For how long a response is fresh whose fields try to make it longer, or to overflow.
#[test]
fn no_number_makes_an_answer_fresher() {
    let (huge, most) = ("99999999999999999999999999999999", 1 << 31);
    let table: &[(String, u64)] = &[
        (format!("200 | Cache-Control: max-age={huge}"), most),
        (format!("200 | Cache-Control: max-age={}", u64::MAX), most),
        ("200 | Cache-Control: max-age=4294967297".into(), most),
        ("200 | Cache-Control: max-age=-1".into(), 0),
        ("200 | Cache-Control: max-age=+60".into(), 0),
        ("200 | Cache-Control: max-age=0x60".into(), 0),
        ("200 | Cache-Control: max-age=6e1".into(), 0),
        ("200 | Cache-Control: max-age=1 | Cache-Control: max-age=1000".into(), 1),
        ("200 | Cache-Control: max-age=60 | Expires: Fri, 31 Dec 9999 23:59:59 GMT".into(), 60),
        ("200 | Expires: Fri, 31 Dec 10000 23:59:59 GMT".into(), 0),
        ("200 | Expires: Thu, 01 Jan 1970 00:00:00 GMT | Date: Fri, 31 Dec 9999 23:59:59 GMT".into(), 0),
        ("200 | Last-Modified: Sat, 01 Jan 0000 00:00:00 GMT".into(), 24 * 60 * 60),
        ("200 | Last-Modified: Fri, 31 Dec 9999 23:59:59 GMT".into(), 0),
    ];
    for (answer, seconds) in table {
        assert_eq!(Freshness::of(&stored(answer), &private()).lifetime, secs(*seconds), "{answer}");
    }
}

/// An age that overflows is a great one: the response is stale, and the clock does not panic.
#[test]
fn no_age_makes_an_answer_younger() {
    let huge = "99999999999999999999999999999999";
    let table = [
        (format!("Age: {huge}"), "Revalidate Stale inm=\"a\""),
        (format!("Age: {huge}, 0"), "Revalidate Stale inm=\"a\""),
        ("Age: 61".into(), "Revalidate Stale inm=\"a\""),
        ("Age: 61 | Age: 0".into(), "Revalidate Stale inm=\"a\""),
        ("Date: Sun, 06 Nov 1994 08:49:37 GMT".into(), "Revalidate Stale inm=\"a\""),
        ("Age: 59".into(), "Serve 0 Full Fresh"),
        ("Age: -1".into(), "Serve 0 Full Fresh"),
        ("Date: Fri, 31 Dec 9999 23:59:59 GMT".into(), "Serve 0 Full Fresh"),
    ];
    for (fields, expected) in table {
        let head = stored(&format!("200 | Cache-Control: max-age=60 | ETag: \"a\" | {fields}"));
        assert_eq!(decide(&private(), &req("GET"), &[head], 0), expected, "{fields}");
    }
    // From the future, and for as long as from there: its lifetime counts from its arrival.
    let head = stored("200 | Cache-Control: max-age=60 | ETag: \"a\" | Date: Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(decide(&private(), &req("GET"), &[head], 61), "Revalidate Stale inm=\"a\"");
}

/// What one request put into a shared cache, and what another one gets of it.
#[test]
fn what_one_users_answer_is_to_another() {
    let table = [
        // What varies on a field of one connection is compared like any other.
        ("GET | TE: trailers", "Vary: TE", "GET", "Fetch VaryMismatch"),
        ("GET | Connection: x-a | X-A: 1", "Vary: Connection, X-A", "GET | X-A: 1", "Fetch VaryMismatch"),
        (
            "GET | Proxy-Authorization: a",
            "Vary: Proxy-Authorization",
            "GET | Proxy-Authorization: b",
            "Fetch VaryMismatch",
        ),
        ("GET | Cookie: a=1; b=2", "Vary: Cookie", "GET | Cookie: a=1;b=2", "Fetch VaryMismatch"),
        ("GET | Cookie: a=1 | Cookie: b=2", "Vary: Cookie", "GET | Cookie: a=1b=2", "Fetch VaryMismatch"),
        ("GET | Cookie: a", "Vary: cOOkie", "GET | cookie: a", "Serve 0 Full Fresh"),
        // A list that was made unreadable hides none of its fields.
        ("GET | Cookie: a", "Vary: Accept, Cookie", "GET | Cookie: b", "Fetch VaryMismatch"),
        ("GET | Cookie: a", "Vary: Accept | Vary: Cookie", "GET", "Fetch VaryMismatch"),
        // A field that an origin reflects and does not vary on is its own to name.
        ("GET | X-Forwarded-Host: evil", "Vary: X-Forwarded-Host", "GET", "Fetch VaryMismatch"),
        ("GET | Origin: https://evil", "Vary: Origin", "GET | Origin: https://b", "Fetch VaryMismatch"),
    ];
    for (one, vary, other, expected) in table {
        let after =
            exchange(&shared(), &req(one), &[], 0, &format!("200 | Cache-Control: max-age=60 | {vary}"));
        let Outcome::Store { head, .. } = after.outcome else { panic!("{one}: {after:?}") };
        assert_eq!(
            decide(&shared(), &req(one), std::slice::from_ref(&head), 1),
            "Serve 0 Full Fresh",
            "{one}"
        );
        assert_eq!(decide(&shared(), &req(other), &[*head], 1), expected, "{one}, then {other}");
    }
}

/// What is not stored at all, lest it be another's.
#[test]
fn what_a_shared_cache_refuses() {
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("x-{number}")).collect();
        format!("200 | Cache-Control: max-age=60 | Vary: {}", names.join(", "))
    };
    let (most, too_many) = (many(64), many(65));
    let table = [
        ("GET | Authorization: a", "200 | Cache-Control: max-age=60", "Pass Authorization"),
        ("GET | authorization: a", "200 | Expires: @60", "Pass Authorization"),
        ("GET | Authorization:", "200 | Cache-Control: max-age=60", "Pass Authorization"),
        ("GET", "200 | Cache-Control: max-age=60 | Set-Cookie: id=1", "Pass SetCookie"),
        ("GET", "200 | Cache-Control: PRIVATE, max-age=60", "Pass Private"),
        ("GET", "200 | Cache-Control: private=\"x, max-age=60", "Pass Private"),
        (
            "GET",
            "200 | Cache-Control: max-age=60 | Connection: cache-control | Cache-Control: private",
            "Pass Private",
        ),
        ("GET", "200 | Cache-Control: x=\"a, no-store\", max-age=60", "Store"),
        ("GET", "200 | Cache-Control: x=\"a, no-store, max-age=60", "Pass ResponseNoStore"),
        ("GET", "200 | Cache-Control: max-age=60 | Vary: *, Accept", "Pass VaryStar"),
        ("GET", "200 | Cache-Control: max-age=60 | Vary: Accept; Cookie", "Pass VaryStar"),
        ("GET", &*most, "Store"),
        ("GET", &*too_many, "Pass VaryStar"),
    ];
    for (request, answer, expected) in table {
        assert_eq!(
            outcome(&exchange(&shared(), &req(request), &[], 0, answer)),
            expected,
            "{request} → {answer}"
        );
    }
}

/// A 304 cannot put one user's cookies beside another's answer, nor turn an answer that is shared into a private one.
#[test]
fn what_a_304_brings_to_a_shared_answer() {
    let stale = || [stored("200 | Cache-Control: max-age=1, public | ETag: \"a\"")];
    for (answer, expected) in [
        ("304 | ETag: \"a\" | Cache-Control: max-age=60 | Set-Cookie: id=1", "Freshen 0 Full Untouched"),
        ("304 | ETag: \"a\" | Cache-Control: private, max-age=60", "Freshen 0 Full Remove(Private)"),
        ("304 | ETag: \"a\" | Cache-Control: no-store", "Freshen 0 Full Remove(ResponseNoStore)"),
    ] {
        assert_eq!(outcome(&exchange(&shared(), &req("GET"), &stale(), 10, answer)), expected, "{answer}");
    }
}
