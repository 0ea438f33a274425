#![doc = include_str!("../README.md")]

mod bodies;
mod channel;
mod commit;
mod config;
mod connect;
mod error;
mod events;
mod leases;
mod link;
mod listing;
mod reply;
mod schema;
mod script;
mod sentinel;
mod storage;
mod tags;
mod touch;
mod url;

pub use config::RedisStorageBuilder;
/// The client library, for [`RedisStorageBuilder::connection`] and its kin.
pub use redis;
pub use storage::RedisStorage;
