//! What an answer out of the store looks like to a caller.

#![cfg(all(feature = "memory", feature = "json"))]

use std::time::Duration;

use crate::support::{Origin, TestClock, builder, client, redirect, response, source};
use client_reqwest::cache_engine::stats::{Outcome, Purpose};
use client_reqwest::{CachedClient, Controls, Fallback, Forward, Reason, ResponseExt, Source};
use futures_util::TryStreamExt;
use http::{HeaderValue, StatusCode, Version};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

#[tokio::test]
async fn a_hit_is_a_response_like_any_other() {
    let origin =
        Origin::with(|_| response(200, &[FRESH, ("content-type", "application/json")], "[1,2]")).await;
    let client = client().await;
    let url = origin.url("/list?page=1");
    let fetched = client.get(&url).send().await.unwrap();
    assert_eq!(source(&fetched), Source::Origin);
    assert_eq!(fetched.remote_addr(), Some(origin.addr()));
    assert_eq!(fetched.content_length(), Some(5));
    assert_eq!(fetched.json::<Vec<u32>>().await.unwrap(), [1, 2]);

    let hit = client.get(format!("{url}#part")).send().await.unwrap();
    assert_eq!(hit.url().as_str(), format!("{url}#part"));
    assert_eq!((hit.status(), hit.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(hit.headers()["content-type"], "application/json");
    assert_eq!(hit.content_length(), Some(5));
    assert_eq!(hit.remote_addr(), None);
    let stats = client.stats().unwrap();
    assert_eq!((stats.requests.get(Outcome::Miss), stats.requests.get(Outcome::Hit)), (1, 1));
    assert_eq!((stats.origin_requests.of(Purpose::Fetch), stats.origin_requests.total()), (1, 1));
    let info = hit.cache_info().unwrap().clone();
    assert!(info.is_hit() && info.key.is_some() && info.variant.is_some() && info.created.is_some());
    assert_eq!((info.source, info.reasons.first()), (Source::Store, Reason::Fresh));
    assert!(info.ttl.is_some_and(|ttl| (55..=60).contains(&ttl)), "{info:?}");
    assert!(info.age.is_some_and(|age| age < Duration::from_secs(5)), "{info:?}");
    assert_eq!(hit.json::<Vec<u32>>().await.unwrap(), [1, 2]);

    for _ in 0..2 {
        let stream = client.get(&url).send().await.unwrap().bytes_stream();
        let chunks: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(chunks.concat(), b"[1,2]");
        let mut hit = client.get(&url).send().await.unwrap();
        assert_eq!(hit.chunk().await.unwrap().unwrap(), "[1,2]");
        assert_eq!(hit.chunk().await.unwrap(), None);
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn the_cache_speaks_in_its_field() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/hop" => redirect(302, "/"),
        _ => response(200, &[FRESH, ("cache-status", "Upstream; hit")], "ok"),
    })
    .await;
    let lines = async |client: &CachedClient, path: &str| -> Vec<String> {
        let response = client.get(origin.url(path)).send().await.unwrap();
        let lines = response.headers().get_all("cache-status").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    };
    let plain = client().await;
    let miss = lines(&plain, "/").await;
    assert_eq!((miss.len(), &*miss[0]), (2, "Upstream; hit"));
    assert!(
        miss[1].starts_with("http-cache; fwd=uri-miss; ttl=") && miss[1].ends_with("; stored"),
        "{miss:?}"
    );
    let hit = lines(&plain, "/hop").await;
    assert!(hit.len() == 2 && hit[1].starts_with("http-cache; hit; ttl="), "{hit:?}");

    let response = plain.post(origin.url("/")).send().await.unwrap();
    assert_eq!(response.headers().get_all("cache-status").iter().nth(1).unwrap(), "http-cache; fwd=method");
    let response = plain.get(origin.url("/")).bypass().send().await.unwrap();
    assert_eq!(response.headers().get_all("cache-status").iter().nth(1).unwrap(), "http-cache; fwd=bypass");
    assert_eq!(response.cache_info().unwrap().forward, Some(Forward::Bypass));

    let named = builder().cache_status("my cache").build().await.unwrap();
    assert!(lines(&named, "/").await[1].starts_with("\"my cache\"; fwd=uri-miss"));
    let silent = builder().cache_status(None).build().await.unwrap();
    assert_eq!(lines(&silent, "/").await, ["Upstream; hit"]);
    assert!(silent.get(origin.url("/")).send().await.unwrap().cache_info().unwrap().is_hit());

    let disabled = builder().disabled().build().await.unwrap();
    assert_eq!(lines(&disabled, "/").await, ["Upstream; hit"]);
    let response = disabled.get(origin.url("/")).send().await.unwrap();
    assert!(response.cache_info().is_none() && disabled.storage().is_none());
}

#[tokio::test]
async fn what_one_request_asks_of_the_cache() {
    let clock = TestClock::new();
    let origin = Origin::with(|seen| match seen.header("if-none-match") {
        Some("\"1\"") => response(304, &[FRESH, ("etag", "\"1\"")], ""),
        _ => response(200, &[FRESH, ("etag", "\"1\"")], "ok"),
    })
    .await;
    let client = builder().clock(clock.clone()).build().await.unwrap();
    let get = || client.get(origin.url("/"));

    let missing = get().only_if_cached().send().await.unwrap();
    assert_eq!((missing.status(), source(&missing)), (StatusCode::GATEWAY_TIMEOUT, Source::Nowhere));
    assert_eq!(source(&get().no_store().send().await.unwrap()), Source::Origin);
    assert_eq!(get().only_if_cached().send().await.unwrap().status(), 504);
    get().send().await.unwrap().bytes().await.unwrap();
    assert_eq!(source(&get().only_if_cached().send().await.unwrap()), Source::Store);

    let validated = get().revalidate().send().await.unwrap();
    assert_eq!(source(&validated), Source::Revalidated);
    assert_eq!(validated.remote_addr(), Some(origin.addr()));
    assert_eq!((validated.status(), validated.text().await.unwrap()), (StatusCode::OK, "ok".into()));
    let reloaded = get().reload().send().await.unwrap();
    assert_eq!(source(&reloaded), Source::Origin);
    assert_eq!(origin.last().header("if-none-match"), None);
    reloaded.bytes().await.unwrap();

    clock.advance(100);
    let mut stale_ok = Controls::new();
    stale_ok.stale_ok = true;
    let stale = get().cache(stale_ok).send().await.unwrap();
    assert_eq!(source(&stale), Source::Stale);
    assert!(stale.headers()["cache-status"].to_str().unwrap().contains("hit; ttl=-"), "{stale:?}");
    for seen in origin.seen() {
        assert_eq!((seen.header("cache-control"), seen.header("pragma")), (None, None));
    }
}

#[tokio::test]
async fn a_stored_get_answers_head_and_an_unsafe_method_ends_it() {
    let origin = Origin::with(|_| response(200, &[FRESH], "body")).await;
    let client = client().await;
    let url = origin.url("/");
    client.get(&url).send().await.unwrap().bytes().await.unwrap();
    let head = client.head(&url).send().await.unwrap();
    assert_eq!((source(&head), head.status()), (Source::Store, StatusCode::OK));
    assert_eq!(head.headers()["content-length"], "4");
    assert!(head.bytes().await.unwrap().is_empty());
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        client.request(method.parse().unwrap(), &url).body("x").send().await.unwrap();
        let after = client.get(&url).send().await.unwrap();
        assert_eq!(source(&after), Source::Origin, "{method}");
        after.bytes().await.unwrap();
        assert_eq!(source(&client.get(&url).send().await.unwrap()), Source::Store, "{method}");
    }
}

