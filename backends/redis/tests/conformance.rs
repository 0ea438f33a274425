//! The conformance suite over one server, and over a cluster of three masters, each of which all cases share.
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
use cache_conformance::{Suite, services};
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let redis = services::redis::single();
    let single = Suite::new("redis", server::Server::of(&redis)).presence(redis.presence());
    let single = single
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))));
    let nodes = services::redis::cluster();
    let cluster = Suite::new("redis-cluster", server::Server::of(&nodes)).presence(nodes.presence());
    Suite::run_all(
        [single, cluster].map(|suite| suite.shared().persistent().native_expiry().bodies_outside()),
    )
}
