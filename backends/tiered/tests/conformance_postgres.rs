//! The conformance suite over one PostgreSQL server, which all cases share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../../postgres/tests/support/server.rs"]
mod server;
#[path = "support/tiers.rs"]
mod tiers;

use std::time::Duration;

use cache_conformance::{Suite, services};

fn main() -> std::process::ExitCode {
    let postgres = services::postgres::single();
    let subject = tiers::Tiers::over(server::Server::of(&postgres), |tier| tier);
    let suite = Suite::new("tiered-postgres", subject).presence(postgres.presence());
    suite.shared().persistent().bodies_outside().eventual(Duration::from_secs(5)).run()
}
