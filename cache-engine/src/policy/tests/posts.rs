//! Answers to POST that are answers to GET: RFC 9110 §9.3.3.

use super::*;

#[test]
fn what_is_stored_for_later_gets() {
    const SELF: &str = "Content-Location: /dir/page?q";
    let (private, shared, off) = (private(), shared(), private().reuse_posts(false));
    let heads = private.clone().methods([Method::HEAD]);
    let both = private.clone().methods([Method::GET, Method::POST]);
    let not = "Pass MethodNotCacheable";
    let table: &[(&Options, &str, &str, &str)] = &[
        (&private, "POST", "200 | Cache-Control: max-age=60", "Store"),
        (&private, "POST", "200 | Expires: @60", "Store"),
        (&private, "POST", "200 | Expires: @60 | Vary: Accept", "Store"),
        (&shared, "POST", "200 | Cache-Control: s-maxage=60", "Store"),
        // Explicit freshness alone.
        (&private, "POST", "200 | Cache-Control: s-maxage=60", not),
        (&private, "POST", "200 | Last-Modified: @-86400", not),
        (&private, "POST", "200 | ETag: \"a\"", not),
        (&private, "POST", "200 | Cache-Control: public | ETag: \"a\"", not),
        // 200 alone, and POST.
        (&private, "POST", "201 | Cache-Control: max-age=60", not),
        (&private, "POST", "404 | Cache-Control: max-age=60", not),
        (&private, "PUT", "200 | Cache-Control: max-age=60", not),
        // What forbids storing forbids it here.
        (&private, "POST", "200 | Cache-Control: max-age=60, no-store", not),
        (&private, "POST", "200 | Cache-Control: max-age=60 | Vary: *", not),
        (&private, "POST | Cache-Control: no-store", "200 | Cache-Control: max-age=60", not),
        (&shared, "POST", "200 | Cache-Control: private, max-age=60", not),
        (&shared, "POST", "200 | Cache-Control: max-age=60 | Set-Cookie: a=b", not),
        (&shared, "POST | Authorization: x", "200 | Cache-Control: max-age=60", not),
        (&shared, "POST | Authorization: x", "200 | Cache-Control: max-age=60, public", "Store"),
        (&off, "POST", "200 | Cache-Control: max-age=60", not),
        (&heads, "POST", "200 | Cache-Control: max-age=60", not),
    ];
    for (options, request, answer, expected) in table {
        let after = exchange(options, &req(request), &[], 0, &format!("{answer} | {SELF}"));
        assert_eq!(outcome(&after), *expected, "{:?}: {request} → {answer}", options.mode);
        if let Outcome::Store { head, .. } = &after.outcome {
            assert_eq!(head.method, Method::GET);
            assert_eq!(after.reason(), Reason::PostReused);
            assert!(!after.invalidates.is_empty(), "what is stored goes first");
        }
    }
    for (location, expected) in [
        ("Content-Location: https://a.example/dir/page?q", "Store"),
        ("Content-Location: page?q#part", "Store"),
        ("Content-Location: ?q", "Store"),
        ("Content-Location: page", not),
        ("Content-Location: /other", not),
        ("Content-Location: https://b.example/dir/page?q", not),
        ("Content-Location: http://a.example/dir/page?q", not),
        ("Content-Location: /dir/page?q | Content-Location: /other", not),
        ("Location: /dir/page?q", not),
    ] {
        let answer = format!("200 | Cache-Control: max-age=60 | {location}");
        assert_eq!(outcome(&exchange(&private, &req("POST"), &[], 0, &answer)), expected, "{location}");
        let bypass = req("POST").with(|controls| controls.bypass = true);
        assert_eq!(outcome(&exchange(&private, &bypass, &[], 0, &answer)), "Pass Bypass");
        let no_store = req("POST").with(|controls| controls.no_store = true);
        assert_eq!(outcome(&exchange(&private, &no_store, &[], 0, &answer)), not);
    }
    // Where POST is cached in its own right, its answer is one to the same POST.
    let after = exchange(&both, &req("POST"), &[], 0, &format!("200 | Cache-Control: max-age=60 | {SELF}"));
    let Outcome::Store { head, .. } = after.outcome else { panic!("{after:?}") };
    assert_eq!(head.method, Method::POST);
}
