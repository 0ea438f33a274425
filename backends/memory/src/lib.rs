#![doc = include_str!("../README.md")]

mod config;
mod frames;
mod lease;
mod overview;
mod removals;
mod slot;
mod storage;
mod transit;
mod weight;
mod writer;

use cache_api::{Error, ErrorKind};

pub use config::MemoryStorageBuilder;
pub use storage::MemoryStorage;

fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("memory")
}
