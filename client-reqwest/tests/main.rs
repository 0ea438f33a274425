//! Every test of the crate through its public API: one program, linked once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod admin;
mod blocking;
mod controls;
mod cookies;
mod decompression;
mod errors;
mod examples;
mod faults;
mod fields;
mod hits;
mod middleware;
mod offline;
mod privacy;
mod proxy;
mod redirect;
mod sqlite;
mod support;
mod tags;
mod timeouts;
mod together;
mod upgrade;
