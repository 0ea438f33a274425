//! What is written, and how.

pub(crate) mod bar;
pub(crate) mod confirm;
pub(crate) mod histogram;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod style;
