#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it fails")]

use http::{HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::{DefaultKey, KeyRequest, Namespace};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json; charset=utf-8";

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

/// Ignores `skip` and hides `veil`, wherever they are.
fn redactor() -> Redactor {
    Redactor::new()
        .ignore(RequestPart::Parameters, ["skip"])
        .ignore(RequestPart::Headers, ["x-skip"])
        .hide(RequestPart::Parameters, ["veil"])
        .hide(RequestPart::Headers, ["x-veil"])
}

/// What is left of a request for its key.
fn counted(redactor: &Redactor, url: &str, lines: &[(&str, &str)], body: &str) -> (String, String, String) {
    let (url, headers, namespace) = (Url::parse(url).unwrap(), fields(lines), Namespace::default());
    let request = KeyRequest::new(&Method::POST, &url, &headers, &namespace).with_body(body.as_bytes());
    let view = redactor.key_view(&request);
    let left = view.request();
    let names: Vec<_> = left.headers.keys().map(HeaderName::as_str).collect();
    let body = String::from_utf8(left.body.unwrap().to_vec()).unwrap();
    (left.url.to_string(), names.join(" "), body)
}

#[test]
fn what_counts_of_a_url() {
    for (url, left) in [
        ("http://a/x", "http://a/x"),
        ("http://a/x?", "http://a/x?"),
        ("http://a/x?skip=1", "http://a/x"),
        ("http://a/x?skip", "http://a/x"),
        ("http://a/x?a=1&skip=2&b=3", "http://a/x?a=1&b=3"),
        ("http://a/x?SKIP=1&a=%2f+%zz&%73kip=2", "http://a/x?a=%2f+%zz"),
        ("http://a/x?skip=1&&a", "http://a/x?&a"),
        ("http://a/x?veil=1&skipper=2&a=skip", "http://a/x?veil=1&skipper=2&a=skip"),
        ("http://a/x?skip=1#skip=1", "http://a/x#skip=1"),
    ] {
        assert_eq!(counted(&redactor(), url, &[], "").0, left, "{url}");
        assert_eq!(counted(&Redactor::default(), url, &[], "").0, url, "nothing is ignored");
    }
}

#[test]
fn what_counts_of_a_body_is_what_its_type_says() {
    let deep = format!("{}{{\"skip\":1}}{}", "[".repeat(200), "]".repeat(200));
    for (content_type, body, left) in [
        (FORM, "a=1&skip=2", "a=1"),
        (FORM, "skip=2", ""),
        (FORM, "{\"skip\":1}", "{\"skip\":1}"),
        (JSON, "{\"skip\":1}", "{}"),
        (JSON, " { \"a\" : [ 1.10, { \"Skip\" : { \"b\" : 1 } } ], \"skip\":2}", "{\"a\":[1.10,{}]}"),
        // Digits and repeated names stay, or two bodies would be one.
        (
            JSON,
            "{\"a\":1,\"a\":2,\"n\":12345678901234567890.5e1}",
            "{\"a\":1,\"a\":2,\"n\":12345678901234567890.5e1}",
        ),
        (JSON, "{\"a\":\"\\u0041\\/\"}", "{\"a\":\"\\u0041\\/\"}"),
        ("application/problem+json", "{\"\\u0073kip\":1,\"veil\":2}", "{\"veil\":2}"),
        (JSON, "\"skip\"", "\"skip\""),
        // What is no JSON, or deeper than anything, counts whole.
        (JSON, "{\"skip\":1", "{\"skip\":1"),
        (JSON, "skip=1", "skip=1"),
        (JSON, &deep, &deep),
        ("text/plain", "skip=1", "skip=1"),
    ] {
        assert_eq!(counted(&redactor(), "http://a/", &[("content-type", content_type)], body).2, left);
    }
}

#[test]
fn what_counts_of_the_fields() {
    let lines = [("x-skip", "1"), ("x-veil", "2"), ("accept", "*/*")];
    assert_eq!(counted(&redactor(), "http://a/", &lines, "").1, "x-veil accept");
}

fn key(redactor: &Redactor, url: &str, lines: &[(&str, &str)]) -> crate::CacheKey {
    let (url, headers, namespace) = (Url::parse(url).unwrap(), fields(lines), Namespace::default());
    let request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    DefaultKey::new().with_headers([header::AUTHORIZATION]).of(&redactor.key_view(&request).request())
}

/// Made by another implementation: a change here makes every cache cold that goes by them.
#[test]
fn golden_digests() {
    assert_eq!(Redactor::new().digest(), None);
    assert_eq!(Redactor::default().digest(), None, "the defaults leave keys as they are");
    let redactor =
        Redactor::new().ignore(RequestPart::Query, ["Token"]).ignore(RequestPart::Headers, ["x-b", "X-A"]);
    let want = "ec4dbcc177a7d428ce4d68f25236baa7a1377ac58edaaa1cd57248d5018f46df";
    assert_eq!(blake3::Hash::from_bytes(redactor.digest().unwrap()).to_hex().as_str(), want);
}

#[test]
fn the_defaults_tell_users_apart_and_one_account_does_not() {
    let (all, one) = (Redactor::default(), Redactor::one_account());
    for name in defaults::PARAMETERS {
        let [first, second, none] = ["=first", "=second", ""].map(|value| {
            if value.is_empty() { "http://a/?q".to_owned() } else { format!("http://a/?q&{name}{value}") }
        });
        assert_ne!(key(&all, &first, &[]), key(&all, &second, &[]), "{name}");
        assert_ne!(key(&all, &first, &[]), key(&all, &none, &[]), "{name}");
        assert_eq!(key(&one, &first, &[]), key(&one, &second, &[]), "{name}");
        assert_eq!(key(&one, &first, &[]), key(&one, &none, &[]), "{name}");
    }
    let [first, second] = ["Bearer first", "Bearer second"].map(|token| [("authorization", token)]);
    assert_ne!(key(&all, "http://a/", &first), key(&all, "http://a/", &second));
    assert_eq!(key(&one, "http://a/", &first), key(&one, "http://a/", &second));
    assert!(!one.ignores_header(&header::COOKIE) && one.hides_header(&header::COOKIE));
    // Who ignores less does not get what was stored by who ignores more.
    assert_ne!(key(&one, "http://a/", &[]), key(&all, "http://a/", &[]));
}

#[test]
fn the_last_word_on_a_name_counts() {
    let redactor =
        Redactor::default().show(RequestPart::Query, ["Key"]).show(RequestPart::Headers, ["cookie"]);
    assert_eq!(redactor.url("/?key=1&sig=2"), "/?key=1&sig=REDACTED");
    assert!(!redactor.hides_header(&header::COOKIE));
    let redactor = redactor.ignore(RequestPart::Query, ["key"]).hide(RequestPart::Query, ["KEY"]);
    assert_eq!((redactor.digest(), &*redactor.url("/?key=1")), (None, "/?key=REDACTED"));
}

#[test]
fn what_is_secret_in_a_url_is_replaced_and_nothing_else() {
    for (url, shown) in [
        ("https://a.test/x", "https://a.test/x"),
        ("https://a.test/x?page=2&token=t&sort=%20b", "https://a.test/x?page=2&token=REDACTED&sort=%20b"),
        ("https://a.test/x?TOKEN=t", "https://a.test/x?TOKEN=REDACTED"),
        ("https://a.test/x?%74oken=t%26u", "https://a.test/x?%74oken=REDACTED"),
        ("https://a.test/x?token", "https://a.test/x?token"),
        ("https://a.test/x?token=a=b&token=c", "https://a.test/x?token=REDACTED&token=REDACTED"),
        ("https://a.test/#access_token=t&a=b", "https://a.test/#access_token=REDACTED&a=b"),
        ("https://a.test/?a=b#token=t", "https://a.test/?a=b#token=REDACTED"),
        ("/there?key=k", "/there?key=REDACTED"),
        ("https://user:pass@a.test/x?a", "https://a.test/x?a"),
        ("//user:pass@a.test/x", "//REDACTED/x"),
        ("/x//mail@a.test", "/x//REDACTED"),
        ("https://a.test/@me//b", "https://a.test/@me//b"),
        // As a reader of URLs takes them.
        ("https:\\\\user:pass@a.test/x", "https://a.test/x"),
        ("https:////user:pass@a.test/x", "https://a.test/x"),
        ("https:user:pass@a.test/x", "https://a.test/x"),
        ("/\\user:pass@a.test/x", "//REDACTED/x"),
        ("a://user:p\\ass@\u{7}#", "a://REDACTED#"),
        ("htt\tps:/\t/user:pass@a.test/?to\tken=t", "https://a.test/?token=REDACTED"),
        ("?", "?"),
        ("", ""),
    ] {
        assert_eq!(Redactor::default().url(url), shown, "{url}");
    }
    assert_eq!(redactor().url("/?skip=1&veil=2&a=3"), "/?skip=REDACTED&veil=REDACTED&a=3");
}

/// Whether `text` is taken for a trace of a request that has the value `secret` in its query, as it is written there.
fn found(secret: &str, text: &str) -> bool {
    let url = Url::parse(&format!("http://a/?veil={secret}")).unwrap();
    let secrets = redactor().secrets(&url, &HeaderMap::new(), None);
    secrets.is_some_and(|secrets| secrets.scan().finds(text.as_bytes()))
}

#[test]
fn a_value_is_found_in_each_form() {
    for (secret, text) in [
        ("s3cr3t", "…s3cr3t…"),
        ("s3cr3t", "S3CR3T"),
        ("a%2Fb+c%3D", "a/b c="),
        ("a%2fb+c%3d", "?x=a%2Fb%20c%3D"),
        ("a%2fb+c%3d", "?x=a%2fb+c%3d"),
        ("a%2Fb+c%3D", "{\"x\":\"a\\/b c=\"}"),
        ("%22quoted%22", "{\"x\":\"\\\"quoted\\\"\"}"),
        ("gr%C3%BC%C3%9Fe", "grüße"),
        ("gr%C3%BC%C3%9Fe", "{\"x\":\"gr\\u00fc\\u00dfe\"}"),
        ("a%26b%3Cc%27", "a&amp;b&lt;c&#39;"),
        ("a%26b%3Cc%27", "\"a\\u0026b\\u003cc'\""),
        ("1234", "12345"),
    ] {
        assert!(found(secret, text), "{secret}: {text}");
    }
    for (secret, text) in
        [("s3cr3t", "s3cr3"), ("123", "123"), ("", "any"), ("s3cr3t", ""), ("REDACTE", "redact")]
    {
        assert!(!found(secret, text), "{secret}: {text}");
    }
}

#[test]
fn where_values_are() {
    let cookie = "theme=dark-and-quiet; sid=0123456789abcdef; odd";
    for (lines, body, values, others) in [
        (
            &[("authorization", "Basic dXNlcjpwYXNz")][..],
            "",
            &["dXNlcjpwYXNz", "basic dxnlcjpwyxnz"][..],
            &["Basic "][..],
        ),
        (&[("cookie", cookie)], "", &["0123456789abcdef", cookie], &["dark-and-quiet"]),
        (&[("x-veil", "four"), ("x-veil", "score")], "", &["four", "score"], &["x-veil"]),
        (&[("x-skip", "four")], "", &["four"], &[]),
        (&[("x-other", "four")], "", &[], &["four"]),
        (&[("content-type", FORM)], "veil=one%20two&b=three", &["one two", "one+two"], &["three"]),
        (
            &[("content-type", JSON)],
            "{\"a\":[{\"veil\":{\"x\":[\"deep\\nline\",12345,true,null]}}],\"b\":\"plain\"}",
            &["deep\nline", "deep\\nline", "12345"],
            &["plain", "true", "null"],
        ),
        (&[("content-type", "text/plain")], "veil=value", &[], &["value"]),
        (&[("content-type", JSON)], "{\"veil\":\"value\"", &[], &["value"]),
    ] {
        let redactor = redactor().hide(RequestPart::Headers, ["authorization", "cookie"]);
        let url = Url::parse("http://a/").unwrap();
        let secrets = redactor.secrets(&url, &fields(lines), Some(body.as_bytes()));
        let finds =
            |text: &str| secrets.as_ref().is_some_and(|secrets| secrets.scan().finds(text.as_bytes()));
        for value in values {
            assert!(finds(value), "{lines:?} {body}: {value}");
        }
        for other in others {
            assert!(!finds(other), "{lines:?} {body}: {other}");
        }
    }
}

#[test]
fn more_than_can_be_looked_for_is_taken_for_found() {
    let many: Vec<_> = (0..40_000).map(|n| format!("veil=value{n}")).collect();
    let url = Url::parse(&format!("http://a/?{}", many.join("&"))).unwrap();
    let secrets = redactor().secrets(&url, &HeaderMap::new(), None).unwrap();
    assert!(secrets.scan().finds(b""));
    // One that is long is one by its beginning.
    let long = "x1".repeat(100_000);
    assert!(found(&long, &long[..1024]) && !found(&long, &long[..1023]));
}

#[test]
fn fields_that_must_not_be_stored() {
    let url = Url::parse("http://a/?veil=s3cr3t").unwrap();
    let secrets = redactor().secrets(&url, &HeaderMap::new(), None);
    for (line, repeated) in [
        (("location", "/there?veil=another"), true),
        (("location", "/there?veil=REDACTED&veil="), false),
        (("location", "/there?a=1#skip=2"), true),
        (("location", "/there?ve\til=another"), true),
        (("content-location", "/x?VEIL=1"), true),
        (("link", "</a>; rel=prev, </b?veil=2>; rel=next"), true),
        (("link", "</a?b=1>; rel=\"?veil=2\""), false),
        (("x-url", "/there?veil=another"), false),
        (("x-url", "/there?veil=S3cr3t"), true),
        (("x-veil", "s3cr3t"), false),
        (("etag", "\"s3cr3t\""), true),
    ] {
        assert_eq!(redactor().is_repeated_in(&fields(&[line]), secrets.as_ref()), repeated, "{line:?}");
        assert!(!Redactor::new().is_repeated_in(&fields(&[line]), secrets.as_ref()), "{line:?}");
    }
}

#[test]
fn a_head_keeps_what_it_needs() {
    let now = std::time::SystemTime::UNIX_EPOCH;
    let headers = fields(&[("set-cookie", "sid=1"), ("set-cookie", "b=2"), ("vary", "accept"), ("x", "y")]);
    let mut head = Head::new(Method::GET, "http://a/?sig=1&q=2", http::StatusCode::OK, headers, now, now);
    Redactor::default().redact(&mut head);
    assert_eq!(&*head.url, "http://a/?sig=REDACTED&q=2");
    let stored = ["set-cookie", "vary", "x"].map(|name| head.headers.contains_key(name));
    assert_eq!(stored, [false, true, true]);
}

#[test]
fn names_that_are_none() {
    for (redactor, word) in [
        (redactor().hide(RequestPart::Query, [""]), "empty"),
        (redactor().ignore(RequestPart::Headers, ["a b"]), "`a b`"),
        (redactor().hide(RequestPart::Headers, ["Vary"]), "vary"),
        (redactor().hide(RequestPart::Headers, ["CDN-Cache-Control"]), "cdn-cache-control"),
    ] {
        let error = redactor.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(redactor().hide(RequestPart::Parameters, ["a b", "vary", "ä"]).check().is_ok());
    assert!(Redactor::default().check().is_ok() && Redactor::one_account().check().is_ok());
}

#[test]
fn no_debug_shows_a_value() {
    let url = Url::parse("http://a/?veil=hunter2&skip=hunter2").unwrap();
    let (headers, namespace) = (fields(&[("x-veil", "hunter2")]), Namespace::default());
    let secrets = redactor().secrets(&url, &headers, None).unwrap();
    let request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    let (view, scan) = (redactor().key_view(&request), secrets.scan());
    let shown = format!("{secrets:?} {scan:?} {view:?} {:?}", redactor());
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    /// However a body is cut, a value in it is found, and found where it ends.
    #[test]
    fn cuts_hide_nothing(
        secret in "[a-z0-9]{4,20}",
        before in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(0_usize..64, 0..5),
    ) {
        let body = [&before[..], secret.as_bytes(), b"after"].concat();
        let url = Url::parse(&format!("http://a/?veil={secret}")).unwrap();
        let mut scan = redactor().secrets(&url, &HeaderMap::new(), None).unwrap().scan();
        let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(body.len())).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        let mut found = false;
        for piece in cuts.windows(2) {
            found |= scan.finds(&body[piece[0]..piece[1]]);
        }
        prop_assert!(found);
    }

    /// Whatever a value is, its URL does not show it, and an answer that has it as it was is caught.
    #[test]
    fn no_value_gets_through(value in "\\PC{4,40}") {
        let mut url = Url::parse("http://a/").unwrap();
        url.query_pairs_mut().append_pair("veil", &value).append_pair("q", "1");
        let shown = redactor().url(url.as_str()).into_owned();
        prop_assert_eq!(&*shown, "http://a/?veil=REDACTED&q=1");
        let secrets = redactor().secrets(&url, &HeaderMap::new(), None).unwrap();
        for form in [value.clone(), serde_json::to_string(&value).unwrap(), url.query().unwrap().to_owned()] {
            prop_assert!(secrets.scan().finds(form.as_bytes()), "{}", form);
        }
        let body = serde_json::json!({ "a": [{ "veil": value.clone() }] }).to_string();
        let secrets = redactor().secrets(&Url::parse("http://a/").unwrap(), &fields(&[("content-type", JSON)]), Some(body.as_bytes()));
        prop_assert!(secrets.unwrap().scan().finds(value.as_bytes()));
    }

    /// What is left out of a JSON body is what is ignored, and nothing else.
    #[test]
    fn json_keeps_the_rest(pairs in prop::collection::vec(("[a-z]{1,3}|skip|SKIP", "[^\\p{Cc}]{0,8}"), 0..6)) {
        let text = |wanted: &dyn Fn(&str) -> bool| {
            let member = |(name, value): &(String, String)| format!("{}:{}", serde_json::json!(name), serde_json::json!([value]));
            let members: Vec<_> = pairs.iter().filter(|(name, _)| wanted(name)).map(member).collect();
            format!("{{{}}}", members.join(","))
        };
        let left = counted(&redactor(), "http://a/", &[("content-type", JSON)], &text(&|_| true)).2;
        prop_assert_eq!(left, text(&|name| !name.eq_ignore_ascii_case("skip")));
    }

    /// Nothing that comes along makes it panic.
    #[test]
    fn any_bytes_will_do(body in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,40}") {
        for content_type in [FORM, JSON] {
            let (url, headers) = (Url::parse("http://a/").unwrap(), fields(&[("content-type", content_type)]));
            let namespace = Namespace::default();
            let request = KeyRequest::new(&Method::POST, &url, &headers, &namespace).with_body(&body);
            let _ = redactor().key_view(&request).request();
            let _ = redactor().secrets(&url, &headers, Some(&body));
        }
        let _ = redactor().url(&text);
        let _ = redactor().has_hidden_parameter(&body);
    }
}