#[tokio::test]
async fn field_values_survive_as_they_were() {
    let origin = Origin::with(|_| {
        let mut answer = response(200, &[FRESH, ("x-two", "1"), ("x-two", "2, 3")], "ok");
        answer.headers_mut().insert("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        answer.headers_mut().insert("x-utf8", HeaderValue::from_bytes("žluť".as_bytes()).unwrap());
        answer.headers_mut().insert("x-empty", HeaderValue::from_static(""));
        answer
    })
    .await;
    let client = client().await;
    let fetched = client.get(origin.url("/")).send().await.unwrap();
    let mut expected = fetched.headers().clone();
    fetched.bytes().await.unwrap();
    let hit = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(source(&hit), Source::Store);
    let mut headers = hit.headers().clone();
    for name in ["cache-status", "age"] {
        expected.remove(name);
        headers.remove(name);
    }
    assert_eq!(headers, expected);
    assert_eq!(headers.get_all("x-two").iter().collect::<Vec<_>>(), ["1", "2, 3"]);
    assert_eq!(headers["x-latin"].as_bytes(), b"caf\xe9");
}

#[tokio::test]
async fn a_fallback_is_for_answers_that_say_nothing() {
    let clock = TestClock::new();
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/silent" => response(200, &[], "ok"),
        "/missing" => response(404, &[], "no"),
        "/no-store" => response(200, &[("cache-control", "no-store")], "ok"),
        _ => response(200, &[("cache-control", "max-age=1")], "ok"),
    })
    .await;
    let client = builder()
        .clock(clock.clone())
        .fallback(Fallback::new(Duration::from_secs(60)))
        .build()
        .await
        .unwrap();
    for (path, later) in [
        ("/silent", Source::Store),
        ("/missing", Source::Origin),
        ("/no-store", Source::Origin),
        ("/short", Source::Origin),
    ] {
        client.get(origin.url(path)).send().await.unwrap().bytes().await.unwrap();
        clock.advance(30);
        assert_eq!(source(&client.get(origin.url(path)).send().await.unwrap()), later, "{path}");
    }
}

#[tokio::test]
async fn a_redirect_is_stored_under_its_own_rules() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/kept" => response(301, &[FRESH, ("location", "/end")], ""),
        "/asked" => response(302, &[("location", "/end")], ""),
        _ => response(200, &[FRESH], "end"),
    })
    .await;
    let client = client().await;
    for path in ["/kept", "/asked", "/kept", "/asked"] {
        let response = client.get(origin.url(path)).send().await.unwrap();
        assert_eq!(response.url().path(), "/end");
        assert_eq!(response.text().await.unwrap(), "end");
    }
    let asked: Vec<_> = origin.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/kept", "/end", "/asked", "/asked"]);
}

#[tokio::test]
async fn a_request_and_its_answer_are_explained() {
    let origin = Origin::with(|_| response(200, &[FRESH], "x")).await;
    let client = client().await;
    let url = origin.url("/");
    let told = client.get(&url).explain().await.unwrap().unwrap().to_string();
    assert!(told.starts_with("asked of the origin\n") && told.contains("RFC 9111 §4"), "{told}");
    assert_eq!(origin.seen().len(), 0, "explaining asks nobody");
    client.get(&url).send().await.unwrap().text().await.unwrap();
    let told = client.get(&url).explain().await.unwrap().unwrap();
    assert_eq!((told.stored, told.forward), (1, None));
    assert!(told.to_string().starts_with("served from the store\n"), "{told}");
    let hit = client.get(&url).send().await.unwrap();
    assert!(hit.cache_info().unwrap().explain().to_string().contains("RFC 9111 §4.2"));
    let disabled = CachedClient::builder().disabled().build().await.unwrap();
    assert!(disabled.get(&url).explain().await.unwrap().is_none());
}
