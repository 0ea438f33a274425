//! What of requests leaves no trace in the store, and what of that does not count in the key.

use crate::support::{self, Bench, Got, Origin, Reply, memory, settle, with_field};
use bytes::Bytes;
use cache_api::{FRAME_SIZE, KeyRequest, Keyed, Redactor, RequestPart, key_fn};
use cache_engine::{
    EngineBuilder, Request, Source,
    policy::{Mode, Options, Reason},
};
use futures_util::stream;
use http::{Method, header};
use url::Url;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn ask(method: Method, url: &str) -> Request<Bytes> {
    Request::new(method, Url::parse("http://origin.test").unwrap().join(url).unwrap())
}

fn of(url: &str) -> Request<Bytes> {
    ask(Method::GET, url)
}

/// Ignores `token` and `X-Token`, hides `veil` and `X-Veil`.
fn redactor() -> Redactor {
    Redactor::new()
        .ignore(RequestPart::Parameters, ["token"])
        .ignore(RequestPart::Headers, ["x-token"])
        .hide(RequestPart::Parameters, ["veil"])
        .hide(RequestPart::Headers, ["x-veil"])
}

fn bench(origin: Origin, redactor: Redactor) -> Bench {
    Bench::with(origin, memory(), |builder| builder.redactor(redactor))
}

/// Fresh answers with the number of the request, and these fields beside.
fn numbered(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |nth, _| async move {
        Ok(Reply::new(200, &[&[FRESH], fields].concat(), format!("answer {nth}")))
    })
}

/// The head that is stored under an answer's key.
async fn stored(bench: &Bench, got: &Got) -> Option<cache_api::Head> {
    let storage = bench.engine.storage().unwrap();
    let found = storage.lookup(&got.info.key.unwrap(), bench.now()).await.unwrap();
    let [variant] = found.variants() else { return None };
    variant.head.value().cloned()
}

#[tokio::test]
async fn what_is_ignored_does_not_tell_requests_apart_and_what_is_hidden_does() {
    let bench = bench(numbered(&[]), redactor());
    for (request, answer) in [
        (of("/a?token=first"), "answer 0"),
        (of("/a?token=second"), "answer 0"),
        (of("/a"), "answer 0"),
        (of("/a?veil=first"), "answer 1"),
        (of("/a?veil=second"), "answer 2"),
        (of("/a?token=x&veil=first"), "answer 1"),
        (with_field(of("/a"), "x-token", "anyone"), "answer 0"),
    ] {
        let url = request.url.clone();
        assert_eq!(bench.send(request).await.text(), answer, "{url}");
    }
    // What goes to the origin is the request as it was.
    assert_eq!(bench.send(with_field(of("/b"), "x-token", "mine")).await.text(), "answer 3");
    assert_eq!(bench.origin.received(3)["x-token"], "mine");
}

