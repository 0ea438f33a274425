//! The order of what goes to the store: one program, linked once.

mod interleaved;
mod round_trips;
#[path = "support/wrapped.rs"]
mod wrapped;
