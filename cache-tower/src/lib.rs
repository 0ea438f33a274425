#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod error;
mod layer;
mod network;
mod service;
mod target;

pub use body::ResponseBody;
pub use error::Error;
pub use layer::CacheLayer;
pub use service::{Cache, ResponseFuture};

pub use cache_api::{self, KeyFn, Redactor, RequestPart, Storage};
pub use cache_engine::policy::{
    Controls, Expiry, ExpiryMode, Fallback, InvalidSetting, Mode, Options, Precedence, Rule, Rules, Setting,
};
pub use cache_engine::{
    self, CacheInfo, EngineBuilder, Exchange, Filter, LiveSettings, OwnKey, Source, Stats, Step, Suspended,
    Tags, Tenant, filter_fn,
};
