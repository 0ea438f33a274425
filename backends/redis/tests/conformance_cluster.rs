//! The conformance suite over a cluster of three masters, which all cases share.
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

use cache_conformance::{Suite, services};

fn main() -> std::process::ExitCode {
    let redis = services::redis::cluster();
    let suite = Suite::new("redis-cluster", server::Server::of(&redis)).presence(redis.presence());
    suite.shared().persistent().native_expiry().bodies_outside().run()
}
