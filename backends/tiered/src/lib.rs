#![doc = include_str!("../README.md")]

mod abilities;
mod change;
mod config;
mod counters;
mod listen;
mod purges;
mod storage;
mod tier;
mod weight;

use cache_api::{Error, ErrorKind};

pub use config::TieredStorageBuilder;
pub use counters::Counters;
pub use storage::TieredStorage;

fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("tiered")
}
