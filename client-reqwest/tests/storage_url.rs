//! Storages by URL: what cannot be opened is said before any request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::error::Error as _;

use crate::support::builder;

async fn why(url: &str) -> String {
    let error = builder().storage_url(url).build().await.unwrap_err();
    assert!(error.is_builder(), "{error:?}");
    let shown = format!("{error} {error:?} {}", error.source().unwrap());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    shown
}

#[tokio::test]
async fn an_unknown_scheme_lists_the_known_ones() {
    for url in ["carrier-pigeon://user:s3cr3t@host", "C:\\cache"] {
        let why = why(url).await;
        for scheme in
            ["`memory`", "`sqlite`", "`redis`", "`rediss`", "`postgres`", "`postgresql`", "`dynamodb`"]
        {
            assert!(why.contains(scheme), "{why}");
        }
        for scheme in ["`mongodb`", "`mongodb+srv`", "`s3`", "`gs`", "`az`", "`file`"] {
            assert!(why.contains(scheme), "{why}");
        }
    }
    assert!(why("cache.db").await.contains("sqlite://"));
}

#[tokio::test]
async fn a_known_scheme_names_the_feature_that_is_off() {
    let off: &[(&str, &str)] = &[
        #[cfg(not(feature = "redis"))]
        ("redis://:s3cr3t@host", "`redis`"),
        #[cfg(not(feature = "redis"))]
        ("rediss://host", "`redis`"),
        #[cfg(not(feature = "postgres"))]
        ("postgres://u:s3cr3t@host/db", "`postgres`"),
        #[cfg(not(feature = "postgres"))]
        ("POSTGRESQL://host/db", "`postgres`"),
        #[cfg(not(feature = "dynamodb"))]
        ("dynamodb://table", "`dynamodb`"),
        #[cfg(not(feature = "mongo"))]
        ("mongodb+srv://host", "`mongo`"),
        #[cfg(not(feature = "object-store"))]
        ("s3://bucket", "`object-store`"),
        #[cfg(not(feature = "object-store"))]
        ("file:///tmp/x", "`object-store`"),
    ];
    for (url, feature) in off {
        let why = why(url).await;
        assert!(why.contains(feature) && why.contains("Cargo feature"), "{why}");
    }
}

#[cfg(feature = "memory")]
#[tokio::test]
async fn memory_by_url() {
    for (url, shown) in [
        ("memory:", "memory (namespace default)"),
        ("memory://", "memory (namespace default)"),
        ("MEMORY://api?max_capacity=64MiB&max_entry_size=1048576", "memory (namespace api)"),
    ] {
        let client = builder().storage_url(url).build().await.unwrap();
        assert_eq!(client.storage().unwrap().to_string(), shown);
    }
    for (url, part) in [
        ("memory://Api", "is no namespace"),
        ("memory://?size=1", "max_capacity"),
        ("memory://?max_capacity=1", "no entry fits"),
    ] {
        assert!(why(url).await.contains(part), "{url}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_by_url() {
    let client = builder().storage_url("SQLite::memory:?namespace=api").build().await.unwrap();
    assert_eq!(client.storage().unwrap().to_string(), "sqlite (:memory:, namespace api)");
    assert!(why("sqlite://").await.contains("names no file"));
}

#[cfg(not(feature = "memory"))]
#[tokio::test]
async fn without_the_feature_memory_a_storage_is_to_be_chosen() {
    let shown = why("memory://").await;
    assert!(shown.contains("`memory`") && shown.contains("Cargo feature"), "{shown}");
    let error = client_reqwest::CachedClient::builder().build().await.unwrap_err();
    let shown = error.source().unwrap().to_string();
    assert!(error.is_builder() && shown.contains("`memory`") && shown.contains("disabled"), "{shown}");
}

#[cfg(not(feature = "sqlite"))]
#[tokio::test]
async fn without_the_feature_sqlite_its_urls_name_it() {
    let shown = why("sqlite://cache.sqlite").await;
    assert!(shown.contains("`sqlite`") && shown.contains("Cargo feature"), "{shown}");
}

#[cfg(all(feature = "tiered", feature = "sqlite"))]
#[tokio::test]
async fn memory_in_front_of_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.sqlite");
    let url = format!("sqlite://{}?memory=64MiB&namespace=api&memory_staleness=500ms", file.display());
    let client = builder().storage_url(url).build().await.unwrap();
    let shown = client.storage().unwrap().to_string();
    assert!(shown.starts_with("memory over ") && shown.contains("api"), "{shown}");
    for (query, part) in [
        ("memory=lots", "the value of memory is no size"),
        ("memory=1", "64 KiB at least"),
        ("memory_age=1s", "add memory=64MiB"),
        ("memory=64MiB&memory_staleness=0", "`memory_staleness` in a URL"),
    ] {
        let why = why(&format!("sqlite://{}?{query}", file.display())).await;
        assert!(why.contains(part), "{why}");
    }
    #[cfg(feature = "memory")]
    assert!(why("memory://?memory=64MiB").await.contains("max_capacity"));

    let store = client_reqwest::storage_from_url("sqlite::memory:").await.unwrap();
    let tier = client_reqwest::TieredStorage::builder(store);
    let client = builder().storage_builder(tier).build().await.unwrap();
    assert!(client.storage().unwrap().to_string().starts_with("memory over "));
}

#[cfg(all(not(feature = "tiered"), feature = "sqlite"))]
#[tokio::test]
async fn memory_in_front_of_a_store_names_the_feature() {
    let why = why("sqlite::memory:?memory=64MiB").await;
    assert!(why.contains("`memory`") && why.contains("`tiered`"), "{why}");
}