#[tokio::test]
async fn bodies_count_without_what_is_ignored() {
    let options = || Options::new().methods([Method::GET, Method::POST]).redactor(redactor());
    let bench = Bench::with(numbered(&[]), memory(), |builder| builder.options(options()));
    let post = |content_type: &str, body: &'static str| {
        with_field(ask(Method::POST, "/search"), "content-type", content_type)
            .with_body(Bytes::from_static(body.as_bytes()))
    };
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (request, answer) in [
        (post(form, "q=1&token=first"), "answer 0"),
        (post(form, "token=second&q=1"), "answer 0"),
        (post(form, "q=2&token=first"), "answer 1"),
        (post(form, "q=1&veil=first"), "answer 2"),
        (post(json, r#"{"q":1,"auth":{"token":"first"}}"#), "answer 3"),
        (post(json, r#"{"q": 1, "auth": {"token": "second"}}"#), "answer 3"),
        (post(json, r#"{"q":2,"auth":{"token":"first"}}"#), "answer 4"),
    ] {
        let body = request.body.clone();
        assert_eq!(bench.send(request).await.text(), answer, "{body:?}");
    }
}

/// Where several users go through one client, the defaults serve none of them another's answer.
#[tokio::test]
async fn the_defaults_keep_users_apart() {
    for mode in [Mode::Private, Mode::Shared] {
        let options = Options::new().mode(mode).redactor(Redactor::default());
        let bench = Bench::with(numbered(&[]), memory(), |builder| builder.options(options));
        for (nth, token) in ["alice", "bobby", ""].into_iter().enumerate() {
            let got = bench.send(of(&format!("/me?access_token={token}"))).await;
            assert_eq!(got.text(), format!("answer {nth}"), "{mode:?}");
        }
        assert_eq!(bench.send(of("/me?access_token=alice")).await.info.source, Source::Store);
    }
    let bench = bench(numbered(&[]), Redactor::default());
    for name in ["authorization", "cookie"] {
        for (token, source) in
            [("alice", Source::Origin), ("bobby", Source::Origin), ("alice", Source::Store)]
        {
            assert_eq!(
                bench.send(with_field(of("/me"), name, token)).await.info.source,
                source,
                "{name} {token}"
            );
        }
    }
}

#[tokio::test]
async fn for_one_account_a_new_token_finds_the_old_answer() {
    let bench = bench(numbered(&[]), Redactor::one_account());
    for token in ["Bearer first", "Bearer second"] {
        assert_eq!(bench.send(with_field(of("/me"), "authorization", token)).await.text(), "answer 0");
    }
    // A cookie may hold more than an account.
    assert_eq!(bench.send(with_field(of("/me"), "cookie", "theme=dark")).await.text(), "answer 1");
    assert_eq!(bench.send(of("/me")).await.text(), "answer 0");
}

/// Who ignores nothing is not served what was stored by who ignores something.
#[tokio::test]
async fn other_rules_are_other_keys() {
    let (storage, origin) = (memory(), numbered(&[]));
    let ignores = Bench::with(origin.clone(), storage.clone(), |builder| builder.redactor(redactor()));
    let counts = Bench::with(origin, storage, |builder| builder);
    assert_eq!(ignores.send(of("/a?token=mine")).await.text(), "answer 0");
    assert_eq!(counts.send(of("/a")).await.text(), "answer 1");
}

#[tokio::test]
async fn a_key_function_sees_what_counts() {
    let by_query = key_fn(|request: &KeyRequest<'_>| {
        let seen = format!("{:?} {:?}", request.url.query(), request.headers);
        assert!(!seen.contains("hunter2"), "{seen}");
        let key = cache_api::DefaultKey::new().of(request);
        async move { Ok(Keyed::Key(key)) }
    });
    let bench = Bench::with(numbered(&[]), memory(), |builder| {
        builder.redactor(redactor()).key(std::sync::Arc::new(by_query))
    });
    for (url, answer) in
        [("/a?q=1&token=hunter2", "answer 0"), ("/a?q=1", "answer 0"), ("/a?q=2", "answer 1")]
    {
        assert_eq!(bench.send(with_field(of(url), "x-token", "hunter2")).await.text(), answer);
    }
    // Nor does it count for a request with a key of its own.
    for (name, answer) in [("mine", "answer 2"), ("mine", "answer 2"), ("yours", "answer 3")] {
        let mut request = of("/a?token=hunter2");
        request.key = Some(name.into());
        assert_eq!(bench.send(request).await.text(), answer);
    }
}

#[tokio::test]
async fn the_stored_head_shows_neither_values_nor_named_fields() {
    let bench = bench(numbered(&[("x-veil", "told"), ("x-token", "new"), ("x-other", "1")]), redactor());
    let got = bench.send(of("/a?q=1&token=hunter2&veil=hunter3")).await;
    assert!(got.info.stored && got.headers["x-veil"] == "told", "the caller gets all");
    let head = stored(&bench, &got).await.unwrap();
    assert_eq!(&*head.url, "http://origin.test/a?q=1&token=REDACTED&veil=REDACTED");
    assert!(!head.headers.contains_key("x-veil") && !head.headers.contains_key("x-token"));
    let hit = bench.send(of("/a?q=1&token=hunter2&veil=hunter3")).await;
    assert_eq!(hit.info.source, Source::Store);
    assert!(hit.headers.contains_key("x-other") && !hit.headers.contains_key("x-veil"));
}

#[tokio::test]
async fn vary_on_an_ignored_field_is_never_a_hit() {
    let origin = numbered(&[("vary", "x-token")]);
    let ignoring = bench(origin, redactor());
    for nth in 0..3 {
        let got = ignoring.send(with_field(of("/a"), "x-token", "same")).await;
        assert_eq!((got.text(), got.info.stored), (&*format!("answer {nth}"), false));
        assert!(got.info.reasons.contains(Reason::VaryRedacted), "{}", got.info.reasons);
    }
    // A field that is hidden and counts selects as ever.
    let hiding = bench(numbered(&[("vary", "x-veil")]), redactor());
    for (value, answer) in [("first", "answer 0"), ("second", "answer 1"), ("first", "answer 0")] {
        assert_eq!(hiding.send(with_field(of("/a"), "x-veil", value)).await.text(), answer);
    }
    let got = hiding.send(of("/a")).await;
    assert!(got.info.reasons.contains(Reason::Stored));
}

/// What was stored before the field was ignored is not selected by it any more, and that is said.
#[tokio::test]
async fn explain_says_that_a_redacted_field_selected() {
    let storage = memory();
    let fixed =
        || key_fn(|_: &KeyRequest<'_>| async { Ok(Keyed::Key(cache_api::CacheKey::from_bytes([7; 32]))) });
    let with = |change: fn(EngineBuilder) -> EngineBuilder| {
        Bench::with(numbered(&[("vary", "x-token")]), storage.clone(), |builder| {
            change(builder.key(std::sync::Arc::new(fixed())))
        })
    };
    let request = || with_field(of("/a"), "x-token", "same");
    assert!(with(|builder| builder).send(request()).await.info.stored);
    let ignoring = with(|builder| builder.redactor(redactor()));
    let explained = ignoring.engine.explain(&request()).await.unwrap();
    assert_eq!(explained.reasons.first(), Reason::VaryRedacted);
    assert_eq!(ignoring.send(request()).await.info.source, Source::Origin);
}

#[tokio::test]
async fn an_answer_whose_fields_repeat_a_value_is_not_stored() {
    for (name, value) in [
        ("location", "/there?token=another"),
        ("location", "/there/hunter2"),
        ("link", "</b?veil=n>; rel=next"),
        ("content-location", "/a?q=1&token=hunter2"),
        ("cache-tag", "user-hunter2"),
        ("etag", "\"hunter2\""),
        ("x-echo", "https://a/?x=HUNTER2"),
    ] {
        let origin =
            Origin::new(move |_, _| async move { Ok(Reply::new(200, &[FRESH, (name, value)], "x")) });
        let bench = bench(origin, redactor());
        let got = bench.send(of("/a?q=1&token=hunter2")).await;
        assert_eq!((got.info.stored, got.text()), (false, "x"), "{name}: {value}");
        assert!(got.info.reasons.contains(Reason::SecretRepeated), "{name}: {value}: {}", got.info.reasons);
        assert!(stored(&bench, &got).await.is_none());
    }
    // The same answer to a request without the value has no trace of it.
    let bench = bench(numbered(&[("x-echo", "hunter2")]), redactor());
    assert!(bench.send(of("/a?q=1")).await.info.stored);
}

#[tokio::test]
async fn a_304_that_repeats_a_value_removes_what_it_would_have_changed() {
    let origin = Origin::new(|_, request| async move {
        let fields = [FRESH, ("etag", "\"a\"")];
        Ok(match request.headers.contains_key(header::IF_NONE_MATCH) {
            false => Reply::new(200, &fields, "body"),
            true => Reply::streamed(304, &[&fields[..], &[("x-echo", "hunter2")]].concat(), stream::empty()),
        })
    });
    let bench = bench(origin, redactor());
    let got = bench.send(of("/a?token=hunter2")).await;
    assert!(stored(&bench, &got).await.is_some());
    bench.clock.forward(61);
    let validated = bench.send(of("/a?token=hunter2")).await;
    assert_eq!((validated.info.source, validated.text()), (Source::Revalidated, "body"));
    assert!(stored(&bench, &got).await.is_none());
}

#[tokio::test]
async fn a_304_brings_no_named_field_into_the_store() {
    let origin = Origin::new(|_, request| async move {
        let fields = [FRESH, ("etag", "\"a\""), ("set-cookie", "sid=hunter2")];
        Ok(match request.headers.contains_key(header::IF_NONE_MATCH) {
            false => Reply::new(200, &fields, "body"),
            true => Reply::streamed(304, &[&fields[..], &[("n", "1")]].concat(), stream::empty()),
        })
    });
    let bench = bench(origin, Redactor::default());
    let got = bench.send(of("/a")).await;
    bench.clock.forward(61);
    let validated = bench.send(of("/a")).await;
    assert_eq!(validated.headers["set-cookie"], "sid=hunter2", "the origin's word to this caller");
    let head = stored(&bench, &got).await.unwrap();
    assert!(head.headers.contains_key("n") && !head.headers.contains_key("set-cookie"));
}

/// A body of three frames and more in small pieces, with a value across two of them.
fn echoing(at: usize) -> Bytes {
    let mut body = vec![b'.'; 3 * FRAME_SIZE + 5];
    body[at..at + 7].copy_from_slice(b"hunter2");
    body.into()
}

#[tokio::test]
async fn a_body_that_repeats_a_value_reaches_its_caller_whole_and_no_store() {
    for at in [0, 9_997, FRAME_SIZE - 3, 2 * FRAME_SIZE + 77, 3 * FRAME_SIZE - 2] {
        for announced in [false, true] {
            let body = echoing(at);
            let whole = body.clone();
            let origin = Origin::new(move |_, _| {
                let mut reply = Reply::streamed(200, &[FRESH], stream::iter(support::chunked(&whole)));
                if announced {
                    reply.headers.insert(header::CONTENT_LENGTH, whole.len().into());
                }
                async { Ok(reply) }
            });
            let bench = bench(origin, redactor());
            let got = bench.send(of("/a?token=hunter2")).await;
            assert!(got.body == body, "at {at}");
            settle().await;
            assert!(stored(&bench, &got).await.is_none(), "at {at}");
            let again = bench.send(of("/a?token=hunter2")).await;
            assert_eq!((again.info.source, bench.origin.requests()), (Source::Origin, 2), "at {at}");
            // To whom it is no secret, it is a page like any other.
            let other = bench.send(of("/a?token=hunter3")).await;
            settle().await;
            assert!(other.body == body && stored(&bench, &other).await.is_some(), "at {at}");
        }
    }
}

/// With several who wait, a slow caller is not sent to read in the store what may have to go.
#[tokio::test]
async fn who_waits_gets_the_whole_body_too() {
    let mut body = vec![b'.'; 12 * FRAME_SIZE];
    body.extend_from_slice(b"hunter2");
    let body = Bytes::from(body);
    let whole = body.clone();
    let origin = Origin::new(move |_, _| {
        let reply = Reply::streamed(200, &[FRESH], stream::iter(support::chunked(&whole)));
        async { Ok(reply) }
    });
    let bench = bench(origin, redactor());
    let three = [1, 2, 3].map(|_| bench.send(of("/a?token=hunter2")));
    for got in futures_util::future::join_all(three).await {
        assert!(got.body == body);
    }
    assert_eq!(bench.origin.requests(), 3, "none was stored for another");
}

#[tokio::test]
async fn a_value_in_a_request_body_is_looked_for_in_the_answer() {
    let options = || Options::new().methods([Method::GET, Method::POST]).redactor(redactor());
    let origin =
        Origin::new(
            |_, request| async move { Ok(Reply::new(200, &[FRESH], request.body.unwrap_or_default())) },
        );
    for body in ["q=1&token=hunter2", "q=1&veil=hunter2", "q=1&other=hunter2"] {
        let bench = Bench::with(origin.clone(), memory(), |builder| builder.options(options()));
        let form = "application/x-www-form-urlencoded";
        let request = with_field(ask(Method::POST, "/echo"), "content-type", form)
            .with_body(Bytes::from_static(body.as_bytes()));
        let got = bench.send(request).await;
        settle().await;
        assert_eq!(stored(&bench, &got).await.is_some(), body.contains("other"), "{body}");
    }
}

/// An answer to a POST that names its URI is stored for later GETs, unless it tells what the POST had in it.
#[tokio::test]
async fn a_post_for_later_gets() {
    let origin = Origin::new(|_, request| async move {
        let fields = [FRESH, ("content-location", "/resource")];
        Ok(Reply::new(200, &fields, request.body.unwrap_or_default()))
    });
    for (body, source) in [("token=hunter2", Source::Origin), ("other=hunter2", Source::Store)] {
        let bench = bench(origin.clone(), redactor());
        let form = "application/x-www-form-urlencoded";
        let request = with_field(ask(Method::POST, "/resource"), "content-type", form);
        let request = request.with_body(Bytes::from_static(body.as_bytes()));
        assert_eq!(bench.send(request).await.text(), body);
        settle().await;
        assert_eq!(bench.get().await.info.source, source, "{body}");
    }
}

#[tokio::test]
async fn an_unsafe_request_removes_under_whatever_token() {
    let bench = bench(numbered(&[]), redactor());
    assert_eq!(bench.send(of("/a?token=first")).await.text(), "answer 0");
    bench.send(ask(Method::DELETE, "/a?token=second")).await;
    assert_eq!(bench.send(of("/a?token=first")).await.text(), "answer 2");
}

#[tokio::test]
async fn all_fields_or_some_tell_requests_apart() {
    let with = |change: fn(EngineBuilder) -> EngineBuilder| {
        Bench::with(numbered(&[]), memory(), |builder| change(builder.redactor(redactor())))
    };
    let none = with(|builder| builder);
    let some = with(|builder| builder.match_headers([header::ACCEPT]));
    let all = with(EngineBuilder::match_all_headers);
    for (bench, name, answer) in [
        (&none, "accept", "answer 0"),
        (&some, "accept", "answer 1"),
        (&some, "x-more", "answer 0"),
        // Users are told apart whatever else is.
        (&some, "authorization", "answer 2"),
        (&all, "x-more", "answer 1"),
        (&all, "range", "answer 0"),
        (&all, "traceparent", "answer 0"),
        (&all, "x-token", "answer 0"),
        (&all, "x-veil", "answer 2"),
    ] {
        bench.send(of("/a")).await;
        assert_eq!(bench.send(with_field(of("/a"), name, "1")).await.text(), answer, "{name}");
    }
    let own = || std::sync::Arc::new(cache_api::DefaultKey::new());
    let contradiction = EngineBuilder::new().key(own()).match_all_headers().check().unwrap_err();
    assert_eq!(contradiction.setting(), "match_headers");
    let named = EngineBuilder::new().redactor(Redactor::new().hide(RequestPart::Headers, [""])).check();
    assert_eq!(named.unwrap_err().setting(), "redactor");
    assert!(EngineBuilder::new().match_all_headers().check().is_ok());
}
