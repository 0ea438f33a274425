#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod policy;

mod body;
mod breaker;
mod clock;
mod engine;
mod error;
mod expedition;
mod explain;
mod filter;
mod flight;
mod found;
mod frames;
mod info;
mod keys;
mod lease;
mod live;
mod look;
mod lookups;
mod memo;
#[cfg_attr(not(feature = "metrics"), path = "meters_off.rs")]
mod meters;
mod misses;
mod network;
mod news;
mod observer;
mod origin;
mod past;
mod pipe;
mod queue;
mod redaction;
mod resume;
mod sets;
mod settings;
mod sift;
mod sink;
mod slides;
mod spans;
mod stale;
pub mod stats;
mod steer;
mod store;
mod suspend;
mod tags;
mod transfer;
mod uses;

pub use body::Body;
pub use clock::{Clock, SystemClock};
pub use engine::{Answer, Answered, Engine};
pub use error::{BodyError, Error};
pub use explain::Explanation;
pub use filter::{Exchange, Filter, Step, filter_fn};
pub use info::{CacheInfo, Source};
pub use live::{LiveSettings, OptionsInForce};
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use meters::describe_metrics;
pub use network::{Network, Request, WireBody, WireHead};
pub use settings::{EngineBuilder, default_key};
pub use stats::Stats;
pub use steer::{OwnKey, Tags, Tenant};
pub use suspend::Suspended;
