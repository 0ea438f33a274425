//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod commands;
mod copy;
mod serve;
mod support;
