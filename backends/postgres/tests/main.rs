//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod concurrency;
mod events;
mod open;
mod round_trips;
#[path = "support/server.rs"]
mod server;
mod stalled;
