#![doc = include_str!("../README.md")]

mod bodies;
mod commit;
mod config;
mod connections;
mod error;
mod leases;
mod listing;
mod row;
mod schema;
mod statements;
mod storage;
mod sweep;
mod tags;
mod touch;
mod url;

pub use config::PostgresStorageBuilder;
pub use storage::PostgresStorage;
