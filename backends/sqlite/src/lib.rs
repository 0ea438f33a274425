#![doc = include_str!("../README.md")]

mod bodies;
mod commit;
mod config;
mod connections;
mod error;
mod leases;
mod listing;
mod open;
mod row;
mod schema;
mod storage;
mod sweep;
mod tags;
mod touch;
mod url;

pub use config::SqliteStorageBuilder;
pub use storage::SqliteStorage;
