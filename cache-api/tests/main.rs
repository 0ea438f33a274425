//! Every test of the crate through its public API: one program, linked once.
#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, reason = "a test fails by panicking")]

mod key_attacks;
mod keys;
mod serializers;
