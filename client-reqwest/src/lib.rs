#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "sqlite")]
mod app;
mod builder;
mod client;
mod controls;
#[cfg_attr(not(feature = "cookies"), path = "cookies_off.rs")]
mod cookies;
#[cfg_attr(not(feature = "decompression"), path = "decode_off.rs")]
mod decode;
mod error;
mod follow;
mod hop;
mod layers;
mod payload;
mod redact;
pub mod redirect;
mod request;
mod response;
mod storage_url;
mod timeout;
mod wire;

pub use builder::CachedClientBuilder;
pub use client::CachedClient;
pub use controls::Controls;
pub use error::{Error, Result};
pub use request::RequestBuilder;
pub use storage_url::storage_from_url;
