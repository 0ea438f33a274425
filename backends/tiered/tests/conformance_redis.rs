//! The conformance suite over one Redis server, which all cases share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../../redis/tests/support/server.rs"]
mod server;
#[path = "support/tiers.rs"]
mod tiers;

use std::time::Duration;

use cache_conformance::{Suite, services};

fn main() -> std::process::ExitCode {
    let redis = services::redis::single();
    let subject = tiers::Tiers::over(server::Server::of(&redis), |tier| tier);
    let suite = Suite::new("tiered-redis", subject).presence(redis.presence());
    suite.shared().persistent().native_expiry().bodies_outside().eventual(Duration::from_secs(5)).run()
}
