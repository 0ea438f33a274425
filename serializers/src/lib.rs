#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "zstd")]
mod compressed;
#[cfg(feature = "aead")]
mod encrypted;
#[cfg(any(feature = "aead", feature = "sign"))]
mod key;
#[cfg(any(feature = "aead", feature = "sign"))]
mod keyring;
#[cfg(feature = "sign")]
mod signed;

#[cfg(feature = "zstd")]
pub use compressed::Compressed;
#[cfg(feature = "aead")]
pub use encrypted::Encrypted;
#[cfg(any(feature = "aead", feature = "sign"))]
pub use key::Key;
#[cfg(any(feature = "aead", feature = "sign"))]
pub use keyring::Keyring;
#[cfg(feature = "sign")]
pub use signed::Signed;

#[cfg(any(feature = "aead", feature = "sign", feature = "zstd"))]
fn corrupt(message: impl Into<std::borrow::Cow<'static, str>>) -> cache_api::Error {
    cache_api::Error::new(cache_api::ErrorKind::Corrupt, "decode").with_message(message)
}
