//! Every test of the crate through its public API: one program, linked once.

mod bound;
mod cancellation;
mod open;
mod processes;
