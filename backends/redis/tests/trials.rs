//! What the suite does not ask of every storage.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod connect;
mod encrypted;
mod events;
mod keys;
#[path = "support/own.rs"]
mod own_server;

fn main() -> std::process::ExitCode {
    connect::trials().and(events::trials()).and(keys::trials()).and(encrypted::trials()).run()
}
