//! The conformance suite over one SQLite file, which all cases share: a store without events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../../sqlite/tests/support/shared_file.rs"]
mod shared_file;
#[path = "support/tiers.rs"]
mod tiers;

use std::time::Duration;

use cache_conformance::{Ability, Suite};

/// By the case's clock, which the suite moves on while it waits.
const STALENESS: Duration = Duration::from_millis(20);

fn main() -> std::process::ExitCode {
    let subject = tiers::Tiers::over(shared_file::SharedFile::new(), |tier| tier.max_staleness(STALENESS));
    let suite = Suite::new("tiered-sqlite", subject).shared().persistent().bodies_outside();
    suite.eventual(STALENESS).without(Ability::Events).run()
}
