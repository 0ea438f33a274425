//! The storages that a URL can name. A new backend adds its schemes to [`SCHEMES`], and one arm to the match that opens them.

use std::fmt::Write;
use std::sync::Arc;

use cache_api::Storage;

use super::tier_url;
use crate::error::Error;

/// Each scheme with the Cargo feature that brings its backend.
const SCHEMES: [(&str, &str); 24] = [
    ("memory", "memory"),
    ("sqlite", "sqlite"),
    ("redis", "redis"),
    ("rediss", "redis"),
    ("redis+unix", "redis"),
    ("redis-cluster", "redis"),
    ("rediss-cluster", "redis"),
    ("redis-sentinel", "redis"),
    ("rediss-sentinel", "redis"),
    ("valkey", "redis"),
    ("valkeys", "redis"),
    ("valkey-cluster", "redis"),
    ("valkeys-cluster", "redis"),
    ("valkey-sentinel", "redis"),
    ("valkeys-sentinel", "redis"),
    ("postgres", "postgres"),
    ("postgresql", "postgres"),
    ("dynamodb", "dynamodb"),
    ("mongodb", "mongo"),
    ("mongodb+srv", "mongo"),
    ("s3", "object-store"),
    ("gs", "object-store"),
    ("az", "object-store"),
    ("file", "object-store"),
];

/// Opens the storage that a URL names.
///
/// The scheme chooses the backend, whose Cargo feature has to be on:
///
/// | URL | feature |
/// |---|---|
/// | `memory://[namespace][?max_capacity=64MiB&max_entry_size=…]` | `memory` (default) |
/// | `sqlite://path/to/file`, `sqlite:///absolute/path`, `sqlite::memory:`, each with `[?namespace=…&max_size=512MiB&…]` | `sqlite` (default) |
/// | `postgres://user:password@host:port/database[?namespace=…&schema=…&sslmode=…&…]`, `postgresql://…` | `postgres` |
/// | `redis://[user:password@]host[/database]`, `redis+unix://path`, `redis-cluster://host1,host2`, `redis-sentinel://host1,host2/master`, over TLS `rediss://` and so on, each with `[?namespace=…&timeout=5s&…]`; `valkey` for `redis` | `redis` |
/// | `mongodb://user:password@host1,host2/database[?namespace=…&tls=true&…]`, `mongodb+srv://…` | `mongo` |
/// | `dynamodb://table[?region=…&endpoint=…&namespace=…&…]` | `dynamodb` |
/// | `s3://bucket[/prefix][?region=…&endpoint=…&namespace=…&…]`, `gs://bucket`, `az://container`, `file:///directory` | `object-store` |
///
/// With the feature `tiered` each of them but `memory://` takes `memory=64MiB`, which puts memory in front of the store.
///
/// `STORAGE_URLS.md`, beside this crate's README, has all parameters in one table.
///
/// # Errors
/// Where there is no such scheme or its feature is off (the message says which), or where the storage cannot be
/// opened. No message shows the URL, which may hold a password.
pub async fn storage_from_url(url: &str) -> Result<Arc<dyn Storage>, Error> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(Error::builder(format!(
            "a storage URL begins with its scheme (for a file, `sqlite://path`); the schemes are {}",
            known()
        )));
    };
    let scheme = scheme.to_ascii_lowercase();
    let Some((_, feature)) = SCHEMES.into_iter().find(|(name, _)| *name == scheme) else {
        return Err(Error::builder(format!(
            "unknown storage scheme `{scheme}`; the schemes are {}",
            known()
        )));
    };
    let (rest, memory) = tier_url::split(rest);
    let memory = match memory {
        Some(_) if feature == "memory" => {
            return Err(Error::builder(
                "the parameter `memory` puts memory in front of another store: leave it out of `memory://`, whose \
                 size is `max_capacity`",
            ));
        }
        Some(memory) => Some(settings(&memory)?),
        None => None,
    };
    // In a box: it is as deep as all that the drivers await, and a caller's future would be, too.
    let opened = Box::pin(opened(feature, &format!("{scheme}:{rest}"), &rest)).await.ok_or_else(|| {
        Error::builder(format!(
            "storage URLs of scheme `{scheme}` need the Cargo feature `{feature}` of `client-reqwest`, which is off"
        ))
    })?;
    let store = opened.map_err(Error::storage)?;
    match memory {
        Some(memory) => memory.over(store).map_err(Error::storage),
        None => Ok(store),
    }
}

#[cfg(feature = "tiered")]
fn settings(memory: &str) -> Result<tier_url::Settings, Error> {
    tier_url::Settings::read(memory).map_err(Error::storage)
}

#[cfg(not(feature = "tiered"))]
fn settings(_: &str) -> Result<tier_url::Settings, Error> {
    Err(Error::builder(
        "the parameter `memory` of a storage URL needs the Cargo feature `tiered` of `client-reqwest`, which is off",
    ))
}

/// Opens a storage of the backend that this feature brings; `None` where it is off.
#[allow(unused_variables, clippy::match_single_binding, reason = "without any backend")]
async fn opened(feature: &str, url: &str, rest: &str) -> Option<cache_api::Result<Arc<dyn Storage>>> {
    match feature {
        #[cfg(feature = "memory")]
        "memory" => Some(super::memory_url::open(rest)),
        #[cfg(feature = "dynamodb")]
        "dynamodb" => Some(open(cache_backend_dynamodb::DynamoDbStorageBuilder::from_url(url)).await),
        #[cfg(feature = "mongo")]
        "mongo" => Some(open(cache_backend_mongo::MongoStorageBuilder::from_url(url)).await),
        #[cfg(feature = "object-store")]
        "object-store" => {
            Some(open(cache_backend_object_store::ObjectStoreStorageBuilder::from_url(url)).await)
        }
        #[cfg(feature = "postgres")]
        "postgres" => Some(open(cache_backend_postgres::PostgresStorageBuilder::from_url(url)).await),
        #[cfg(feature = "redis")]
        "redis" => Some(open(cache_backend_redis::RedisStorageBuilder::from_url(url)).await),
        #[cfg(feature = "sqlite")]
        "sqlite" => Some(open(cache_backend_sqlite::SqliteStorageBuilder::from_url(url)).await),
        _ => None,
    }
}

#[allow(dead_code, reason = "without any backend but memory")]
async fn open(builder: cache_api::Result<impl super::StorageBuilder>) -> cache_api::Result<Arc<dyn Storage>> {
    builder?.open().await
}

fn known() -> String {
    let mut names = String::new();
    for (name, _) in SCHEMES {
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}`{name}`");
    }
    names
}
