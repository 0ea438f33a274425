//! Settings through the engine: rules, keys and expiries of a request's own, and what is said of them.

use std::sync::Arc;

use crate::support::{Bench, Origin, Reply, get, memory, with_field};
use cache_engine::{
    Error, Source,
    policy::{Expiry, ExpiryMode, Mode, Options, Reason, Rule, Rules},
};
use http::{Method, StatusCode};
use url::Url;

const FORBIDDEN: &[(&str, &str)] = &[("cache-control", "no-store")];

fn to(url: &str) -> cache_engine::Request<bytes::Bytes> {
    cache_engine::Request::new(Method::GET, Url::parse(url).unwrap())
}

/// An origin whose nth answer is its number.
fn numbered(headers: &'static [(&str, &str)]) -> Origin {
    Origin::new(move |nth, _| async move { Ok(Reply::new(200, headers, nth.to_string())) })
}

fn ruled(origin: Origin, options: Options, rules: impl IntoIterator<Item = Rule>) -> Bench {
    let rules = Rules::new(rules).unwrap();
    Bench::with(origin, memory(), |builder| builder.options(options).rules(rules))
}

#[tokio::test]
async fn a_rule_holds_for_its_urls_alone() {
    let rules = [
        Rule::new("login").path("/login").expiry(Expiry::DoNotStore),
        Rule::new("site")
            .host("*.site.com")
            .precedence(ExpiryMode::Ttl)
            .expiry(Expiry::after_secs(60))
            .methods([Method::GET, Method::POST]),
    ];
    let bench = ruled(numbered(FORBIDDEN), Options::new(), rules);
    let table = [
        ("https://a.site.com/", true, Some("site")),
        ("https://a.site.com/login", false, Some("login")),
        ("https://evil.com/?u=.site.com", false, None),
        ("https://evil.com/a.site.com", false, None),
    ];
    for (url, stored, rule) in table {
        let first = bench.send(to(url)).await;
        let second = bench.send(to(url)).await;
        assert_eq!(second.info.source == Source::Store, stored, "{url}");
        for info in [&first.info, &second.info] {
            assert_eq!(info.rule.as_deref(), rule, "{url}");
        }
        assert_eq!(bench.engine.explain(&to(url)).await.unwrap().rule.as_deref(), rule, "{url}");
    }
    let post = |body: &'static str| {
        let mut post = to("https://a.site.com/search").with_body(body.into());
        post.method = Method::POST;
        post
    };
    // The body is in the key.
    assert_eq!(bench.send(post("a")).await.info.source, Source::Origin);
    assert_eq!(bench.send(post("b")).await.info.source, Source::Origin);
    assert_eq!(bench.send(post("a")).await.info.source, Source::Store);
    bench.clock.forward(60);
    assert_eq!(bench.send(post("a")).await.info.source, Source::Origin);
}

#[tokio::test]
async fn an_explanation_names_the_rule() {
    let rule = Rule::new("api").expiry(Expiry::after_secs(60)).always_cache(true);
    let bench = ruled(numbered(FORBIDDEN), Options::new(), [rule]);
    let stored = "nothing is stored for the URI (RFC 9111 §4)\n\
                  the response is stored (RFC 9111 §3)\n\
                  how long it is fresh was set by a rule\n\
                  what the response forbids is overridden by a rule\n\
                  the URL matches the rule `api`";
    assert_eq!(bench.get().await.info.explain().to_string(), stored);
    let served = "the stored response is fresh (RFC 9111 §4.2)\n\
                  how long it is fresh was set by a rule\n\
                  what the response forbids is overridden by a rule\n\
                  the URL matches the rule `api`";
    assert_eq!(bench.get().await.info.explain().to_string(), served);
    let would = format!("served from the store\n{served}\nits age is 0 s\nit is fresh for 60 s");
    assert_eq!(bench.engine.explain(&get()).await.unwrap().to_string(), would);
    let refusing = ruled(numbered(&[]), Options::new(), [Rule::new("never").expiry(Expiry::DoNotStore)]);
    let info = refusing.get().await.info;
    assert_eq!(info.reasons.first().to_string(), "a rule is set not to store the response");
    assert_eq!(info.rule.as_deref(), Some("never"));
}

#[tokio::test]
async fn a_rules_tags_purge() {
    let rules = [Rule::new("shop").path("/resource").tag("shop").tag("all").expiry(Expiry::Never)];
    let bench = ruled(numbered(&[]), Options::new(), rules);
    for tag in ["shop", "all", "own"] {
        let mut tagged = get();
        tagged.tags = vec!["own".into()];
        bench.send(tagged).await;
        assert_eq!(bench.get().await.info.source, Source::Store);
        assert_eq!(bench.engine.purge_tags([tag]).await.unwrap(), 1, "{tag}");
    }
}

