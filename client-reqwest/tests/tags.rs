//! Tags of a request: stored with each answer on its way, and never sent.

#![cfg(feature = "memory")]

use crate::support::{Origin, builder, response, source};
use client_reqwest::{CachedClient, RequestBuilder, Source};

async fn origin() -> Origin {
    Origin::with(|seen| match seen.path.as_str() {
        "/moved" => response(301, &[("cache-control", "max-age=60"), ("location", "/there")], ""),
        _ => response(200, &[("cache-control", "max-age=60"), ("cache-tag", "all")], "x"),
    })
    .await
}

async fn ask(request: RequestBuilder) -> Source {
    source(&request.send().await.unwrap())
}

#[tokio::test]
async fn they_survive_building_and_redirects() {
    let origin = origin().await;
    let client = builder().build().await.unwrap();
    ask(client.get(origin.url("/moved")).tag("by builder").tag("second")).await;
    let built = client.get(origin.url("/built")).tag("by request").build().unwrap();
    client.execute(built).await.unwrap();
    for (tag, removed) in [("by builder", 2), ("second", 0), ("by request", 1), ("all", 0)] {
        assert_eq!(client.purge_tags([tag]).await.unwrap(), removed, "{tag}");
    }
    for seen in origin.seen() {
        assert!(!format!("{:?}", seen.headers).contains("by "), "{seen:?}");
    }
}

#[tokio::test]
async fn what_the_answer_says_counts_too() {
    let origin = origin().await;
    let client = builder().build().await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask(client.get(origin.url("/a"))).await, Source::Origin);
        assert_eq!(ask(client.get(origin.url("/a"))).await, Source::Store);
        assert_eq!(client.purge_tags(["all"]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_client_without_a_cache_has_nothing_to_remove() {
    let client = CachedClient::builder().disabled().build().await.unwrap();
    assert_eq!(client.purge_tags(["all"]).await.unwrap(), 0);
}
