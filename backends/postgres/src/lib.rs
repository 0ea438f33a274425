#![doc = include_str!("../README.md")]

mod bodies;
mod commit;
mod config;
mod connections;
mod error;
mod events;
mod leases;
mod listing;
mod notices;
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
