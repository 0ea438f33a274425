//! A namespace of a test's own, and the server past the storage.
#![allow(dead_code, reason = "each test file uses a part")]

use std::time::Duration;

use cache_api::{BodyId, Namespace};
use cache_backend_mongo::{
    MongoStorage, MongoStorageBuilder,
    mongodb::{Client, Collection, Database, bson::Document},
};
use cache_conformance::services;

/// Keeps the server for as long as the tests run.
pub(crate) fn run(trials: impl FnOnce(services::Trials) -> services::Trials) -> std::process::ExitCode {
    let mongo = services::mongo::single();
    URL.set(mongo.url().unwrap_or_default().to_owned()).unwrap();
    trials(services::Trials::new("mongo", mongo.presence())).run()
}

static URL: std::sync::OnceLock<String> = std::sync::OnceLock::new();

pub(crate) fn url() -> &'static str {
    URL.get().unwrap()
}

pub(crate) fn namespace() -> Namespace {
    Namespace::new(&format!("test-{}", BodyId::random().unwrap())).unwrap()
}

pub(crate) fn builder() -> MongoStorageBuilder {
    let builder = MongoStorage::builder().url(url()).unwrap().namespace(namespace());
    let patience = Duration::from_secs(60);
    builder.timeout(patience).connect_timeout(patience)
}

pub(crate) async fn open() -> MongoStorage {
    builder().build().await.unwrap()
}

pub(crate) async fn client() -> Client {
    Client::with_uri_str(url()).await.unwrap()
}

pub(crate) async fn database() -> Database {
    client().await.default_database().unwrap()
}

pub(crate) async fn collection(kind: &str) -> Collection<Document> {
    database().await.collection(&format!("http_cache.{kind}"))
}
