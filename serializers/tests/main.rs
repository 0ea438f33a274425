//! Every test of the crate through its public API: one program, linked once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "zstd")]
mod compression;
#[cfg(all(feature = "aead", feature = "sign", feature = "zstd"))]
mod keys;
