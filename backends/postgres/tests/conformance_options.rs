//! The conformance suite over unlogged tables in a schema of another name.
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

fn main() -> std::process::ExitCode {
    let postgres = cache_conformance::services::postgres::single();
    let subject = server::Server::of(&postgres).in_schema("cache_unlogged").unlogged();
    let suite = cache_conformance::Suite::new("postgres-unlogged", subject);
    suite.presence(postgres.presence()).shared().persistent().bodies_outside().run()
}
