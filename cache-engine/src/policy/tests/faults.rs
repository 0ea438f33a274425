//! Faults found in other caches: none may be ours.

use proptest::prelude::*;

use super::*;

fn ask(options: &Options, request: &Req, heads: &[Head], now: i64) -> Ask {
    ask_before(options, request, heads, now).ask().cloned().unwrap()
}

#[test]
fn another_variant_never_stands_in_for_a_failing_origin() {
    let lenient = private().stale_if_error(secs(9999));
    let heads = [stored_for(
        "GET | Foo: 1",
        "200 | Cache-Control: max-age=60, stale-if-error=9999 | Vary: Foo | ETag: \"1\"",
    )];
    let request = req("GET | Foo: 2").with(|controls| controls.stale_ok = true);
    let ask = ask(&lenient, &request, &heads, 5);
    let views = views(&heads);
    let error = on_error(&lenient, &request.view(), &ask, &views, at(5));
    assert!(matches!(error, OnError::Fail(Reason::NoStaleAllowed)));
    let after = exchange(&lenient, &request, &heads, 5, "503");
    assert_eq!(outcome(&after), "Pass NoFreshness");
}

#[test]
fn a_304_to_the_callers_condition_is_the_callers() {
    let variant = stored_for("GET | Foo: 1", "200 | Cache-Control: max-age=60 | Vary: Foo | ETag: \"1\"");
    let unvalidated = stored("200 | Cache-Control: max-age=1");
    for (request, heads) in [
        ("GET | Foo: 2 | If-None-Match: \"x\"", vec![]),
        ("GET | Foo: 2 | If-None-Match: \"x\"", vec![variant.clone()]),
        ("GET | Foo: 2 | If-None-Match: \"1\"", vec![variant]),
        ("GET | If-None-Match: \"x\"", vec![unvalidated]),
    ] {
        for answer in ["304 | ETag: \"x\"", "304 | ETag: \"1\"", "304"] {
            let after = exchange(&private(), &req(request), &heads, 5, answer);
            assert_eq!(outcome(&after), "Pass CallersCondition", "{request} {answer}");
        }
    }
}

#[test]
fn a_refetch_has_no_conditions_of_ours() {
    let heads = [stored("200 | Cache-Control: max-age=1 | ETag: \"a\"")];
    let request = req("GET | If-None-Match: \"x\"");
    let again = ask(&private(), &request, &heads, 5).unconditional();
    let mut sent = request.headers.clone();
    again.apply(&mut sent);
    assert_eq!(sent, request.headers);
    // The second 304 is not asked about again.
    let (status, headers) = resp("304", 5);
    let response = ResponseView::new(status, &headers, at(5), at(5));
    let after = after(&private(), &request.view(), &again, &views(&heads), &response);
    assert_eq!(outcome(&after), "Pass CallersCondition");
}

proptest! {
    /// Whatever is stored, asked and answered: no panic, no index out of bounds, and nothing stale or
    /// selected by other values without the rule that allows it.
    #[test]
    fn never_panics_and_never_serves_what_it_may_not(
        directives in "(max-age=[0-9]{1,2}|no-cache|no-store|must-revalidate|private|public|s-maxage=[0-9]|stale-if-error=9|stale-while-revalidate=9|,| ){0,5}",
        asked in "(max-age=[0-9]{1,2}|no-cache|no-store|max-stale|min-fresh=[0-9]|only-if-cached|,){0,3}",
        etag in "(\"[ab]\"|W/\"[ab]\"|x)?",
        answer in prop::sample::select(vec!["200", "304", "404", "500", "206", "200 | Cache-Control: no-store"]),
        foo in 0..2_u8,
        shared_mode: bool,
        now in 0..200_i64,
    ) {
        let options = if shared_mode { shared() } else { private() };
        let text = format!("200 | Cache-Control: {directives} | ETag: {etag} | Vary: Foo");
        let heads = [stored_for("GET | Foo: 0", &text)];
        let request = req(&format!("GET | Foo: {foo} | Cache-Control: {asked}"));
        let before = ask_before(&options, &request, &heads, now);
        let freshness = Freshness::of(&heads[0], &options);
        if let Decision::Serve { .. } | Decision::ServeStale { .. } = before.decision {
            prop_assert_eq!(foo, 0);
            prop_assert!(!freshness.no_cache);
            prop_assert!(freshness.is_fresh(at(now)) || freshness.may_be_stale());
        }
        if before.ask().is_some() {
            let after = exchange(&options, &request, &heads, now, answer);
            if let Outcome::ServeStale { .. } = after.outcome {
                prop_assert!(foo == 0 && freshness.may_be_stale());
            }
            prop_assert!(after.forget.iter().all(|index| *index == 0));
        }
    }

    #[test]
    fn no_bytes_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 14), partial: bool, now in any::<u32>()) {
        let names = ["cache-control", "expires", "date", "age", "vary", "etag", "last-modified", "pragma",
                     "if-none-match", "if-modified-since", "range", "if-range", "content-range", "content-length"];
        let mut headers = HeaderMap::new();
        for (name, value) in names.iter().zip(&values) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(*name, value);
            }
        }
        let options = private().targeted([http::header::CACHE_CONTROL]);
        let request = Req { headers: headers.clone(), ..req("GET") };
        let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let head = Head::new(Method::GET, "https://a.example/", status, headers.clone(), start(), start());
        let later = start() + Duration::from_secs(now.into());
        let views = [StoredView::new(&head).with_body_len(10)];
        let before = before(&options, &request.view(), &views, later);
        let ask = before.ask().cloned().unwrap_or_default();
        let response = ResponseView::new(status, &headers, start(), later);
        let after = after(&options, &request.view(), &ask, &views, &response);
        prop_assert!(after.forget.iter().all(|index| *index == 0));
    }
}
