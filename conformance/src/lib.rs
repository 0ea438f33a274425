#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bench;
mod case;
mod cases;
mod clock;
mod draft;
mod failure;
pub mod fault;
mod interleave;
#[cfg(feature = "services")]
mod kills;
mod payload;
mod presence;
pub mod proxy;
mod report;
mod resident;
pub mod sample;
mod serializer;
mod server;
#[cfg(feature = "services")]
pub mod services;
mod step;
mod store;
mod subject;
mod suite;
mod urls;

pub use failure::Failure;
#[cfg(feature = "services")]
pub use kills::Kills;
pub use presence::{Presence, REQUIRE};
pub use report::Report;
pub use serializer::SerializerSuite;
pub use server::{OwnServer, Remote, ServerError};
pub use subject::{Damage, Opened, RawStore, Subject};
pub use suite::{Ability, Suite};
pub use urls::urls_keep_secrets;
