//! The writers, readers and the proxy that the suite is made of, tested: one program, linked once.

mod fault;
mod fault_events;
mod presence;
mod proxy;
