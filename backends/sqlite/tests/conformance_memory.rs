//! The conformance suite over databases in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use cache_api::{Limits, Namespace};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::{Ability, Opened, Subject, Suite};

struct InMemory;

#[async_trait::async_trait]
impl Subject for InMemory {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = SqliteStorage::builder().in_memory().namespace(namespace.clone()).limits(limits);
        Ok(std::sync::Arc::new(builder.build().await?))
    }
}

fn main() -> std::process::ExitCode {
    Suite::new("sqlite-memory", InMemory).without(Ability::Events).run()
}
