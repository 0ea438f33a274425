//! The order of what goes to the store: one program, linked once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod interleaved;
mod round_trips;
#[path = "support/wrapped.rs"]
mod wrapped;
