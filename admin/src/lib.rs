#![doc = include_str!("../README.md")]

mod admin;
mod copy;
mod entry;
mod filter;
mod inspect;
mod pattern;
mod progress;
mod redate;
mod remove;
mod target;

pub use admin::Admin;
pub use copy::{CopyOptions, Keys};
pub use entry::{EntryInfo, State};
pub use filter::EntryFilter;
pub use inspect::{EntryStream, Summary};
pub use pattern::UrlPattern;
pub use progress::{Progress, Run};
pub use target::Target;
