//! The proxy of `cache-proxy`, end to end: it changes nothing of what passes.

#![cfg(feature = "memory")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Origin, response};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use cache_proxy::{MARKER, Proxy};
use client_reqwest::{Mode, Options};
use futures_util::StreamExt;
use http::{Method, StatusCode};
use tokio::sync::Notify;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    addr
}

/// A proxy in front of that URL; its own.
async fn proxy(upstream: &str) -> String {
    let client =
        Proxy::client(Options::new().mode(Mode::Shared)).storage_url("memory://").build().await.unwrap();
    format!("http://{}", serve(Proxy::new(client, &upstream.parse().unwrap()).router()).await)
}

/// A client that adds nothing and follows nothing.
fn plain() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.no_gzip().no_brotli().no_zstd().no_deflate().build().unwrap()
}

#[tokio::test]
async fn methods_statuses_and_fields_pass_as_they_are() {
    let origin = Origin::with(|seen| {
        let status = seen.query.as_deref().map_or(200, |status| status.parse().unwrap());
        let fields = [
            ("x-two", "1"),
            ("x-two", "2"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("location", "/elsewhere"),
            ("content-encoding", "gzip"),
            ("date", "Sunday, 06-Nov-94 08:49:37 GMT"),
            ("server", "mine"),
            ("connection", "x-listed"),
            ("keep-alive", "timeout=5"),
        ];
        response(status, &fields, if status == 304 { "" } else { "not gzip" })
    })
    .await;
    let url = proxy(&origin.url("/base/")).await;
    for method in ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "PURGE", "M-SEARCH", "patch"] {
        for status in [200, 204, 304, 301, 404, 451, 503, 599, 999] {
            let method: Method = method.parse().unwrap();
            let request = plain().request(method.clone(), format!("{url}/p%20a/%2F?{status}"));
            let request = request.header("x-up", "1").header("x-up", "2").header("te", "trailers");
            let answer = request.header("accept-encoding", "br").send().await.unwrap();
            assert_eq!(answer.status(), status, "{method}");
            let headers = answer.headers();
            let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
            assert_eq!(all("x-two"), ["1", "2"]);
            assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
            assert_eq!(headers["date"], "Sunday, 06-Nov-94 08:49:37 GMT");
            assert_eq!(headers["server"], "mine");
            assert_eq!(headers["location"], "/elsewhere");
            assert_eq!(headers["content-encoding"], "gzip");
            assert!(!headers.contains_key("keep-alive") && headers.contains_key("cache-status"));
            let body = answer.text().await.unwrap();
            let empty = method == Method::HEAD || [204, 304].contains(&status);
            assert_eq!(body, if empty { "" } else { "not gzip" }, "{method} {status}");

            let seen = origin.last();
            assert_eq!((seen.method.clone(), seen.path.as_str()), (method, "/base/p%20a/%2F"));
            assert_eq!(seen.headers.get_all("x-up").iter().collect::<Vec<_>>(), ["1", "2"]);
            assert_eq!((seen.header("accept"), seen.header("accept-encoding")), (Some("*/*"), Some("br")));
            assert_eq!((seen.header("user-agent"), seen.header("te")), (None, None));
            assert_eq!(seen.header("host"), Some(origin.addr().to_string().as_str()));
        }
    }
}

#[tokio::test]
async fn hits_heads_conditions_and_ranges() {
    let fields = [FRESH, ("etag", "\"1\""), ("x-latin", "plain")];
    let origin = Origin::with(move |_| response(200, &fields, "0123456789")).await;
    let url = proxy(&origin.url("")).await;
    for n in 0..2 {
        let answer = plain().get(&url).send().await.unwrap();
        let status = answer.headers()["cache-status"].to_str().unwrap().to_owned();
        assert_eq!(status.contains("; hit"), n == 1, "{status}");
        assert_eq!(answer.content_length(), Some(10));
        assert_eq!(answer.headers().contains_key("age"), n == 1);
        assert_eq!(answer.text().await.unwrap(), "0123456789");
    }
    let head = plain().head(&url).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["content-length"]), (StatusCode::OK, &"10".parse().unwrap()));
    let known = plain().get(&url).header("if-none-match", "\"1\"").send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()["etag"], "\"1\"");
    let part = plain().get(&url).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!((part.status(), part.text().await.unwrap()), (StatusCode::PARTIAL_CONTENT, "234".into()));
    assert_eq!(origin.seen().len(), 1);
    plain().post(&url).body("x").send().await.unwrap();
    let after = plain().get(&url).send().await.unwrap();
    assert!(!after.headers()["cache-status"].to_str().unwrap().contains("; hit"));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (sent, received) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (go_on, got) = (sent.clone(), received.clone());
    // Says what it got, as it gets it.
    let app = Router::new().fallback(move |request: Request| {
        let got = got.clone();
        async move {
            let chunks = request.into_body().into_data_stream().map(move |chunk| {
                got.notify_one();
                chunk
            });
            Response::new(Body::from_stream(chunks))
        }
    });
    let url = proxy(&format!("http://{}", serve(app).await)).await;
    let parts = futures_util::stream::iter(0..3).then(move |part| {
        let go_on = go_on.clone();
        async move {
            if part > 0 {
                go_on.notified().await;
            }
            Ok::<_, std::io::Error>(format!("part {part}"))
        }
    });
    let request = plain().post(&url).body(reqwest::Body::wrap_stream(parts));
    let mut answer = request.send().await.unwrap();
    for part in 0..3 {
        // Each part has come all the way before the next one sets out.
        received.notified().await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), format!("part {part}"));
        sent.notify_one();
    }
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_dead_upstream_is_502_and_a_broken_body_a_broken_connection() {
    let origin = Origin::with(|seen| {
        let parts = futures_util::stream::iter([Ok("first")]).chain(futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("broken"))
        }));
        let fields: &[(&str, &str)] =
            if seen.path == "/sized" { &[FRESH, ("content-length", "100")] } else { &[FRESH] };
        response(200, fields, Body::from_stream(parts))
    })
    .await;
    let url = proxy(&origin.url("")).await;
    for path in ["/chunked", "/sized"] {
        for _ in 0..2 {
            let mut answer = plain().get(format!("{url}{path}")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(!answer.headers()["cache-status"].to_str().unwrap().contains("hit"));
            assert_eq!(answer.chunk().await.unwrap().unwrap(), "first", "{path}");
            assert!(answer.chunk().await.is_err(), "{path}");
        }
    }

    let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = closing.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        loop {
            // Read, and left without an answer.
            let (mut stream, _) = closing.accept().await.unwrap();
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await;
        }
    });
    let url = proxy(&format!("http://{addr}")).await;
    for _ in 0..2 {
        for method in [Method::GET, Method::POST] {
            let answer = plain().request(method.clone(), &url).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{method}");
            assert!(answer.headers().contains_key(MARKER), "{method}");
        }
        accepting.abort();
    }
}
