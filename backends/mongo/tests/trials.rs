//! What the suite does not ask of every storage: one program over one server.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod connect;
mod documents;
#[path = "support/own.rs"]
mod own;
mod round_trips;

fn main() -> std::process::ExitCode {
    own::run(|trials| round_trips::trials(documents::trials(connect::trials(trials))))
}
