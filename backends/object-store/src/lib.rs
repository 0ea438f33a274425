#![doc = include_str!("../README.md")]

mod bodies;
mod codec;
mod commit;
mod config;
mod connect;
mod error;
mod files;
mod leases;
mod listing;
mod marks;
mod objects;
mod resources;
mod schema;
mod state;
mod storage;
mod sweep;
mod tags;
mod url;

pub use config::ObjectStoreStorageBuilder;
/// The client library, for [`ObjectStoreStorageBuilder::store`].
pub use object_store;
pub use storage::ObjectStoreStorage;
