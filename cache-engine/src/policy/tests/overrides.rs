//! Settings over what header fields forbid, and what no setting lifts.

use cache_api::SetBy;

use super::*;

const FORBIDDING: [&str; 5] = [
    "no-store, max-age=60",
    "no-cache, max-age=60",
    "no-store, no-cache, max-age=60",
    "must-revalidate, no-store, max-age=60",
    "must-understand, no-store, no-cache, max-age=60",
];

fn stores(options: &Options, request: &Req, answer: &str) -> String {
    outcome(&exchange(options, request, &[], 0, answer))
}

fn head(options: &Options, request: &Req, answer: &str) -> Head {
    let after = exchange(options, request, &[], 0, answer);
    let Outcome::Store { head, .. } = after.outcome else { panic!("{answer}: {after:?}") };
    *head
}

#[test]
fn what_fields_forbid_is_stored_and_served_where_a_setting_says_so() {
    let by_rule = |always: bool| Rule::new("rule").always_cache(always).over(&private());
    let plain = || req("GET");
    let asked = || req("GET").with(|controls| controls.always_cache = true);
    let ways = [
        (private().always_cache(true), plain(), SetBy::Client),
        (by_rule(true), plain(), SetBy::Rule),
        (private(), asked(), SetBy::Request),
        (by_rule(false), asked(), SetBy::Request),
        (private().ttl(Expiry::after_secs(60)), plain(), SetBy::Client),
    ];
    for cc in FORBIDDING {
        let answer = format!("200 | Cache-Control: {cc}");
        for (options, request, by) in &ways {
            let after = exchange(options, request, &[], 0, &answer);
            assert!(after.reasons.contains(Reason::Overridden(*by)), "{cc}: {:?}", after.reasons);
            let heads = [head(options, request, &answer)];
            // Whoever asks without the control finds it like any other.
            let before = ask_before(options, &req("GET"), &heads, 59);
            assert!(matches!(before.decision, Decision::Serve { .. }), "{cc}: {before:?}");
            assert!(before.reasons.contains(Reason::Overridden(*by)), "{cc}: {:?}", before.reasons);
            assert!(!decide(options, &req("GET"), &heads, 60).starts_with("Serve"), "{cc}");
        }
        for options in [private(), Rule::new("rule").always_cache(false).over(&private().always_cache(true))]
        {
            assert_ne!(stores(&options, &plain(), &answer), "Store", "{cc}");
        }
    }
    // It says nothing of how long.
    let always = private().always_cache(true);
    assert_eq!(stores(&always, &plain(), "200 | Cache-Control: no-store"), "Pass NotReusable");
    let dated = always.expiry(Expiry::after_secs(9));
    assert_eq!(stores(&dated, &plain(), "200 | Cache-Control: no-store"), "Store");
    // An expiry alone overrides nothing.
    let expiry = req("GET").with(|controls| controls.expiry = Some(Expiry::after_secs(60)));
    assert_eq!(stores(&private(), &expiry, "200 | Cache-Control: no-store"), "Pass ResponseNoStore");
}

#[test]
fn a_validation_overrides_as_the_first_answer_did() {
    let options = private().ttl(Expiry::after_secs(60));
    let heads = [head(&options, &req("GET"), "200 | Cache-Control: no-store | ETag: \"a\"")];
    let answer = "304 | Cache-Control: no-store | ETag: \"a\"";
    assert_eq!(outcome(&exchange(&options, &req("GET"), &heads, 60, answer)), "Freshen 0 Full keep");
    let strict = outcome(&exchange(&private(), &req("GET"), &heads, 60, answer));
    assert_eq!(strict, "Freshen 0 Full Remove(ResponseNoStore)");
}

