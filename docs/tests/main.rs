//! The guide: its links and what it says of other libraries.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod pages;
mod ttl_mode;
