//! Redirects, and what they must not carry from one origin to another.

use crate::support::{self, Origin, builder, client, redirect, response};
use client_reqwest::redirect::Policy;
use http::{HeaderMap, HeaderValue};
use reqwest::{Body, Url};

/// An origin whose `/to/<path>` redirects to `target`'s `/<path>`, and which else says `ok`.
async fn leading_to(status: u16, target: String) -> Origin {
    Origin::with(move |seen| match seen.path.strip_prefix("/to/") {
        Some(path) => redirect(status, format!("{target}{path}")),
        None => response(200, &[], "ok"),
    })
    .await
}

const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "www-authenticate"];

fn credentials() -> HeaderMap {
    CREDENTIALS.map(|name| (name.parse().unwrap(), HeaderValue::from_static("secret"))).into_iter().collect()
}

fn assert_none(seen: &support::Seen) {
    for name in CREDENTIALS {
        assert_eq!(seen.header(name), None, "{name} reached {}", seen.path);
    }
}

#[tokio::test]
async fn credentials_dropped_between_origins_stay_dropped() {
    // A → B → B: the second request to B is not a change of origin, and must not bring them back.
    let b = Origin::with(|seen| match seen.path.as_str() {
        "/first" => redirect(302, "/second"),
        _ => response(200, &[], "ok"),
    })
    .await;
    let a = leading_to(302, b.url("/")).await;
    for by_default in [false, true] {
        let builder = if by_default { builder().default_headers(credentials()) } else { builder() };
        let client = builder.build().await.unwrap();
        let mut request = client.get(a.url("/to/first"));
        if !by_default {
            request = request.headers(credentials());
        }
        let response = request.header("x-kept", "yes").send().await.unwrap();
        assert_eq!(response.url().as_str(), b.url("/second"));
        assert_eq!(a.last().header("authorization"), Some("secret"));
        let seen = b.seen();
        assert_eq!(
            seen.iter().rev().take(2).map(|s| s.path.as_str()).collect::<Vec<_>>(),
            ["/second", "/first"]
        );
        for request in &seen {
            assert_none(request);
            assert_eq!(request.header("x-kept"), Some("yes"));
        }
    }
}

#[tokio::test]
async fn credentials_do_not_return_with_the_first_origin() {
    // A → B → A
    let a_url = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let back = a_url.clone();
    let b = Origin::with(move |_| redirect(307, back.get().unwrap())).await;
    let a = leading_to(301, b.url("/")).await;
    a_url.set(a.url("/end")).unwrap();
    let client = builder().default_headers(credentials()).build().await.unwrap();
    let response = client.get(a.url("/to/x")).bearer_auth("own").send().await.unwrap();
    assert_eq!(response.url().as_str(), a.url("/end"));
    assert_eq!(a.seen()[0].header("authorization"), Some("Bearer own"));
    assert_none(&b.last());
    assert_none(&a.last());
}

#[tokio::test]
async fn credentials_stay_within_their_origin() {
    let a = Origin::with(|seen| match seen.path.as_str() {
        "/a" => redirect(308, "b"),
        _ => response(200, &[], "ok"),
    })
    .await;
    client().await.get(a.url("/a")).headers(credentials()).send().await.unwrap();
    assert_eq!(a.last().path, "/b");
    assert_eq!(a.last().header("authorization"), Some("secret"));
}

