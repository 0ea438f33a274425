//! Errors and their predicates.

#![cfg(feature = "json")]

use std::error::Error as _;

use crate::support::{Origin, client, response};
use client_reqwest::Error;

#[tokio::test]
async fn a_url_that_is_not_valid_fails_when_sent() {
    for url in ["not a url", "file:///etc/passwd", "http://", "mailto:a@b"] {
        let error = client().await.get(url).send().await.unwrap_err();
        assert!(error.is_builder() && !error.is_request() && !error.is_redirect(), "{url} {error:?}");
        assert!(client().await.get(url).build().unwrap_err().is_builder());
        assert!(client().await.get(url).try_clone().is_none());
    }
    let error = client().await.get("http://example.com/").header("bad name", "x").send().await.unwrap_err();
    assert!(error.is_builder());
}

#[tokio::test]
async fn a_refused_connection() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?token=secret", closed.local_addr().unwrap());
    drop(closed);
    let mut error = client().await.get(&url).send().await.unwrap_err();
    assert!(error.is_connect() && error.is_request() && !error.is_timeout() && !error.is_dns());
    assert!(error.source().unwrap().is::<reqwest::Error>());
    assert_eq!(error.url().unwrap().as_str(), url);

    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    assert!(shown.contains("/path") && !shown.contains("secret"), "{shown}");

    error.url_mut().unwrap().set_query(None);
    assert_eq!(error.url().unwrap().query(), None);
    assert!(error.without_url().url().is_none());
}

#[tokio::test]
async fn a_status_and_a_body_that_does_not_decode() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/missing" => response(404, &[], "no"),
        _ => response(200, &[], "not json"),
    })
    .await;
    let client = client().await;
    let get = async |path| -> client_reqwest::Result<Vec<u32>> {
        Ok(client.get(origin.url(path)).send().await?.error_for_status()?.json().await?)
    };
    let error: Error = get("/missing").await.unwrap_err();
    assert!(error.is_status() && !error.is_decode());
    assert_eq!(error.status().unwrap(), 404);
    assert_eq!(error.url().unwrap().path(), "/missing");
    let error = get("/").await.unwrap_err();
    assert!(error.is_decode() && !error.is_status() && error.status().is_none());
}

#[tokio::test]
async fn a_response_can_be_upgraded() {
    let origin = Origin::ok().await;
    let error = client().await.get(origin.url("/")).send().await.unwrap().upgrade().await.unwrap_err();
    assert!(Error::from(error).is_upgrade());
}
