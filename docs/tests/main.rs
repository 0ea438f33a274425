//! The guide: its links and what it says of other libraries.

mod pages;
mod ttl_mode;