/// In a shared cache: settings that would override, a request, an answer → what becomes of it.
#[test]
fn no_setting_opens_one_users_answer_to_another() {
    let shared_with = |change: fn(Options) -> Options| change(shared());
    let settings = [
        shared_with(|options| options.always_cache(true).expiry(Expiry::after_secs(600))),
        shared_with(|options| options.ttl(Expiry::after_secs(600))),
        shared_with(|options| options.ttl(Expiry::Never).always_cache(true)),
        Rule::new("rule")
            .always_cache(true)
            .precedence(ExpiryMode::Ttl)
            .expiry(Expiry::Never)
            .over(&shared()),
    ];
    let eager = |text: &str| {
        req(text).with(|controls| {
            controls.always_cache = true;
            controls.expiry = Some(Expiry::Never);
        })
    };
    // Never stored, whoever wants it.
    let refused = [
        ("GET | Authorization: a", "200"),
        ("GET | Authorization: a", "200 | Cache-Control: max-age=60"),
        ("GET | Authorization: a", "200 | Cache-Control: no-store, public, max-age=60"),
        ("GET | Authorization: a", "200 | Cache-Control: private, max-age=60"),
        ("GET | Cookie: a", "200 | Cache-Control: private, max-age=60"),
        ("GET | Cookie: a", "200 | Cache-Control: no-store, max-age=60"),
        ("GET", "200 | Cache-Control: private, max-age=60"),
        ("GET", "200 | Cache-Control: max-age=60 | Set-Cookie: a=b"),
        ("GET", "200 | Vary: *"),
    ];
    // Stored because the origin is asked each time: it stays so.
    let validated = [
        ("GET | Authorization: a", "200 | Cache-Control: must-revalidate, max-age=0 | ETag: \"a\""),
        ("GET | Authorization: a", "200 | Cache-Control: s-maxage=0 | ETag: \"a\""),
        ("GET | Authorization: a", "200 | Cache-Control: public, no-cache | ETag: \"a\""),
        ("GET | Cookie: a", "200 | Cache-Control: no-cache | ETag: \"a\""),
    ];
    for options in &settings {
        for text in refused {
            for request in [req(text.0), eager(text.0)] {
                assert_ne!(stores(options, &request, text.1), "Store", "{text:?} under {options:?}");
            }
        }
        for text in validated {
            for request in [req(text.0), eager(text.0)] {
                let heads = [head(options, &request, text.1)];
                for mut other in [req("GET | Authorization: b"), req("GET | Cookie: b"), req("GET")] {
                    for force in [false, true] {
                        other.controls.force_cache = force;
                        let then = decide(options, &other, &heads, 1);
                        assert!(then.starts_with("Revalidate"), "{text:?} under {options:?}: {then}");
                    }
                }
            }
        }
        // What §3.5 opens is fresh for as long as its origin says, and no longer.
        let open =
            [head(options, &eager("GET | Authorization: a"), "200 | Cache-Control: public, max-age=60")];
        assert_eq!(decide(options, &req("GET"), &open, 59), "Serve 0 Full Fresh");
        assert_eq!(decide(options, &req("GET"), &open, 60), "Fetch Stale");
        // Whoever names nobody is nobody's answer.
        assert_eq!(stores(options, &req("GET"), "200 | Cache-Control: no-store"), "Store");
        // A tenant keeps users apart.
        let scoped = options.clone().tenant_scoped(true);
        assert_eq!(stores(&scoped, &req("GET | Authorization: a"), "200 | Cache-Control: no-store"), "Store");
        assert_eq!(
            stores(&scoped, &req("GET | Authorization: a"), "200 | Cache-Control: private"),
            "Pass Private"
        );
    }
}

#[test]
fn settings_may_shorten_an_authorised_answer() {
    let request = |expiry| req("GET | Authorization: a").with(|controls| controls.expiry = Some(expiry));
    let answer = "200 | Cache-Control: public, max-age=60";
    let table = [(Expiry::after_secs(5), 5), (Expiry::after_secs(60), 60), (Expiry::after_secs(61), 60)];
    for (expiry, lifetime) in table {
        let head = head(&shared(), &request(expiry), answer);
        assert_eq!(Freshness::of(&head, &shared()).remaining(at(0)).as_secs(), lifetime, "{expiry}");
    }
    assert_eq!(stores(&shared(), &request(Expiry::DoNotStore), answer), "Pass NotStored(Request)");
}

/// A private cache whose key does not tell accounts apart: under a setting only `public` opens an answer to all of them.
#[test]
fn a_private_cache_tells_accounts_apart() {
    let options = private().ttl(Expiry::after_secs(600));
    for (cc, open) in [("must-revalidate, max-age=0", false), ("s-maxage=9", false), ("public", true)] {
        let heads = [head(&options, &req("GET | Authorization: a"), &format!("200 | Cache-Control: {cc}"))];
        let other = decide(&options, &req("GET | Authorization: b"), &heads, 1);
        assert_eq!(other.starts_with("Serve"), open, "{cc}: {other}");
        assert_eq!(decide(&options, &req("GET | Authorization: a"), &heads, 1), "Serve 0 Full Fresh");
    }
}

#[test]
fn force_cache_takes_whatever_is_stored() {
    let force = |text: &str| req(text).with(|controls| controls.force_cache = true);
    let (stale, tenant) = (3600, shared().tenant_scoped(true));
    let table: &[(&Options, &str, &str, i64, &str)] = &[
        (&private(), "GET", "200 | Cache-Control: max-age=60", 1, "Serve 0 Full Fresh"),
        (&private(), "GET", "200 | Cache-Control: max-age=60", stale, "Serve 0 Full ForceCache"),
        (
            &private(),
            "GET",
            "200 | Cache-Control: max-age=1, must-revalidate",
            stale,
            "Serve 0 Full ForceCache",
        ),
        (&private(), "GET", "200 | Cache-Control: no-cache", 1, "Serve 0 Full ForceCache"),
        (
            &private(),
            "GET | Cache-Control: no-cache",
            "200 | Cache-Control: max-age=60",
            1,
            "Serve 0 Full Fresh",
        ),
        (&shared(), "GET", "200 | Cache-Control: max-age=60", stale, "Serve 0 Full ForceCache"),
        (&shared(), "GET", "200 | Cache-Control: max-age=1, must-revalidate", stale, "Fetch Stale"),
        (&shared(), "GET", "200 | Cache-Control: s-maxage=1", stale, "Fetch Stale"),
        (&shared(), "GET", "200 | Cache-Control: no-cache", 1, "Fetch ResponseNoCache"),
        (&tenant, "GET", "200 | Cache-Control: no-cache", 1, "Serve 0 Full ForceCache"),
        // What is not stored for it is not served to it.
        (&private(), "GET | A: 1", "200 | Cache-Control: max-age=60 | Vary: a", 1, "Fetch VaryMismatch"),
    ];
    for (options, request, response, now, expected) in table {
        let heads = [stored(response)];
        assert_eq!(decide(options, &force(request), &heads, *now), *expected, "{request} and {response}");
    }
    assert_eq!(decide(&private(), &force("GET"), &[], 0), "Fetch NothingStored");
}
