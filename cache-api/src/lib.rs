//! Contracts of an HTTP cache.

mod head;

pub use head::{Head, Selector, SelectorDigest};
