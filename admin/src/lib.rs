#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod body;
mod chain;
mod copy;
mod entry;
mod filter;
#[cfg(feature = "har")]
mod har;
mod inspect;
mod pattern;
mod progress;
mod read;
mod redate;
mod remove;
mod target;

pub use admin::Admin;
pub use chain::Hop;
pub use copy::{CopyOptions, Keys};
pub use entry::{EntryInfo, State};
pub use filter::EntryFilter;
#[cfg(feature = "har")]
#[cfg_attr(docsrs, doc(cfg(feature = "har")))]
pub use har::{HarOptions, HarStream};
pub use inspect::{EntryStream, Summary};
pub use pattern::UrlPattern;
pub use progress::{Progress, Run};
pub use read::BodyStream;
pub use target::Target;
