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

use std::{sync::Arc, time::Duration};

use cache_api::CborSerializer;
use cache_conformance::{Ability, Suite, services};
use cache_serializers::{Encrypted, Key, Keyring};

fn main() -> std::process::ExitCode {
    let dynamodb = services::dynamodb::single();
    let suite = Suite::new("dynamodb", server::Server::of(&dynamodb)).presence(dynamodb.presence());
    // Nothing evicts: last use would be of no use. The server deletes nothing by itself, as DynamoDB does only days later.
    let suite = suite.shared().persistent().bodies_outside().patience(Duration::from_secs(900));
    let suite = suite
        .hiding(Arc::new(Encrypted::new(CborSerializer::new(), &Keyring::new(1, Key::random().unwrap()))));
    suite.without(Ability::Touch).without(Ability::Events).run()
}
