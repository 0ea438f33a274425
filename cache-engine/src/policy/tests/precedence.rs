//! Who says how long a response is fresh: each pair of settings in both orders, and the order of each mode.

use cache_api::SetBy;

use super::*;

/// Each setting says another lifetime: the request 10 s, the rule 20 s, the client 30 s, the response 40 s.
fn all_set(order: impl Into<Precedence>) -> (Options, Req) {
    let options = private().precedence(order).expiry(Expiry::after_secs(30));
    let options = Rule::new("rule").expiry(Expiry::after_secs(20)).over(&options);
    (options, req("GET").with(|controls| controls.expiry = Some(Expiry::after_secs(10))))
}

const ANSWER: &str = "200 | Cache-Control: max-age=40";

fn stored_by(options: &Options, request: &Req, answer: &str) -> Head {
    let after = exchange(options, request, &[], 0, answer);
    let Outcome::Store { head, .. } = after.outcome else { panic!("{after:?}") };
    *head
}

/// Who decided how fresh the answer to a request is: the lifetime and the reasons have to agree, and what is stored says it.
fn decided(options: &Options, request: &Req, answer: &str) -> Setting {
    let head = stored_by(options, request, answer);
    let by = match Freshness::of(&head, options).lifetime.as_secs() {
        10 => Setting::Request,
        20 => Setting::Rule,
        30 => Setting::Client,
        40 => Setting::ResponseHeaders,
        other => panic!("{other} s"),
    };
    let named = match by {
        Setting::Request => Some(Reason::ExpirySet(SetBy::Request)),
        Setting::Rule => Some(Reason::ExpirySet(SetBy::Rule)),
        Setting::Client => Some(Reason::ExpirySet(SetBy::Client)),
        _ => None,
    };
    let stored = exchange(options, request, &[], 0, answer).reasons;
    let served = ask_before(options, &req("GET"), &[head], 1).reasons;
    for reasons in [stored, served] {
        let set = reasons.iter().find(|reason| matches!(reason, Reason::ExpirySet(_)));
        assert_eq!(set, named, "{reasons}");
    }
    by
}

/// Whether a request's `max-age=0` counts for what is stored so.
fn request_counts(options: &Options, request: &Req) -> bool {
    let heads = [stored_by(options, request, ANSWER)];
    match decide(options, &req("GET | Cache-Control: max-age=0"), &heads, 1).as_str() {
        "Fetch RequestMaxAge" => true,
        "Serve 0 Full Fresh" => false,
        other => panic!("{other}"),
    }
}

#[test]
fn of_each_pair_the_first_decides() {
    use Setting::{Client, Request, RequestHeaders, ResponseHeaders, Rule};
    let all = [Request, Rule, Client, ResponseHeaders];
    for one in all {
        for other in all.into_iter().filter(|other| *other != one) {
            let (options, request) = all_set(Precedence::new([one, other]).unwrap());
            assert_eq!(decided(&options, &request, ANSWER), one, "{one:?} before {other:?}");
        }
        let (first, request) = all_set(Precedence::new([RequestHeaders, one]).unwrap());
        assert_eq!(decided(&first, &request, ANSWER), one);
        assert!(request_counts(&first, &request), "{one:?}");
        let (behind, request) = all_set(Precedence::new([one, RequestHeaders]).unwrap());
        assert_eq!(decided(&behind, &request, ANSWER), one);
        assert!(!request_counts(&behind, &request), "{one:?}");
    }
}

