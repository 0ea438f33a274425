//! Where answers are kept: what a builder was told, opened when it builds.

#[cfg(feature = "memory")]
mod memory_url;
mod tier_url;
mod url;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use cache_api::Storage;

use crate::error::Error;

pub use url::storage_from_url;

/// What opens a storage: the builder of a backend.
pub trait StorageBuilder: Send + 'static {
    /// Opens it.
    ///
    /// # Errors
    /// Where a setting is not valid or the store cannot be opened.
    fn open(self) -> impl Future<Output = cache_api::Result<Arc<dyn Storage>>> + Send;
}

#[cfg(feature = "dynamodb")]
impl StorageBuilder for cache_backend_dynamodb::DynamoDbStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "memory")]
impl StorageBuilder for cache_backend_memory::MemoryStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build()?))
    }
}

#[cfg(feature = "mongo")]
impl StorageBuilder for cache_backend_mongo::MongoStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "object-store")]
impl StorageBuilder for cache_backend_object_store::ObjectStoreStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "postgres")]
impl StorageBuilder for cache_backend_postgres::PostgresStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "redis")]
impl StorageBuilder for cache_backend_redis::RedisStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "sqlite")]
impl StorageBuilder for cache_backend_sqlite::SqliteStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build().await?))
    }
}

#[cfg(feature = "tiered")]
impl StorageBuilder for cache_backend_tiered::TieredStorageBuilder {
    async fn open(self) -> cache_api::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.build()?))
    }
}

type Opening = Pin<Box<dyn Future<Output = cache_api::Result<Arc<dyn Storage>>> + Send>>;

/// What a client's builder was told.
pub(crate) enum StorageChoice {
    Default,
    Url(String),
    Given(Arc<dyn Storage>),
    Built(Opening),
    #[cfg(feature = "sqlite")]
    App(String),
    Disabled,
}

impl StorageChoice {
    /// The storage; `None` where nothing is to be cached.
    pub(crate) async fn open(self) -> Result<Option<Arc<dyn Storage>>, Error> {
        match self {
            Self::Default => default().map(Some),
            Self::Url(url) => storage_from_url(&url).await.map(Some),
            Self::Given(storage) => Ok(Some(storage)),
            Self::Built(opening) => opening.await.map(Some).map_err(Error::storage),
            #[cfg(feature = "sqlite")]
            Self::App(name) => {
                let file = crate::app::cache_file(&name)?;
                let builder = cache_backend_sqlite::SqliteStorage::builder().path(file);
                builder.open().await.map(Some).map_err(Error::storage)
            }
            Self::Disabled => Ok(None),
        }
    }
}

#[cfg(feature = "memory")]
#[expect(clippy::unnecessary_wraps, reason = "fails where the feature is off")]
fn default() -> Result<Arc<dyn Storage>, Error> {
    Ok(Arc::new(cache_backend_memory::MemoryStorage::new()))
}

#[cfg(not(feature = "memory"))]
fn default() -> Result<Arc<dyn Storage>, Error> {
    Err(Error::builder(
        "no storage was chosen, and the default one needs the Cargo feature `memory` of `client-reqwest`, which is \
         off: turn it on, choose one with `storage`, `storage_builder` or `storage_url`, or say `disabled`",
    ))
}

impl fmt::Debug for StorageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            // It may hold a password.
            Self::Url(url) => write!(f, "Url({}:..)", url.split(':').next().unwrap_or_default()),
            Self::Given(storage) => write!(f, "Given({storage})"),
            Self::Built(_) => f.write_str("Built"),
            #[cfg(feature = "sqlite")]
            Self::App(name) => write!(f, "App({name:?})"),
            Self::Disabled => f.write_str("Disabled"),
        }
    }
}
