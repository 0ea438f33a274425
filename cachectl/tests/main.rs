//! Every test of the crate through its public API: one program, linked once.

mod bad_input;
mod commands;
mod copy;
mod serve;
mod support;