#[test]
fn the_order_of_each_mode() {
    use Setting::{Client, Request, RequestHeaders, ResponseHeaders, Rule};
    let table: &[(ExpiryMode, &[Setting])] = &[
        (ExpiryMode::Rfc9111, &[RequestHeaders, Request, Rule, ResponseHeaders, Client]),
        (ExpiryMode::Mixed, &[RequestHeaders, ResponseHeaders, Request, Rule, Client]),
        (ExpiryMode::Ttl, &[RequestHeaders, Request, Rule, Client]),
    ];
    for (mode, order) in table {
        assert_eq!(Precedence::of(*mode).iter().collect::<Vec<_>>(), *order);
        assert_eq!(Precedence::new(order.iter().copied()).unwrap(), Precedence::of(*mode));
        // Where nobody before it says anything, each decides.
        for (index, setting) in order.iter().enumerate().skip(1) {
            let (mut options, mut request) = all_set(*mode);
            let mut answer = ANSWER;
            for before in &order[..index] {
                match before {
                    Request => request.controls.expiry = None,
                    Rule => options.rule.expiry = None,
                    Client => options.expiry = None,
                    _ => {}
                }
                if *before == ResponseHeaders {
                    answer = "200";
                }
            }
            assert_eq!(decided(&options, &request, answer), *setting, "{mode:?}");
            assert!(request_counts(&options, &request), "{mode:?}");
        }
    }
    assert_eq!(Options::new().precedence, Precedence::of(ExpiryMode::Rfc9111));
}

#[test]
fn an_order_names_each_once() {
    let twice = Precedence::new([Setting::Client, Setting::Rule, Setting::Client]).unwrap_err();
    assert_eq!(twice.to_string(), "precedence: Client is named twice");
    let order = Precedence::new([Setting::Client, Setting::Rule]).unwrap();
    let table = [
        (Setting::Client, Setting::Rule, true),
        (Setting::Rule, Setting::Client, false),
        (Setting::Client, Setting::Request, true),
        (Setting::Request, Setting::Client, false),
        (Setting::Request, Setting::ResponseHeaders, false),
    ];
    for (one, other, before) in table {
        assert_eq!(order.is_before(one, other), before, "{one:?}, {other:?}");
    }
}

/// `(mode, answer) → lifetime` with a client-wide expiry of 600 s: what is stored, and for how long.
#[test]
fn modes() {
    let table: &[(ExpiryMode, &str, Result<u64, &str>)] = &[
        (ExpiryMode::Rfc9111, "200 | Cache-Control: max-age=5", Ok(5)),
        (ExpiryMode::Rfc9111, "200", Ok(600)),
        (ExpiryMode::Rfc9111, "200 | Last-Modified: @-1000", Ok(600)),
        (ExpiryMode::Rfc9111, "200 | Cache-Control: no-store", Err("Pass ResponseNoStore")),
        (ExpiryMode::Mixed, "200 | Cache-Control: max-age=5", Ok(5)),
        (ExpiryMode::Mixed, "200 | Expires: @7", Ok(7)),
        (ExpiryMode::Mixed, "200", Ok(600)),
        (ExpiryMode::Mixed, "200 | Pragma: no-cache", Err("Pass NotReusable")),
        (ExpiryMode::Mixed, "200 | Cache-Control: no-store", Err("Pass ResponseNoStore")),
        (ExpiryMode::Ttl, "200 | Cache-Control: max-age=5", Ok(600)),
        (ExpiryMode::Ttl, "200", Ok(600)),
        (ExpiryMode::Ttl, "200 | Expires: 0", Ok(600)),
        (ExpiryMode::Ttl, "200 | Pragma: no-cache", Ok(600)),
        (ExpiryMode::Ttl, "200 | Age: 500", Ok(600)),
        (ExpiryMode::Ttl, "200 | Cache-Control: no-store", Ok(600)),
        (ExpiryMode::Ttl, "200 | Cache-Control: no-cache, must-revalidate, max-age=0", Ok(600)),
        (ExpiryMode::Ttl, "200 | Vary: *", Err("Pass VaryStar")),
        (ExpiryMode::Ttl, "302 | Cache-Control: max-age=5", Err("Pass NoExpirySet")),
        (ExpiryMode::Ttl, "404 | Cache-Control: max-age=5", Err("Pass NoExpirySet")),
        (ExpiryMode::Ttl, "500 | Cache-Control: max-age=5", Err("Pass NoExpirySet")),
    ];
    for (mode, answer, expected) in table {
        let options = private().precedence(*mode).expiry(Expiry::after_secs(600));
        let after = exchange(&options, &req("GET"), &[], 0, answer);
        match expected {
            Err(reason) => assert_eq!(outcome(&after), *reason, "{mode:?}: {answer}"),
            Ok(lifetime) => {
                let heads = [stored_by(&options, &req("GET"), answer)];
                let freshness = Freshness::of(&heads[0], &options);
                assert_eq!(freshness.remaining(at(0)).as_secs(), *lifetime, "{mode:?}: {answer}");
                let (last, first) =
                    (i64::try_from(*lifetime).unwrap() - 1, i64::try_from(*lifetime).unwrap());
                assert_eq!(decide(&options, &req("GET"), &heads, last), "Serve 0 Full Fresh", "{answer}");
                assert!(!decide(&options, &req("GET"), &heads, first).starts_with("Serve"), "{answer}");
            }
        }
    }
    let nothing_set = private().precedence(ExpiryMode::Ttl);
    let after = exchange(&nothing_set, &req("GET"), &[], 0, "200 | Cache-Control: max-age=60");
    assert_eq!(outcome(&after), "Pass NoExpirySet");
}

