//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[macro_use]
mod support;

mod chain;
mod copy;
#[cfg(feature = "har")]
mod har;
mod inspect;
mod read;
mod redate;
mod remove;
