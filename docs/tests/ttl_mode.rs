//! What the page on TTL mode says of it, against an origin: what users of requests-cache and its like know holds.

use axum::Router;
use axum::http::header::{AGE, CACHE_CONTROL, ETAG, IF_NONE_MATCH, LOCATION, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use client_reqwest::{CachedClient, CachedClientBuilder, Expiry, ExpiryMode, ResponseExt, Source};
use tokio::net::TcpListener;

/// The settings of the page's first example, in memory.
fn as_before(expiry: impl Into<Expiry>) -> CachedClientBuilder {
    let statuses = [200, 301, 302, 303, 307, 308].map(|code| StatusCode::from_u16(code).expect("a status"));
    CachedClient::builder().ttl(expiry).statuses(statuses).wire(reqwest::ClientBuilder::no_proxy)
}

#[tokio::test]
async fn what_is_served_a_second_time() {
    use Source::{Origin, Store};
    let origin = origin().await;
    let table = [
        ("/no-store", Store, "header fields do not forbid it"),
        ("/max-age-0", Store, "nor shorten it"),
        ("/old", Store, "nor does an age"),
        ("/silent", Store, "nor need they say anything"),
        ("/moved", Store, "a redirect is kept, and so is what it leads to"),
        ("/missing", Origin, "an error is not, unless it is listed"),
        ("/empty", Origin, "nor is a success that is not listed"),
    ];
    let client = as_before(Expiry::after_secs(3600)).build().await.expect("a client");
    for (path, expected, why) in table {
        assert_eq!(second(&client, &origin, path).await, expected, "{path}: {why}");
    }
}

#[tokio::test]
async fn who_decides() {
    let origin = origin().await;
    let url = format!("{origin}/silent");
    let none = CachedClient::builder().precedence(ExpiryMode::Ttl).wire(reqwest::ClientBuilder::no_proxy);
    let none = none.build().await.expect("a client");
    assert_eq!(second(&none, &origin, "/silent").await, Source::Origin, "no setting, nothing stored");

    let client = as_before(Expiry::DoNotStore).build().await.expect("a client");
    assert_eq!(second(&client, &origin, "/silent").await, Source::Origin, "the client's");
    client.get(&url).expiry(Expiry::Never).send().await.expect("an answer").bytes().await.expect("a body");
    assert_eq!(second(&client, &origin, "/silent").await, Source::Store, "the request's goes before it");
}

#[tokio::test]
async fn past_its_time_it_is_validated() {
    let origin = origin().await;
    let client = as_before(Expiry::AtOnce).build().await.expect("a client");
    assert_eq!(second(&client, &origin, "/tagged").await, Source::Revalidated);
    assert_eq!(second(&client, &origin, "/silent").await, Source::Origin, "there is nothing to validate by");
}

#[tokio::test]
async fn users_and_variants_are_kept_apart() {
    let origin = origin().await;
    let client = as_before(Expiry::Never).build().await.expect("a client");
    let mut sources = Vec::new();
    for (user, language) in [("a", "de"), ("b", "de"), ("a", "en"), ("a", "de")] {
        let request =
            client.get(format!("{origin}/varied")).bearer_auth(user).header("accept-language", language);
        sources.push(read(request.send().await.expect("an answer")).await);
    }
    assert_eq!(sources, [Source::Origin, Source::Origin, Source::Origin, Source::Store]);
}

/// Where the second answer of two comes from.
async fn second(client: &CachedClient, origin: &str, path: &str) -> Source {
    let url = format!("{origin}{path}");
    read(client.get(&url).send().await.expect("an answer")).await;
    read(client.get(&url).send().await.expect("an answer")).await
}

async fn read(response: reqwest::Response) -> Source {
    let source = response.cache_info().expect("it passed through the cache").source;
    response.bytes().await.expect("a body");
    source
}

async fn origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new()
        .route("/no-store", get(|| async { ([(CACHE_CONTROL, "no-store")], "x") }))
        .route("/max-age-0", get(|| async { ([(CACHE_CONTROL, "max-age=0, must-revalidate")], "x") }))
        .route("/old", get(|| async { ([(CACHE_CONTROL, "max-age=60"), (AGE, "7200")], "x") }))
        .route("/silent", get(|| async { "x" }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [(LOCATION, "/silent")]) }))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "x") }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/tagged", get(tagged))
        .route("/varied", get(|| async { ([(VARY, "accept-language")], "x") }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn tagged(headers: HeaderMap) -> Response {
    let tag = [(ETAG, "\"1\"")];
    match headers.get(IF_NONE_MATCH) {
        Some(_) => (StatusCode::NOT_MODIFIED, tag).into_response(),
        None => (tag, "x").into_response(),
    }
}
