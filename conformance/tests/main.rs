//! The writers, readers and the proxy that the suite is made of, tested: one program, linked once.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

mod fault;
mod fault_events;
mod presence;
mod proxy;
