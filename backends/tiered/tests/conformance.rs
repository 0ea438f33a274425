//! The conformance suite over stores in this process that hear of each other, and over SQLite (a store without events),
//! Redis and PostgreSQL, each of which all cases share.
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
#[path = "../../postgres/tests/support/server.rs"]
mod postgres;
#[path = "../../redis/tests/support/server.rs"]
mod redis;
#[path = "../../sqlite/tests/support/shared_file.rs"]
mod shared_file;
#[path = "support/tiers.rs"]
mod tiers;

use std::time::Duration;

use cache_conformance::{Ability, Suite, services};
use tiers::Tiers;

/// How late an event may come.
const EVENT: Duration = Duration::from_secs(5);

/// By the case's clock, which the suite moves on while it waits.
const STALENESS: Duration = Duration::from_millis(20);

fn main() -> std::process::ExitCode {
    let within = Suite::new("tiered", Tiers::over(hub::Hubs::default(), |tier| tier)).eventual(EVENT);

    let file = Tiers::over(shared_file::SharedFile::new(), |tier| tier.max_staleness(STALENESS));
    let sqlite = Suite::new("tiered-sqlite", file).persistent().bodies_outside();
    let sqlite = sqlite.eventual(STALENESS).without(Ability::Events);

    let server = services::redis::single();
    let redis = Suite::new("tiered-redis", Tiers::over(redis::Server::of(&server), |tier| tier));
    let redis = redis.presence(server.presence()).persistent().native_expiry().bodies_outside();

    let server = services::postgres::single();
    let postgres = Suite::new("tiered-postgres", Tiers::over(postgres::Server::of(&server), |tier| tier));
    let postgres = postgres.presence(server.presence()).persistent().bodies_outside();

    Suite::run_all([within, sqlite, redis.eventual(EVENT), postgres.eventual(EVENT)].map(Suite::shared))
}
