//! What is measured.

pub(crate) mod assemble;
pub(crate) mod copies;
pub(crate) mod floor;
pub(crate) mod get;
pub(crate) mod minimal;
pub(crate) mod ours;
#[cfg(feature = "peers")]
pub(crate) mod peers;
pub(crate) mod plain;
pub(crate) mod store;