#[tokio::test]
async fn a_requests_own_expiry_is_kept_with_the_entry() {
    let storage = memory();
    let bench = Bench::with(numbered(&[]), Arc::clone(&storage), |builder| builder);
    let mut dated = get();
    dated.controls.expiry = Some(Expiry::after_secs(60));
    let first = bench.send(dated).await;
    assert_eq!((first.info.source, first.info.ttl), (Source::Origin, Some(60)));
    // For whoever asks next, over an engine of its own too.
    let other = Bench::with(numbered(&[]), storage, |builder| builder);
    for (bench, seconds, source) in
        [(&bench, 59, Source::Store), (&other, 59, Source::Store), (&bench, 1, Source::Origin)]
    {
        bench.clock.forward(seconds);
        assert_eq!(bench.get().await.info.source, source);
    }
}

#[tokio::test]
async fn a_requests_own_key_takes_the_place_of_its_url() {
    let bench = Bench::new(numbered(&[("cache-control", "max-age=60")]));
    let keyed = |url: &str, key: &str| {
        let mut request = to(url);
        request.key = Some(key.into());
        request
    };
    let first = bench.send(keyed("http://a.test/?session=1", "a")).await;
    let same = bench.send(keyed("http://a.test/?session=2", "a")).await;
    assert_eq!((same.info.source, same.text()), (Source::Store, first.text()));
    let elsewhere = [
        keyed("http://a.test/?session=1", "b"),
        to("http://a.test/?session=1"),
        // No URL has the key of a name.
        keyed("http://a.test/?session=1", "http://a.test/?session=1"),
        with_field(keyed("http://a.test/?session=1", "a"), "authorization", "one"),
        with_field(keyed("http://a.test/?session=1", "a"), "authorization", "other"),
        with_field(keyed("http://a.test/?session=1", "a"), "cookie", "one"),
    ];
    for request in elsewhere {
        let about = format!("{request:?}");
        assert_eq!(bench.send(request).await.info.source, Source::Origin, "{about}");
    }
    let mut tenant = keyed("http://a.test/", "a");
    tenant.tenant = Some("t".into());
    assert_eq!(bench.send(tenant).await.info.source, Source::Origin);
}

/// Settings, a key and a rule in a shared cache, by which one user could get what another was answered.
#[tokio::test]
async fn in_a_shared_cache_no_setting_gives_one_users_answer_to_another() {
    let answers: [&'static [(&str, &str)]; 4] = [
        &[],
        FORBIDDEN,
        &[("cache-control", "must-revalidate, max-age=0"), ("etag", "\"same\"")],
        &[("cache-control", "private, max-age=60")],
    ];
    for answer in answers {
        let options = Options::new().mode(Mode::Shared).ttl(Expiry::Never).always_cache(true);
        let rules = [Rule::new("all").always_cache(true).expiry(Expiry::Never)];
        let bench = ruled(numbered(answer), options, rules);
        for user in ["one", "other"] {
            let mut request = with_field(get(), "authorization", user);
            request.key = Some("page".into());
            (request.controls.always_cache, request.controls.force_cache) = (true, true);
            request.controls.expiry = Some(Expiry::Never);
            let before = bench.origin.requests();
            let got = bench.send(request).await;
            assert!(!got.info.is_hit(), "{answer:?} to {user}");
            assert_eq!(got.text(), before.to_string(), "{answer:?} to {user}");
        }
    }
}

#[tokio::test]
async fn controls_that_contradict_each_other_are_refused() {
    let bench = Bench::new(numbered(&[]));
    let mut request = get();
    (request.controls.only_if_cached, request.controls.reload) = (true, true);
    let error = bench.engine.handle(request).await.unwrap_err();
    let Error::Setting(invalid) = &error else { panic!("{error:?}") };
    assert_eq!(invalid.to_string(), "only_if_cached: contradicts `reload`");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), invalid.to_string());
    assert_eq!(bench.origin.requests(), 0);
}

#[tokio::test]
async fn negative_answers_go_before_others() {
    let origin = Origin::new(|nth, _| async move { Ok(Reply::new(404, &[], nth.to_string())) });
    let options = Options::new().ttl(Expiry::after_secs(600)).negative(Expiry::after_secs(10));
    let bench = ruled(origin, options, []);
    let first = bench.get().await;
    assert_eq!((first.status, first.info.source), (StatusCode::NOT_FOUND, Source::Origin));
    bench.clock.forward(9);
    let hit = bench.get().await;
    assert_eq!((hit.status, hit.info.source), (StatusCode::NOT_FOUND, Source::Store));
    assert_eq!(hit.info.reasons.first(), Reason::Fresh);
    bench.clock.forward(1);
    assert_eq!(bench.get().await.info.source, Source::Origin);
}
