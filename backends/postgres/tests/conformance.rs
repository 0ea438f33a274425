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

fn main() -> std::process::ExitCode {
    let postgres = cache_conformance::services::postgres::single();
    let suite = cache_conformance::Suite::new("postgres", server::Server::of(&postgres));
    suite.presence(postgres.presence()).shared().persistent().bodies_outside().run()
}
