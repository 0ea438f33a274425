//! Cookies of a client with a jar.

#![cfg(feature = "cookies")]

use std::sync::Arc;

use crate::support::{Origin, builder, client, redirect, response};
use reqwest::cookie::Jar;

async fn setting() -> Origin {
    Origin::with(|seen| match seen.path.as_str() {
        "/set" => response(200, &[("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/")], "ok"),
        "/login" => {
            let mut response = redirect(303, "/home");
            response.headers_mut().append("set-cookie", "session=x; Path=/".parse().unwrap());
            response
        }
        _ => response(200, &[], "ok"),
    })
    .await
}

#[tokio::test]
async fn a_jar_keeps_cookies_between_requests_and_hops() {
    let origin = setting().await;
    let client = builder().cookie_store(true).build().await.unwrap();
    client.get(origin.url("/set")).send().await.unwrap();
    client.get(origin.url("/")).send().await.unwrap();
    let cookies = origin.last().header("cookie").unwrap().to_owned();
    assert!(cookies.contains("a=1") && cookies.contains("b=2"), "{cookies}");

    client.post(origin.url("/login")).send().await.unwrap();
    assert_eq!(origin.last().path, "/home");
    assert!(origin.last().header("cookie").unwrap().contains("session=x"));

    client.get(origin.url("/")).header("cookie", "own=1").send().await.unwrap();
    assert_eq!(origin.last().header("cookie"), Some("own=1"));
}

#[tokio::test]
async fn the_callers_own_jar_is_used() {
    let origin = setting().await;
    let jar = Arc::new(Jar::default());
    jar.add_cookie_str("given=1", &origin.url("/").parse().unwrap());
    let client = builder().cookie_provider(jar).build().await.unwrap();
    client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(origin.last().header("cookie"), Some("given=1"));
}

#[tokio::test]
async fn without_a_jar_there_are_no_cookies() {
    let origin = setting().await;
    let client = client().await;
    client.get(origin.url("/set")).send().await.unwrap();
    client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(origin.last().header("cookie"), None);
}
