#![doc = include_str!("../README.md")]

mod bodies;
mod commit;
mod config;
mod connect;
mod document;
mod edit;
mod error;
mod leases;
mod listing;
mod marks;
mod removal;
mod schema;
mod storage;
mod sweep;
mod url;

pub use config::MongoStorageBuilder;
/// The driver, for [`MongoStorageBuilder::client`] and [`MongoStorageBuilder::database`].
pub use mongodb;
pub use storage::MongoStorage;