#[tokio::test]
async fn credentials_in_a_url_become_a_field_and_leave_it() {
    let b = Origin::ok().await;
    let a = leading_to(302, format!("http://mallory:pw@{}/", b.addr())).await;
    let url = format!("http://Aladdin:open%20sesame@{}/to/x", a.addr());
    let client = client().await;
    let executed = client.execute(reqwest::Request::new(http::Method::GET, Url::parse(&url).unwrap())).await;
    for response in [client.get(&url).send().await, executed] {
        assert_eq!(response.unwrap().url().as_str(), b.url("/x"));
        assert_eq!(a.last().header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(b.last().header("authorization"), None);
    }
}

#[tokio::test]
async fn methods_bodies_and_content_fields() {
    // status, method, expected method, whether the body is sent again
    let rows = [
        (301, "POST", "GET", false),
        (301, "PUT", "PUT", true),
        (302, "POST", "GET", false),
        (302, "DELETE", "DELETE", true),
        (303, "POST", "GET", false),
        (303, "PUT", "GET", false),
        (303, "HEAD", "HEAD", false),
        (307, "POST", "POST", true),
        (308, "PATCH", "PATCH", true),
    ];
    let b = Origin::ok().await;
    let client = client().await;
    for (status, method, expected, body) in rows {
        let a = leading_to(status, b.url("/")).await;
        let response = client
            .request(method.parse().unwrap(), a.url("/to/end"))
            .header("content-type", "text/plain")
            .header("content-language", "de")
            .body("payload")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{status} {method}");
        let seen = b.last();
        assert_eq!(seen.method, expected, "{status} {method}");
        assert_eq!(seen.body, if body { "payload" } else { "" }, "{status} {method}");
        for name in ["content-type", "content-language"] {
            assert_eq!(seen.headers.contains_key(name), body, "{status} {method} {name}");
        }
    }
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_twice() {
    let b = Origin::ok().await;
    let client = client().await;
    for (status, expected) in [(307, 307), (303, 200)] {
        let a = leading_to(status, b.url("/")).await;
        let body = Body::wrap(String::from("streamed"));
        let response = client.post(a.url("/to/x")).body(body).send().await.unwrap();
        assert_eq!(response.status(), expected);
        assert_eq!(a.last().body, "streamed");
    }
    assert_eq!(b.seen().len(), 1);
}

#[tokio::test]
async fn ten_redirects_are_followed_and_an_eleventh_is_an_error() {
    let a = Origin::with(|seen| {
        let left: u32 = seen.path.trim_start_matches('/').parse().unwrap();
        if left == 0 { response(200, &[], "ok") } else { redirect(302, format!("/{}", left - 1)) }
    })
    .await;
    let client = client().await;
    assert_eq!(client.get(a.url("/10")).send().await.unwrap().url().path(), "/0");
    let error = client.get(a.url("/11?token=secret")).send().await.unwrap_err();
    assert!(error.is_redirect() && !error.is_timeout() && !error.is_builder());
    assert_eq!(error.url().unwrap().path(), "/1");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("too many redirects"));

    let none = builder().redirect(Policy::none()).build().await.unwrap();
    assert_eq!(none.get(a.url("/3")).send().await.unwrap().status(), 302);
    let stop = builder().redirect(Policy::custom(|attempt| {
        if attempt.url().path() == "/1" { attempt.stop() } else { attempt.follow() }
    }));
    let response = stop.build().await.unwrap().get(a.url("/3")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (302, "/2"));
}

#[tokio::test]
async fn where_a_location_leads() {
    let a = Origin::with(|seen| match seen.query.as_deref() {
        Some(location) => redirect(302, location.replace("%23", "#")),
        None => response(200, &[], "ok"),
    })
    .await;
    let client = client().await;
    let rows = [
        ("/a/b?/c", "/c"),
        ("/a/b?c", "/a/c"),
        ("/a/b?../c", "/c"),
        ("/a/b?c#kept", "/a/c#kept"),
        ("/a/b?c%23new#old", "/a/c#new"),
    ];
    for (asked, expected) in rows {
        let response = client.get(a.url(asked)).send().await.unwrap();
        assert_eq!(response.url().as_str(), a.url(expected), "{asked}");
        assert!(response.remote_addr().is_some(), "{asked}");
    }
    let unusable = client.get(a.url("/a?http://[")).send().await.unwrap();
    assert_eq!(unusable.status(), 302);
    let error = client.get(a.url("/a?ftp://example.com/")).send().await.unwrap_err();
    assert!(error.is_builder());
}

#[tokio::test]
async fn referer() {
    let a = Origin::with(|seen| match seen.path.as_str() {
        "/a" => redirect(302, "/b"),
        _ => response(200, &[], "ok"),
    })
    .await;
    client().await.get(a.url("/a?q#f")).send().await.unwrap();
    assert_eq!(a.last().header("referer"), Some(a.url("/a?q").as_str()));
    assert_eq!(a.seen()[0].header("referer"), None);
    let quiet = builder().referer(false).build().await.unwrap();
    quiet.get(a.url("/a")).send().await.unwrap();
    assert_eq!(a.last().header("referer"), None);
}

#[tokio::test]
async fn https_only_refuses_http() {
    let a = Origin::ok().await;
    let client = builder().https_only(true).build().await.unwrap();
    let error = client.get(a.url("/")).send().await.unwrap_err();
    assert!(error.is_builder());
    assert!(a.seen().is_empty());
}
