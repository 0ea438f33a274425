//! Every test of the crate through its public API: one program, linked once.

mod concurrency;
mod events;
mod open;
mod round_trips;
#[path = "support/server.rs"]
mod server;
mod stalled;
