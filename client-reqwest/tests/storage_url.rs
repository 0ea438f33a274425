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

use support::builder;

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
    for (url, feature) in [
        ("redis://:s3cr3t@host", "`redis`"),
        ("rediss://host", "`redis`"),
        ("postgres://u:s3cr3t@host/db", "`postgres`"),
        ("POSTGRESQL://host/db", "`postgres`"),
        ("dynamodb://table", "`dynamodb`"),
        ("mongodb+srv://host", "`mongo`"),
        ("s3://bucket", "`object-store`"),
        ("file:///tmp/x", "`object-store`"),
    ] {
        let why = why(url).await;
        assert!(why.contains(feature) && why.contains("Cargo feature"), "{why}");
    }
}
