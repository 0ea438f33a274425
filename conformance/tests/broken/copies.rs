//! Lookups that are answered from copies, as a storage may that is told to be late; and for longer than that.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cache_api::{CacheKey, Resource};

use crate::{fault::Fault, reference::Reference};

/// The copies of all storages of a world, by their origin.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<HashMap<(u64, CacheKey), Resource>>);

impl Copies {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<(u64, CacheKey), Resource>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reference {
    fn keeps_copies(&self) -> bool {
        self.has(Fault::KeepsCopies) || self.has(Fault::KeepsOwnCopies)
    }

    /// The copy in the place of what was found, where there is one.
    pub(crate) fn copied(&self, key: &CacheKey, found: Resource) -> Resource {
        if !self.keeps_copies() {
            return found;
        }
        self.world.copies.with(|all| match all.get(&(self.origin, *key)) {
            Some(copy) => copy.clone(),
            None if found.variants().is_empty() => found,
            None => all.entry((self.origin, *key)).or_insert(found).clone(),
        })
    }

    /// What this storage changed itself.
    pub(crate) fn forget_copy(&self, key: &CacheKey) {
        if !self.has(Fault::KeepsOwnCopies) {
            self.world.copies.with(|all| all.remove(&(self.origin, *key)));
        }
    }
}
