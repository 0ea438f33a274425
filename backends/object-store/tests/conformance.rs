//! The conformance suite over S3 (one bucket), local files and a store in memory, each of which all cases share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "aws")]
#[path = "support/s3.rs"]
mod s3;
#[path = "support/server.rs"]
mod server;

use std::{path::Path, sync::Arc};

use cache_api::CborSerializer;
use cache_backend_object_store::{
    ObjectStoreStorage,
    object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory},
};
use cache_conformance::{Ability, Suite};
use cache_serializers::{Encrypted, Key, Keyring};
use server::Server;

fn main() -> std::process::ExitCode {
    let directory = tempfile::tempdir().unwrap();
    let suites = [
        Suite::new("object-store-memory", memory()),
        hiding(Suite::new("object-store-file", files(directory.path()))).bodies_outside(),
    ];
    let suites = suites.into_iter();
    #[cfg(feature = "aws")]
    let bucket = cache_conformance::services::s3::single();
    // A fake of S3 takes milliseconds for a request, and some cases make thousands; the same code has its 5,000 entries
    // in a directory and in memory.
    #[cfg(feature = "aws")]
    let suites = suites.chain([hiding(Suite::new("object-store", s3::server(&bucket)))
        .presence(bucket.presence())
        .patience(std::time::Duration::from_secs(600))
        .many(1_000)
        .bodies_outside()]);
    Suite::run_all(
        suites.map(|suite| suite.shared().persistent().without(Ability::Touch).without(Ability::Events)),
    )
}

fn hiding(suite: Suite) -> Suite {
    suite.hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))))
}

fn memory() -> Server {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let builder = ObjectStoreStorage::builder().store(Arc::clone(&store)).prefix("some/where");
    Server { builder, raw: Box::new(move || Arc::clone(&store)), url: None, prefix: "some/where/".to_owned() }
}

fn files(directory: &Path) -> Server {
    let builder = ObjectStoreStorage::builder().url(&format!("file://{}", directory.display())).unwrap();
    let root = directory.to_owned();
    let raw = Box::new(move || Arc::new(LocalFileSystem::new_with_prefix(&root).unwrap()) as _);
    Server { builder, raw, url: None, prefix: String::new() }
}
