//! What is measured.

pub(crate) mod minimal;
pub(crate) mod ours;
pub(crate) mod store;
