//! Every test of the crate through its public API: one program, linked once.

mod bodies;
mod examples;
mod flow;
mod service;
mod support;