#[test]
fn expiries() {
    let table: &[(Expiry, &str, Result<&str, &str>)] = &[
        (Expiry::Never, "200 | Cache-Control: max-age=5", Ok("Serve 0 Full Fresh")),
        (Expiry::after_secs(1001), "200", Ok("Serve 0 Full Fresh")),
        (Expiry::after_secs(1000), "200 | ETag: \"a\"", Ok("Revalidate Stale inm=\"a\"")),
        (Expiry::At(at(1001)), "200", Ok("Serve 0 Full Fresh")),
        (Expiry::At(at(1000)), "200 | ETag: \"a\"", Ok("Revalidate Stale inm=\"a\"")),
        (Expiry::At(at(-1)), "200 | ETag: \"a\"", Ok("Revalidate Stale inm=\"a\"")),
        (Expiry::AtOnce, "200 | ETag: \"a\" | Cache-Control: max-age=5000", Ok("Revalidate Stale inm=\"a\"")),
        (Expiry::AtOnce, "200 | Cache-Control: max-age=5000", Err("Pass NotReusable")),
        (Expiry::AtOnce, "200 | Age: 30", Err("Pass NotReusable")),
        (Expiry::after_secs(1001), "200 | Age: 30", Ok("Serve 0 Full Fresh")),
        (Expiry::DoNotStore, "200 | Cache-Control: max-age=5000", Err("Pass NotStored(Request)")),
        (Expiry::DoNotStore, "500 | Cache-Control: max-age=5000", Err("Pass NotStored(Request)")),
    ];
    for (expiry, answer, expected) in table {
        let request = req("GET").with(|controls| controls.expiry = Some(*expiry));
        let after = exchange(&private(), &request, &[], 0, answer);
        match expected {
            Err(reason) => assert_eq!(outcome(&after), *reason, "{expiry}: {answer}"),
            Ok(then) => {
                let heads = [stored_by(&private(), &request, answer)];
                assert_eq!(decide(&private(), &req("GET"), &heads, 1000), *then, "{expiry}: {answer}");
            }
        }
    }
}

/// What is to be stored no more is served until it goes stale, and then not kept up.
#[test]
fn a_validated_response_is_dated_anew() {
    let request = req("GET").with(|controls| controls.expiry = Some(Expiry::after_secs(10)));
    let heads = [stored_by(&private(), &request, "200 | ETag: \"a\"")];
    let table = [
        (Some(Expiry::after_secs(20)), "Freshen 0 Full keep", Some(20)),
        (Some(Expiry::DoNotStore), "Freshen 0 Full Untouched", None),
        // Nobody says anything any more.
        (None, "Freshen 0 Full keep", Some(0)),
    ];
    for (expiry, done, lifetime) in table {
        let again = req("GET").with(|controls| controls.expiry = expiry);
        let after = exchange(&private(), &again, &heads, 100, "304 | ETag: \"a\"");
        assert_eq!(outcome(&after), done, "{expiry:?}");
        if let Some(lifetime) = lifetime {
            assert_eq!(after.freshness.unwrap().remaining(at(100)).as_secs(), lifetime, "{expiry:?}");
        }
    }
}
