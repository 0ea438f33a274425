//! RFC 9111 §4.2.

use super::*;

#[test]
fn lifetimes() {
    let (private, shared) = (private(), shared());
    let fallback = private.clone().fallback(Fallback::new(secs(600)));
    let day = 24 * 60 * 60;
    let table: &[(&Options, &str, Source, u64)] = &[
        (&private, "200 | Cache-Control: max-age=60", Source::MaxAge, 60),
        (&private, "200 | Cache-Control: max-age=60, s-maxage=5", Source::MaxAge, 60),
        (&shared, "200 | Cache-Control: max-age=60, s-maxage=5", Source::SMaxAge, 5),
        (&private, "200 | Cache-Control: max-age=60 | Expires: @-7200", Source::MaxAge, 60),
        (&private, "200 | Cache-Control: max-age=60 | Expires: 0", Source::MaxAge, 60),
        (&private, "200 | Cache-Control: max-age=0 | Expires: @3600", Source::MaxAge, 0),
        (&private, "200 | Cache-Control: max-age=x | Expires: @3600", Source::MaxAge, 0),
        (&private, "200 | Expires: @60", Source::Expires, 60),
        (&private, "200 | Expires: @60 | Date: @-60", Source::Expires, 120),
        (&private, "200 | Expires: @60 | Date: none", Source::Expires, 60),
        (&private, "200 | Expires: @60 | Date: nonsense", Source::Expires, 60),
        (&private, "200 | Expires: 0", Source::Expires, 0),
        (&private, "200 | Expires: @-60", Source::Expires, 0),
        (&private, "200 | Expires: Thu, 18 Aug 2050 02:01:18 UTC", Source::Expires, 0),
        (&private, "200 | Expires: @60 | Expires: @61", Source::Expires, 0),
        (&private, "200 | Expires: @60 | Expires: @60", Source::Expires, 60),
        (&private, "200 | Last-Modified: @-1000", Source::Heuristic, 100),
        (&private, "200 | Last-Modified: @-86400000", Source::Heuristic, day),
        (&private, "200 | Last-Modified: @1000", Source::Heuristic, 0),
        (&private, "200 | Last-Modified: nonsense", Source::Nothing, 0),
        (&private, "201 | Last-Modified: @-1000", Source::Nothing, 0),
        (&private, "201 | Last-Modified: @-1000 | Cache-Control: public", Source::Heuristic, 100),
        (&private, "200 | Last-Modified: @-1000 | Pragma: no-cache", Source::Nothing, 0),
        (&private, "200", Source::Nothing, 0),
        (&fallback, "200", Source::Fallback, 600),
        (&fallback, "200 | Last-Modified: @-1000", Source::Fallback, 600),
        (&fallback, "200 | Cache-Control: max-age=5", Source::MaxAge, 5),
        (&fallback, "404", Source::Nothing, 0),
        (&fallback, "404 | Last-Modified: @-1000", Source::Heuristic, 100),
    ];
    for (options, response, source, lifetime) in table {
        let found = Freshness::of(&stored(response), options);
        assert_eq!((found.source, found.lifetime.as_secs()), (*source, *lifetime), "{response}");
    }
}

#[test]
fn ages() {
    // Date, Age, seconds from request to response → age on arrival.
    let table = [
        ("200", 0, 0),
        ("200", 3, 3),
        ("200 | Date: none", 0, 0),
        ("200 | Date: @-100", 0, 100),
        // A clock ahead of ours is no negative age.
        ("200 | Date: @100", 0, 0),
        ("200 | Age: 30", 0, 30),
        ("200 | Age: 30", 4, 34),
        ("200 | Age: 30 | Date: @-100", 0, 100),
        ("200 | Age: 300 | Date: @-100", 0, 300),
        ("200 | Age: abc", 0, 0),
        ("200 | Age: -7200", 0, 0),
        ("200 | Age: 7200.0", 0, 0),
        ("200 | Age: 7200, 0", 0, 7200),
        ("200 | Age: 0, 7200", 0, 0),
        ("200 | Age: 7200 | Age: 0", 0, 7200),
        ("200 | Age: 7200;foo=bar", 0, 7200),
        ("200 | Age: 99999999999999999999", 0, 1 << 31),
    ];
    for (response, delay, age) in table {
        let mut head = stored(response);
        head.requested_at = at(-delay);
        let freshness = Freshness::of(&head, &private());
        assert_eq!(freshness.age(start()), secs(age), "{response}");
        assert_eq!(freshness.age(at(7)), secs(age + 7), "{response}");
        // A clock that went back makes nothing younger than it came.
        assert_eq!(freshness.age(at(-7)), secs(age), "{response}");
    }
}

#[test]
fn fresh_until_its_age_reaches_its_lifetime() {
    let heads = [stored("200 | Cache-Control: max-age=60 | Age: 10")];
    for (now, expected, ttl) in [
        (0, "Serve 0 Full Fresh", 50),
        (49, "Serve 0 Full Fresh", 1),
        (50, "Fetch Stale", 0),
        (80, "Fetch Stale", -30),
    ] {
        assert_eq!(decide(&private(), &req("GET"), &heads, now), expected, "at {now}");
        let before = ask_before(&private(), &req("GET"), &heads, now);
        assert_eq!((before.ttl, before.age), (Some(ttl), Some(secs(10 + now.unsigned_abs()))));
    }
}
