//! The conformance suite over one server, which all cases share; and over unlogged tables in a schema of another name.
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
use server::Server;

fn main() -> std::process::ExitCode {
    let postgres = services::postgres::single();
    let logged = Suite::new("postgres", Server::of(&postgres))
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))));
    let unlogged = Server::of(&postgres).in_schema("cache_unlogged").unlogged();
    let unlogged = Suite::new("postgres-unlogged", unlogged);
    Suite::run_all(
        [logged, unlogged]
            .map(|suite| suite.presence(postgres.presence()).shared().persistent().bodies_outside()),
    )
}
