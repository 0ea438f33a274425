//! The conformance suite over one file, which all cases share.
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

use cache_api::CborSerializer;
use cache_conformance::{Ability, Suite};
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let suite = Suite::new("sqlite", shared_file::SharedFile::new()).shared().persistent();
    let suite = suite
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))));
    suite.bodies_outside().without(Ability::Events).run()
}
