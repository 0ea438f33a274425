//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod attacks;
mod bodies;
mod controls;
mod explain;
mod failure;
mod filter;
mod flow;
mod offline;
mod parts;
mod posts;
mod redaction;
mod replicas;
mod runtime;
mod sliding;
mod stampede;
mod support;
mod tags;
