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
mod items;
#[path = "support/own.rs"]
mod own_server;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/script.rs"]
mod script;

fn main() -> std::process::ExitCode {
    connect::trials().and(items::trials()).run()
}
