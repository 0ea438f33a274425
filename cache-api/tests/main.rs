//! Every test of the crate through its public API: one program, linked once.

mod key_attacks;
mod keys;
mod serializers;
