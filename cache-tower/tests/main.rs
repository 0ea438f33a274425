//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bodies;
mod examples;
mod flow;
mod service;
mod support;
