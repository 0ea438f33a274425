#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "admin")]
mod admin;
#[cfg(feature = "sqlite")]
mod app;
#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;
mod builder;
mod cache;
mod client;
mod controls;
#[cfg_attr(not(feature = "cookies"), path = "cookies_off.rs")]
mod cookies;
#[cfg_attr(not(feature = "decompression"), path = "decode_off.rs")]
mod decode;
mod error;
mod follow;
mod hop;
mod layers;
mod live;
#[cfg(feature = "middleware")]
mod middleware;
mod payload;
mod redact;
pub mod redirect;
mod request;
mod response;
mod storage;
mod timeout;
mod wire;

pub use builder::CachedClientBuilder;
pub use client::CachedClient;
pub use controls::{Controls, OwnKey, Tags, Tenant};
pub use error::{Error, Result};
#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
pub use middleware::CacheMiddleware;
pub use request::RequestBuilder;
pub use response::ResponseExt;
pub use storage::{StorageBuilder, storage_from_url};

#[cfg(feature = "admin")]
#[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
pub use cache_admin;
pub use cache_api::{self, KeyFn, Redactor, RequestPart, Serializer, Storage, key_fn};
pub use cache_engine::policy::{
    Expiry, ExpiryMode, Fallback, Forward, InvalidSetting, Mode, Options, Precedence, Reason, Reasons, Rule,
    Rules, SetCookie, Setting, Sliding,
};
pub use cache_engine::{
    self, CacheInfo, Clock, EngineBuilder, Exchange, Explanation, Filter, LiveSettings, Source, Stats, Step,
    Suspended, SystemClock, filter_fn,
};

#[cfg(feature = "dynamodb")]
#[cfg_attr(docsrs, doc(cfg(feature = "dynamodb")))]
pub use cache_backend_dynamodb::{DynamoDbStorage, DynamoDbStorageBuilder};
#[cfg(feature = "memory")]
#[cfg_attr(docsrs, doc(cfg(feature = "memory")))]
pub use cache_backend_memory::{MemoryStorage, MemoryStorageBuilder};
#[cfg(feature = "mongo")]
#[cfg_attr(docsrs, doc(cfg(feature = "mongo")))]
pub use cache_backend_mongo::{MongoStorage, MongoStorageBuilder};
#[cfg(feature = "object-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "object-store")))]
pub use cache_backend_object_store::{ObjectStoreStorage, ObjectStoreStorageBuilder};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use cache_backend_postgres::{PostgresStorage, PostgresStorageBuilder};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use cache_backend_redis::{RedisStorage, RedisStorageBuilder};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use cache_backend_sqlite::{SqliteStorage, SqliteStorageBuilder};
#[cfg(feature = "tiered")]
#[cfg_attr(docsrs, doc(cfg(feature = "tiered")))]
pub use cache_backend_tiered::{Counters as TieredCounters, TieredStorage, TieredStorageBuilder};
