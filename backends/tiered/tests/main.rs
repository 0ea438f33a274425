//! Every test of the crate through its public API: one program, linked once.

#[path = "support/hub.rs"]
mod hub;
mod races;
#[path = "support/replica.rs"]
mod replica;
mod tier;
#[path = "support/tiers.rs"]
mod tiers;
mod trust;
