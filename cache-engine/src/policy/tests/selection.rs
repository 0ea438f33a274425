//! RFC 9111 §4.1.

use super::*;

const FRESH: &str = "200 | Cache-Control: max-age=60";

#[test]
fn which_stored_response_answers() {
    let by = |request: &str, rest: &str| stored_for(request, &format!("{FRESH} | {rest}"));
    let one = || by("GET | Foo: 1", "Vary: Foo | ETag: \"1\"");
    let two = || by("GET | Foo: 2", "Vary: Foo | ETag: \"2\"");
    let weak = || by("GET | Foo: 3", "Vary: Foo | ETag: W/\"3\"");
    let none = || by("GET", "Vary: Foo");
    let three = || by("GET | Foo: 1 | Baz: 789", "Vary: Foo, Bar, Baz");
    let old = || by("GET", "Date: @-9 | ETag: \"old\"");
    let table: Vec<(&str, Vec<Head>, &str)> = vec![
        ("GET", vec![], "Fetch NothingStored"),
        ("GET", vec![stored(FRESH)], "Serve 0 Full Fresh"),
        ("HEAD", vec![stored(FRESH)], "Serve 0 Head Fresh"),
        ("GET", vec![stored_for("HEAD", FRESH)], "Fetch MethodMismatch"),
        ("HEAD", vec![stored_for("HEAD", FRESH)], "Serve 0 Head Fresh"),
        ("GET | Foo: 1", vec![one()], "Serve 0 Full Fresh"),
        ("GET | Foo: 1 | Other: 3", vec![one()], "Serve 0 Full Fresh"),
        ("GET | Foo: 2", vec![one(), two()], "Serve 1 Full Fresh"),
        ("GET", vec![one()], "Revalidate VaryMismatch inm=\"1\""),
        ("GET | Foo: 1", vec![none()], "Fetch VaryMismatch"),
        ("GET", vec![none()], "Serve 0 Full Fresh"),
        ("GET | Foo: 1 | Baz: 789", vec![three()], "Serve 0 Full Fresh"),
        ("GET | Foo: 1 | Baz: 789 | Bar: x", vec![three()], "Fetch VaryMismatch"),
        // §4.3.1: the strong tags of other variants are offered.
        ("GET | Foo: 9", vec![one(), two(), weak()], "Revalidate VaryMismatch inm=\"1\", \"2\""),
        ("GET | Foo: 9 | If-None-Match: \"x\"", vec![one()], "Fetch VaryMismatch"),
        ("GET | Foo: 9 | Range: bytes=0-1", vec![one()], "Fetch VaryMismatch"),
        // The most recent Date.
        ("GET", vec![stored(FRESH), old()], "Serve 0 Full Fresh"),
        ("GET", vec![old(), stored(FRESH)], "Serve 1 Full Fresh"),
        ("POST", vec![stored(FRESH)], "Bypass MethodNotCacheable"),
    ];
    for (request, heads, expected) in table {
        assert_eq!(decide(&private(), &req(request), &heads, 1), expected, "{request} {heads:#?}");
    }
}

#[test]
fn accounts_behind_one_private_cache_are_kept_apart() {
    let options = private();
    let stored_as = |answer: &str| {
        let after = exchange(&options, &req("GET | Authorization: alice"), &[], 0, answer);
        let Outcome::Store { head, .. } = after.outcome else { panic!("{after:?}") };
        *head
    };
    let table = [
        ("200 | Cache-Control: max-age=60 | ETag: \"a\"", "GET | Authorization: alice", "Serve 0 Full Fresh"),
        // Nor is its tag offered: it would have to be trusted to differ from account to account.
        ("200 | Cache-Control: max-age=60 | ETag: \"a\"", "GET | Authorization: bob", "Fetch VaryMismatch"),
        ("200 | Cache-Control: max-age=60 | ETag: \"a\"", "GET", "Fetch VaryMismatch"),
        ("200 | Cache-Control: max-age=60, public", "GET | Authorization: bob", "Serve 0 Full Fresh"),
        ("200 | Cache-Control: max-age=60, public", "GET", "Serve 0 Full Fresh"),
    ];
    for (answer, request, expected) in table {
        assert_eq!(decide(&options, &req(request), &[stored_as(answer)], 1), expected, "{answer} {request}");
    }
}

#[test]
fn what_an_account_validates_becomes_its_own() {
    let heads = [stored("200 | Cache-Control: max-age=1 | ETag: \"a\"")];
    let alice = req("GET | Authorization: alice");
    let after = exchange(
        &private(),
        &alice,
        &heads,
        10,
        "304 | ETag: \"a\" | Set-Cookie: id=alice | Cache-Control: max-age=60",
    );
    assert_eq!(outcome(&after), "Freshen 0 Full keep reselected");
    let Outcome::Freshen { head, .. } = after.outcome else { panic!() };
    assert_eq!(decide(&private(), &alice, std::slice::from_ref(&head), 20), "Serve 0 Full Fresh");
    assert_eq!(decide(&private(), &req("GET"), &[*head], 20), "Fetch VaryMismatch");
}

#[test]
fn a_redacted_selector_never_matches() {
    let head = stored_for("GET | Cookie: a", "200 | Cache-Control: max-age=60 | Vary: Cookie | ETag: \"a\"");
    let options =
        private().redactor(cache_api::Redactor::new().ignore(cache_api::RequestPart::Headers, ["cookie"]));
    assert_eq!(decide(&options, &req("GET | Cookie: a"), &[head], 1), "Fetch VaryRedacted");
}
