#![doc = include_str!("../README.md")]

pub mod policy;

mod body;
mod breaker;
mod clock;
mod engine;
mod error;
mod expedition;
mod explain;
mod flight;
mod found;
mod info;
mod lease;
mod lookups;
mod memo;
mod misses;
mod network;
mod past;
mod pipe;
mod queue;
mod resume;
mod sets;
mod settings;
mod sink;
mod slides;
mod stale;
mod steer;
mod store;
mod tags;
mod transfer;
mod uses;

pub use body::Body;
pub use clock::{Clock, SystemClock};
pub use engine::{Answer, Answered, Engine};
pub use error::{BodyError, Error};
pub use explain::Explanation;
pub use info::{CacheInfo, Source};
pub use network::{Network, Request, WireBody, WireHead};
pub use settings::{EngineBuilder, default_key};
pub use steer::{OwnKey, Tags, Tenant};
