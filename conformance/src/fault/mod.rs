//! A storage that fails on purpose, by script or from a seed.
//!
//! For tests of what stands on a storage: the engine, a client, a wrapper.
//!
//! ```
//! # use std::sync::Arc;
//! use cache_api::{ErrorKind, Storage};
//! use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
//!
//! # fn example(inner: Arc<dyn Storage>) {
//! // The third commit happens, and its answer is lost; then the disk is full.
//! let storage = FaultyStorage::new(inner);
//! storage.inject(Rule::on(Operation::Commit, Fault::LostAnswer(ErrorKind::Timeout)).nth(2));
//! storage.inject(Rule::any(Operation::STORING, Fault::Error(ErrorKind::Full)));
//! # }
//! ```

mod abilities;
mod operation;
mod rule;
mod seeded;
mod storage;
mod torn;
mod writer;

pub use operation::Operation;
pub use rule::{Fault, Injected, Rule};
pub use seeded::Seeded;
pub use storage::FaultyStorage;
