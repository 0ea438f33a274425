use cache_api::{ErrorKind, Limits, Namespace, Result};

use crate::{MemoryStorage, error};

/// Builds a [`MemoryStorage`]. All sizes are in bytes.
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryStorageBuilder {
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    max_capacity: u64,
    max_entry_size: Option<u64>,
    max_in_flight: Option<u64>,
}

/// The sizes after all defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) capacity: u64,
    pub(crate) entry: u64,
    pub(crate) resource: u64,
    pub(crate) in_flight: u64,
}

impl MemoryStorageBuilder {
    /// The capacity by default: 256 MiB.
    pub const DEFAULT_CAPACITY: u64 = 256 * 1024 * 1024;

    pub(crate) fn new() -> Self {
        Self {
            namespace: Namespace::default(),
            limits: Limits::default(),
            max_capacity: Self::DEFAULT_CAPACITY,
            max_entry_size: None,
            max_in_flight: None,
        }
    }

    /// The namespace; `default` by default. No two storages share anything, whatever their namespaces: it
    /// tells them apart in logs, and names the place of what they hold.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// How many bytes of heads, bodies and bookkeeping to keep; the least recently used resources go beyond
    /// that. [256 MiB](Self::DEFAULT_CAPACITY) by default.
    pub fn max_capacity(mut self, bytes: u64) -> Self {
        self.max_capacity = bytes;
        self
    }

    /// The largest entry, head and bookkeeping included, that is stored; a quarter of the capacity by
    /// default, and at most half of it.
    pub fn max_entry_size(mut self, bytes: u64) -> Self {
        self.max_entry_size = Some(bytes);
        self
    }

    /// How many bytes beside the capacity to use for stored bodies that are being written and for replaced
    /// ones within their read grace; half of the capacity by default, and at least the largest entry.
    pub fn max_in_flight(mut self, bytes: u64) -> Self {
        self.max_in_flight = Some(bytes);
        self
    }

    /// The time limits; their [defaults](Limits::default) by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The storage. It allocates as it fills.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when no entry fits: the largest entry is 0 bytes or over half of the capacity (or
    /// over 4 GiB), or more than may be in flight.
    pub fn build(self) -> Result<MemoryStorage> {
        let sizes = self.sizes();
        let Sizes { capacity, entry, resource, in_flight } = sizes;
        let wrong = if entry == 0 {
            format!("no entry fits into {capacity} bytes: raise max_capacity or max_entry_size")
        } else if entry > resource {
            format!("max_entry_size of {entry} bytes is over {resource}: half of max_capacity, 4 GiB at most")
        } else if entry > in_flight {
            format!("max_in_flight of {in_flight} bytes is less than max_entry_size of {entry}")
        } else {
            return Ok(MemoryStorage::assemble(self, sizes));
        };
        Err(error(ErrorKind::Config, "build").with_message(wrong))
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let capacity = self.max_capacity;
        // The cache weighs with 32 bits.
        let resource = (capacity / 2).min(u64::from(u32::MAX));
        let entry = self.max_entry_size.unwrap_or((capacity / 4).min(resource));
        let in_flight = self.max_in_flight.unwrap_or((capacity / 2).max(entry));
        Sizes { capacity, entry, resource, in_flight }
    }
}
