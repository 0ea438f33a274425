//! The HTTP cache itself: RFC 9111 policy as pure functions, and the engine that asks policy, storage and network.

pub mod policy;
