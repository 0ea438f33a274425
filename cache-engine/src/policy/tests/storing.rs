//! RFC 9111 §3.

use super::*;

fn stores(options: &Options, request: &str, answer: &str) -> String {
    outcome(&exchange(options, &req(request), &[], 0, answer))
}

#[test]
fn what_is_stored() {
    let (private, shared) = (private(), shared());
    let table: &[(&Options, &str, &str, &str)] = &[
        (&private, "GET", "200 | Cache-Control: max-age=60", "Store"),
        (&private, "HEAD", "200 | Cache-Control: max-age=60", "Store"),
        (&private, "GET", "200 | ETag: \"a\"", "Store"),
        (&private, "GET", "200 | Expires: @60", "Store"),
        (&private, "GET", "200 | Last-Modified: @-86400", "Store"),
        (&private, "GET", "200", "Pass NotReusable"),
        (&private, "GET", "200 | Cache-Control: no-cache", "Pass NotReusable"),
        (&private, "GET", "200 | Cache-Control: max-age=0", "Pass NotReusable"),
        (&private, "GET", "200 | Cache-Control: no-cache | ETag: \"a\"", "Store"),
        (&private, "POST", "200 | Cache-Control: max-age=60", "Pass MethodNotCacheable"),
        // Statuses (§3, §4.2.2)
        (&private, "GET", "299 | Cache-Control: max-age=60", "Store"),
        (&private, "GET", "999 | Cache-Control: max-age=60", "Store"),
        (&private, "GET", "500 | Cache-Control: max-age=60", "Store"),
        (&private, "GET", "404 | Last-Modified: @-86400", "Store"),
        (&private, "GET", "201 | Last-Modified: @-86400", "Pass NoFreshness"),
        (&private, "GET", "302 | ETag: \"a\"", "Pass NoFreshness"),
        (&private, "GET", "599 | Last-Modified: @-86400", "Pass NoFreshness"),
        (&private, "GET", "599 | Last-Modified: @-86400 | Cache-Control: public", "Store"),
        (&private, "GET | Range: bytes=0-1", "206 | Cache-Control: max-age=60", "Pass Partial"),
        (
            &private,
            "GET | Range: bytes=0-1",
            "206 | Content-Range: bytes 0-1/9 | Cache-Control: no-store, must-understand, max-age=60",
            "Store",
        ),
        (&private, "GET | Range: bytes=90-", "416 | Cache-Control: max-age=60", "Pass StatusNotStored"),
        (&private, "GET | If-Match: \"a\"", "412 | Cache-Control: max-age=60", "Pass StatusNotStored"),
        (&private, "GET | If-None-Match: \"a\"", "304 | Cache-Control: max-age=60", "Pass CallersCondition"),
        // no-store and must-understand (§5.2.2.5, §5.2.2.3)
        (&private, "GET", "200 | Cache-Control: no-store, max-age=60", "Pass ResponseNoStore"),
        (
            &private,
            "GET",
            "200 | Cache-Control: max-age=60 | Cache-Control: No-StOrE",
            "Pass ResponseNoStore",
        ),
        (&private, "GET", "200 | Cache-Control: no-store, must-understand, max-age=60", "Store"),
        (&private, "GET", "599 | Cache-Control: no-store, must-understand, max-age=60", "Pass NotUnderstood"),
        (&private, "GET | Cache-Control: no-store", "200 | Cache-Control: max-age=60", "Pass RequestNoStore"),
        // private (§5.2.2.7)
        (&private, "GET", "200 | Cache-Control: private, max-age=60", "Store"),
        (&shared, "GET", "200 | Cache-Control: private, max-age=60", "Pass Private"),
        (&shared, "GET", "200 | Cache-Control: private=\"x\", max-age=60", "Store"),
        // Authorization (§3.5)
        (&private, "GET | Authorization: x", "200 | Cache-Control: max-age=60", "Store"),
        (&shared, "GET | Authorization: x", "200 | Cache-Control: max-age=60", "Pass Authorization"),
        (&shared, "GET | Authorization: x", "200 | Cache-Control: max-age=60, public", "Store"),
        (&shared, "GET | Authorization: x", "200 | Cache-Control: max-age=60, must-revalidate", "Store"),
        (&shared, "GET | Authorization: x", "200 | Cache-Control: s-maxage=60", "Store"),
        // Set-Cookie (§7.3)
        (&private, "GET", "200 | Cache-Control: max-age=60 | Set-Cookie: a=b", "Store"),
        (&shared, "GET", "200 | Cache-Control: max-age=60 | Set-Cookie: a=b", "Pass SetCookie"),
        (&shared, "GET", "200 | Cache-Control: max-age=60, public | Set-Cookie: a=b", "Store"),
        (&shared, "GET", "200 | Cache-Control: s-maxage=60 | Set-Cookie: a=b", "Store"),
        (
            &shared,
            "GET",
            "200 | Cache-Control: max-age=60, private=\"Set-Cookie\" | Set-Cookie: a=b",
            "Store",
        ),
        // Vary (§4.1)
        (&private, "GET", "200 | Cache-Control: max-age=60 | Vary: *", "Pass VaryStar"),
        (&private, "GET", "200 | Cache-Control: max-age=60 | Vary: a | Vary: b, *", "Pass VaryStar"),
        (&private, "GET", "200 | Cache-Control: max-age=60 | Vary: a, b", "Store"),
        // Pragma (§5.4)
        (
            &private,
            "GET",
            "200 | Pragma: no-cache | Last-Modified: @-86400 | Cache-Control: max-age=60",
            "Store",
        ),
    ];
    for (options, request, answer, expected) in table {
        assert_eq!(stores(options, request, answer), *expected, "{:?}: {request} → {answer}", options.mode);
    }
}

