//! The conformance suite over one file, which all cases share, and over databases in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/shared_file.rs"]
mod shared_file;

use std::sync::Arc;

use cache_api::{CborSerializer, Limits, Namespace};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::{Ability, Opened, Subject, Suite};
use cache_serializers::{Encrypted, Key, Keyring};

struct InMemory;

#[async_trait::async_trait]
impl Subject for InMemory {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = SqliteStorage::builder().in_memory().namespace(namespace.clone()).limits(limits);
        Ok(Arc::new(builder.build().await?))
    }
}

fn main() -> std::process::ExitCode {
    let file = Suite::new("sqlite", shared_file::SharedFile::new())
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))))
        .shared()
        .persistent()
        .bodies_outside();
    let memory = Suite::new("sqlite-memory", InMemory);
    Suite::run_all([file, memory].map(|suite| suite.without(Ability::Events)))
}
