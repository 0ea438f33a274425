//! What a request carries: default fields, authentication, the builder's methods, and nothing of the cache's.

#![cfg(all(
    feature = "cookies",
    feature = "form",
    feature = "json",
    feature = "multipart",
    feature = "query"
))]

use crate::support::{self, Origin, builder, client};
use client_reqwest::{CachedClient, RequestBuilder};
use http::{HeaderMap, HeaderValue, Method, Version};

#[tokio::test]
async fn default_fields_fill_gaps_only() {
    let origin = Origin::ok().await;
    let defaults: HeaderMap = [("x-a", "default"), ("x-b", "default")]
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let client = builder().user_agent("agent/1").default_headers(defaults).build().await.unwrap();
    client.get(origin.url("/")).header("x-b", "own").send().await.unwrap();
    let seen = origin.last();
    assert_eq!(seen.header("x-a"), Some("default"));
    assert_eq!(seen.headers.get_all("x-b").iter().collect::<Vec<_>>(), ["own"]);
    assert_eq!(seen.header("user-agent"), Some("agent/1"));
    assert_eq!(seen.header("accept"), Some("*/*"));
}

#[tokio::test]
async fn every_builder_method_means_what_it_means_in_reqwest() {
    let origin = Origin::ok().await;
    let client = client().await;
    let mut replaced = HeaderMap::new();
    replaced.append("x-multi", HeaderValue::from_static("1"));
    replaced.append("x-multi", HeaderValue::from_static("2"));
    client
        .get(origin.url("/q"))
        .query(&[("a", "b c")])
        .query(&[("a", "2")])
        .header("x-multi", "gone")
        .headers(replaced)
        .basic_auth("user", Some("pass"))
        .version(Version::HTTP_11)
        .send()
        .await
        .unwrap();
    let seen = origin.last();
    assert_eq!(seen.query.as_deref(), Some("a=b+c&a=2"));
    assert_eq!(seen.headers.get_all("x-multi").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.header("authorization"), Some("Basic dXNlcjpwYXNz"));

    client.post(origin.url("/")).json(&["a"]).send().await.unwrap();
    assert_eq!(
        (origin.last().header("content-type"), &*origin.last().body),
        (Some("application/json"), &b"[\"a\"]"[..])
    );
    client.put(origin.url("/")).form(&[("a", "b")]).send().await.unwrap();
    assert_eq!(origin.last().header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((origin.last().method, &*origin.last().body), (Method::PUT, &b"a=b"[..]));
    let form = reqwest::multipart::Form::new().text("key", "value");
    client.patch(origin.url("/")).multipart(form).send().await.unwrap();
    assert!(origin.last().header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    assert!(origin.last().header("content-length").is_some());
    client.delete(origin.url("/d")).body("x").send().await.unwrap();
    assert_eq!((origin.last().method, &*origin.last().body), (Method::DELETE, &b"x"[..]));
    assert!(client.head(origin.url("/")).send().await.unwrap().text().await.unwrap().is_empty());
}

#[tokio::test]
async fn controls_travel_in_the_request_and_never_on_the_wire() {
    let origin = Origin::ok().await;
    let client = client().await;
    let request = |url: String| -> RequestBuilder { client.get(url).reload().no_store() };
    request(origin.url("/")).send().await.unwrap();
    let direct = origin.last();
    let built = request(origin.url("/#fragment")).timeout(std::time::Duration::from_secs(9)).build().unwrap();
    assert_eq!(built.url().fragment(), Some("fragment"));
    assert_eq!(built.timeout(), Some(&std::time::Duration::from_secs(9)));
    assert!(built.body().is_none());
    client.execute(built).await.unwrap();
    assert_eq!(origin.last().headers, direct.headers);
    for name in ["cache-control", "pragma"] {
        assert_eq!(direct.header(name), None);
    }
    let cloned = request(origin.url("/")).try_clone().unwrap();
    let (_, built) = cloned.build_split();
    RequestBuilder::from_parts(client.clone(), built.unwrap()).header("x-more", "1").send().await.unwrap();
    assert_eq!(origin.last().header("x-more"), Some("1"));
}

#[tokio::test]
async fn futures_can_be_spawned() {
    let origin = Origin::ok().await;
    let client = client().await;
    let sent = tokio::spawn(client.get(origin.url("/")).send());
    let executed = tokio::spawn(client.execute(client.get(origin.url("/")).build().unwrap()));
    drop(client);
    assert_eq!(sent.await.unwrap().unwrap().text().await.unwrap(), "ok");
    assert_eq!(executed.await.unwrap().unwrap().text().await.unwrap(), "ok");
}

#[tokio::test]
async fn debug_output_has_no_secrets() {
    let secret =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer s3cr3t"))]);
    let builder = builder().default_headers(secret.clone()).cookie_store(true);
    let shown = format!("{builder:?}");
    let client = builder.build().await.unwrap();
    let request = client.get("http://user:s3cr3t@example.com/p?token=s3cr3t").headers(secret);
    let shown = format!("{shown} {client:?} {request:?}");
    assert!(shown.contains("authorization") && shown.contains("http://example.com/p"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn what_the_cache_could_not_see_is_refused() {
    let auth = || HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
    let none = reqwest::redirect::Policy::none;
    let wire = || reqwest::Client::builder().redirect(none());
    let refused = [
        builder().wire(|wire| wire.default_headers(auth())),
        builder().wire(|wire| wire.user_agent("hidden/1")),
        CachedClient::builder().wire_client(wire().default_headers(auth()).build().unwrap()),
        CachedClient::builder().wire_client(wire().cookie_store(true).build().unwrap()),
        CachedClient::builder().wire_client(reqwest::Client::new()),
    ];
    for builder in refused {
        let error = builder.build().await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.is_builder() && why.contains("on this builder"), "{why}");
    }
    let origin = Origin::ok().await;
    let client =
        CachedClient::builder().wire_client(wire().no_proxy().build().unwrap()).build().await.unwrap();
    client.get(origin.url("/")).send().await.unwrap();
}

#[tokio::test]
async fn what_the_builder_owns_is_overridden_on_the_wire() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/a" => support::redirect(302, "/b"),
        _ => support::response(200, &[("set-cookie", "a=b")], "ok"),
    })
    .await;
    let client = builder()
        .redirect(client_reqwest::redirect::Policy::none())
        .wire(|wire| wire.redirect(reqwest::redirect::Policy::limited(3)).cookie_store(true))
        .build()
        .await
        .unwrap();
    assert_eq!(client.get(origin.url("/a")).send().await.unwrap().status(), 302);
    for _ in 0..2 {
        client.get(origin.url("/b")).send().await.unwrap();
        assert_eq!(origin.last().header("cookie"), None);
    }
}
