//! Every test of the crate through its public API: one program, linked once.

#[cfg(feature = "zstd")]
mod compression;
#[cfg(all(feature = "aead", feature = "sign", feature = "zstd"))]
mod keys;