#[test]
fn what_options_allow() {
    let tenant = shared().tenant_scoped(true);
    let explicit = shared().set_cookie(SetCookie::Explicit);
    let never = shared().set_cookie(SetCookie::Never);
    let redacted =
        private().redactor(cache_api::Redactor::new().ignore(cache_api::RequestPart::Headers, ["cookie"]));
    let fallback = private().fallback(Fallback::ten_minutes());
    let posts = private().methods([Method::GET, Method::POST]);
    let table: &[(&Options, &str, &str, &str)] = &[
        (&tenant, "GET | Authorization: x", "200 | Cache-Control: max-age=60", "Store"),
        (&explicit, "GET", "200 | Cache-Control: max-age=60 | Set-Cookie: a=b", "Store"),
        (&explicit, "GET", "200 | Last-Modified: @-86400 | Set-Cookie: a=b", "Pass SetCookie"),
        (&never, "GET", "200 | Cache-Control: public, max-age=60 | Set-Cookie: a=b", "Pass SetCookie"),
        (&redacted, "GET", "200 | Cache-Control: max-age=60 | Vary: Cookie", "Pass VaryRedacted"),
        (&fallback, "GET", "200", "Store"),
        (&fallback, "HEAD", "204", "Store"),
        (&fallback, "GET", "404", "Pass NotReusable"),
        (&fallback, "GET", "200 | Cache-Control: no-store", "Pass ResponseNoStore"),
        (&fallback, "GET", "200 | Cache-Control: no-cache", "Pass NotReusable"),
        (&fallback, "GET", "200 | Pragma: no-cache", "Pass NotReusable"),
        (&posts, "POST", "200 | Cache-Control: max-age=60", "Store"),
        (&posts, "POST", "200 | Last-Modified: @-86400", "Pass NoFreshness"),
    ];
    for (options, request, answer, expected) in table {
        assert_eq!(stores(options, request, answer), *expected, "{request} → {answer}");
    }
}

#[test]
fn what_is_kept_of_the_head() {
    let answer = "200 | Cache-Control: max-age=60, no-cache=\"a, b\", private=\"p\" | Connection: c, close, cache-control | \
                  a: 1 | b: 2 | c: 3 | p: 4 | Keep-Alive: 5 | Proxy-Authentication-Info: 6 | Upgrade: 7 | \
                  Set-Cookie: x=1 | Set-Cookie: y=2 | Content-Length: 10 | Date: none";
    for (options, kept) in [(private(), true), (shared().set_cookie(SetCookie::Explicit), false)] {
        let after = exchange(&options, &req("GET"), &[], 0, answer);
        let Outcome::Store { head, keep_until } = after.outcome else { panic!("{after:?}") };
        for gone in ["a", "b", "c", "connection", "keep-alive", "proxy-authentication-info", "upgrade"] {
            assert!(!head.headers.contains_key(gone), "{gone}");
        }
        assert_eq!(head.headers.contains_key("p"), kept);
        assert_eq!(head.headers.get_all("set-cookie").iter().count(), 2);
        // A response without Date is dated; a listed Cache-Control stays.
        assert_eq!(head.headers["date"], format_date(start()));
        assert!(head.headers.contains_key("cache-control"));
        assert_eq!(keep_until, at(60 + 3600));
    }
}

#[test]
fn how_long_it_is_kept() {
    let (plain, day) = (private(), 24 * 60 * 60);
    let lenient = private().stale_if_error(secs(2 * 3600));
    let table: &[(&Options, &str, i64)] = &[
        (&plain, "200 | Cache-Control: max-age=60", 60 + 3600),
        (&plain, "200 | Cache-Control: max-age=60, must-revalidate", 60),
        (&plain, "200 | Cache-Control: max-age=60, must-revalidate | ETag: \"a\"", 60 + 7 * day),
        (&plain, "200 | Cache-Control: max-age=60, stale-if-error=9000", 60 + 9000),
        (&plain, "200 | Cache-Control: max-age=60, stale-while-revalidate=8000", 60 + 8000),
        (&plain, "200 | Cache-Control: no-cache | ETag: \"a\"", 7 * day),
        (&lenient, "200 | Cache-Control: max-age=60", 60 + 7200),
        (&lenient, "200", 7200),
        (&plain, "200 | Cache-Control: max-age=60 | Age: 50", 10 + 3600),
        (&plain, "200 | Cache-Control: max-age=99999999999", (1 << 31) + 3600),
    ];
    for (options, answer, until) in table {
        let after = exchange(options, &req("GET"), &[], 0, answer);
        let Outcome::Store { keep_until, .. } = after.outcome else { panic!("{answer}: {after:?}") };
        assert_eq!(keep_until, at(*until), "{answer}");
    }
}
