//! The least that keeps connections: a list of those that nobody uses.

use std::sync::{Mutex, PoisonError};

/// Connections that nobody uses now.
pub(super) struct Idle<C>(Mutex<Vec<C>>);

impl<C> Idle<C> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> Option<C> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn give_back(&self, connection: C) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
