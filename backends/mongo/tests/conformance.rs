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
use cache_conformance::{Ability, Suite, services};
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let mongo = services::mongo::single();
    let suite = Suite::new("mongo", server::Server::of(&mongo)).presence(mongo.presence());
    // What stands in for MongoDB where that is not installed answers slowly.
    let suite = suite.patience(std::time::Duration::from_secs(300)).many(1_000);
    suite
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))))
        .shared()
        .persistent()
        .native_expiry()
        .bodies_outside()
        .without(Ability::Touch)
        .without(Ability::Events)
        .run()
}
