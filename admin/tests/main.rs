//! Every test of the crate through its public API: one program, linked once.

#[macro_use]
mod support;

mod chain;
mod copy;
#[cfg(feature = "har")]
mod har;
mod inspect;
mod read;
mod redate;
mod remove;
