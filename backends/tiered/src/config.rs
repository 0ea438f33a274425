use std::{sync::Arc, time::Duration};

use cache_api::{ErrorKind, Result, Storage};
use tokio::runtime::Handle;

use crate::{TieredStorage, error};

/// Builds a [`TieredStorage`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TieredStorageBuilder {
    store: Arc<dyn Storage>,
    max_capacity: u64,
    max_staleness: Duration,
    max_age: Duration,
}

impl TieredStorageBuilder {
    /// The capacity by default: 64 MiB.
    pub const DEFAULT_CAPACITY: u64 = 64 * 1024 * 1024;

    /// The staleness by default, where the store has no events: 1 second.
    pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(1);

    /// The age by default: 1 minute.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

    pub(crate) fn new(store: Arc<dyn Storage>) -> Self {
        Self {
            store,
            max_capacity: Self::DEFAULT_CAPACITY,
            max_staleness: Self::DEFAULT_MAX_STALENESS,
            max_age: Self::DEFAULT_MAX_AGE,
        }
    }

    /// How many bytes of copies to hold; those used longest ago go beyond that.
    /// [64 MiB](Self::DEFAULT_CAPACITY) by default. A resource over half of it is not held.
    pub fn max_capacity(mut self, bytes: u64) -> Self {
        self.max_capacity = bytes;
        self
    }

    /// Where the store has no events: how long a copy is served before the store is asked again, and so how late
    /// another replica's change is seen at most. [1 second](Self::DEFAULT_MAX_STALENESS) by default.
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// How long a copy is served at most, events or not: a replica that dies between a change and its telling is
    /// seen that late. [1 minute](Self::DEFAULT_MAX_AGE) by default; never over half of the store's
    /// [`max_write`](cache_api::Limits::max_write).
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The storage. Over a store with events it listens from now on, in a task of the tokio runtime that this is
    /// called in; until the subscription stands, every lookup asks the store.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the capacity holds no entry, when a copy would never be served
    /// (`max_age`, or without events `max_staleness`, is zero), and outside a tokio runtime where the store has
    /// events.
    pub fn build(self) -> Result<TieredStorage> {
        let has_events = self.store.abilities().events.is_some();
        let runtime = if has_events { Some(Handle::try_current()) } else { None };
        let wrong = if self.max_capacity < Self::MIN_CAPACITY {
            format!(
                "max_capacity (`memory` in a URL) of {} bytes holds nothing: give it 64 KiB at least",
                self.max_capacity
            )
        } else if self.max_age.is_zero() {
            "max_age (`memory_age` in a URL) of zero serves nothing from memory: raise it, or use the store without a tier".to_owned()
        } else if !has_events && self.max_staleness.is_zero() {
            "the store has no events, and max_staleness (`memory_staleness` in a URL) of zero serves nothing from memory: raise it, or use the \
             store without a tier"
                .to_owned()
        } else {
            return match runtime.transpose() {
                Ok(runtime) => Ok(self.assemble(runtime.as_ref())),
                Err(cause) => Err(error(ErrorKind::Config, "build")
                    .with_message(
                        "listening for events takes a tokio runtime: build the storage inside of one",
                    )
                    .with_source(cause)),
            };
        };
        Err(error(ErrorKind::Config, "build").with_message(wrong))
    }

    const MIN_CAPACITY: u64 = 64 * 1024;

    fn assemble(self, runtime: Option<&Handle>) -> TieredStorage {
        // A commit with a copy's ticket has at least half of its time left.
        let longest = self.max_age.min(self.store.limits().max_write / 2);
        let bound = if runtime.is_some() { longest } else { self.max_staleness.min(longest) };
        TieredStorage::assemble(self.store, self.max_capacity, bound, runtime)
    }
}
