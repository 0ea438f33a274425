//! The conformance suite over stores in this process that hear of each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/hub.rs"]
mod hub;
#[path = "support/tiers.rs"]
mod tiers;

use std::time::Duration;

fn main() -> std::process::ExitCode {
    let subject = tiers::Tiers::over(hub::Hubs::default(), |tier| tier);
    cache_conformance::Suite::new("tiered", subject).shared().eventual(Duration::from_secs(5)).run()
}
