//! The conformance suite over local files, which all cases share.
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

use cache_api::CborSerializer;
use cache_backend_object_store::{ObjectStoreStorage, object_store::local::LocalFileSystem};
use cache_conformance::{Ability, Suite};
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let builder = ObjectStoreStorage::builder().url(&url).unwrap();
    let root = directory.path().to_owned();
    let raw = Box::new(move || Arc::new(LocalFileSystem::new_with_prefix(&root).unwrap()) as _);
    let server = server::Server { builder, raw, url: None, prefix: String::new() };
    Suite::new("object-store-file", server)
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))))
        .without(Ability::Touch)
        .without(Ability::Events)
        .shared()
        .persistent()
        .bodies_outside()
        .run()
}
