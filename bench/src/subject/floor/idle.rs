//! The least that keeps connections: a list of those that nobody uses.

use std::sync::{Mutex, PoisonError};

use crate::Result;

/// Connections that nobody uses now.
pub(super) struct Idle<C>(Mutex<Vec<C>>);

impl<C> Idle<C> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One of them, or a new one.
    pub(super) async fn take<E>(&self, connect: impl AsyncFnOnce() -> std::result::Result<C, E>) -> Result<C>
    where
        crate::Error: From<E>,
    {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => Ok(connect().await?),
        }
    }

    pub(super) fn give_back(&self, connection: C) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
