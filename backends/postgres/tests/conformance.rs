//! The conformance suite over one server, which all cases share.
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
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let postgres = cache_conformance::services::postgres::single();
    let suite = cache_conformance::Suite::new("postgres", server::Server::of(&postgres));
    let suite = suite
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))));
    suite.presence(postgres.presence()).shared().persistent().bodies_outside().run()
}
