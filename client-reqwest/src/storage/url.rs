//! The storages that a URL can name. A new backend adds one line to [`SCHEMES`] and one arm to the match that opens it.

use std::fmt::Write;
use std::sync::Arc;

use cache_api::Storage;

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
    #[cfg(not(any(feature = "memory", feature = "redis", feature = "sqlite", feature = "postgres")))]
    let _ = rest;
    match &*scheme {
        #[cfg(feature = "memory")]
        "memory" => return super::memory_url::open(rest).map_err(Error::storage),
        #[cfg(feature = "redis")]
        name if name.starts_with("redis") || name.starts_with("valkey") => {
            let storage = cache_backend_redis::RedisStorage::from_url(&format!("{name}:{rest}")).await;
            return Ok(Arc::new(storage.map_err(Error::storage)?));
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let storage = cache_backend_sqlite::SqliteStorage::from_url(&format!("sqlite:{rest}")).await;
            return Ok(Arc::new(storage.map_err(Error::storage)?));
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let storage =
                cache_backend_postgres::PostgresStorage::from_url(&format!("postgres:{rest}")).await;
            return Ok(Arc::new(storage.map_err(Error::storage)?));
        }
        _ => {}
    }
    Err(Error::builder(format!(
        "storage URLs of scheme `{scheme}` need the Cargo feature `{feature}` of `client-reqwest`, which is off"
    )))
}

fn known() -> String {
    let mut names = String::new();
    for (name, _) in SCHEMES {
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}`{name}`");
    }
    names
}
