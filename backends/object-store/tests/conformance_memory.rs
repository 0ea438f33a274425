//! The conformance suite over a store in this process's memory, which all cases share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use cache_backend_object_store::{
    ObjectStoreStorage,
    object_store::{ObjectStore, memory::InMemory},
};
use cache_conformance::{Ability, Suite};

fn main() -> std::process::ExitCode {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let builder = ObjectStoreStorage::builder().store(Arc::clone(&store)).prefix("some/where");
    let raw = Box::new(move || Arc::clone(&store));
    let server = server::Server { builder, raw, url: None, prefix: "some/where/".to_owned() };
    Suite::new("object-store-memory", server)
        .without(Ability::Touch)
        .without(Ability::Events)
        .shared()
        .persistent()
        .run()
}
