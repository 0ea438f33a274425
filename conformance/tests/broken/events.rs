//! How the storages of a world hear of each other.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use cache_api::*;

use crate::{fault::Fault, reference::Reference};

/// All subscriptions of a world.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    all: Mutex<Vec<Listener>>,
    origins: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    namespace: Namespace,
    origin: u64,
    sender: EventSender,
}

impl Listeners {
    pub(crate) fn new_origin(&self) -> u64 {
        self.origins.fetch_add(1, Ordering::Relaxed)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Listener>) -> T) -> T {
        work(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reference {
    pub(crate) fn tell(&self, event: &Event) {
        self.world.listeners.with(|all| {
            all.retain(|listener| !listener.sender.is_closed());
            for listener in all {
                let here = listener.namespace == *self.namespace() || self.has(Fault::TellsOtherNamespaces);
                if here && (listener.origin != self.origin || self.has(Fault::TellsItself)) {
                    listener.sender.send(event.clone());
                }
            }
        });
    }

    pub(crate) fn tell_changed(&self, key: &CacheKey, committed: &Result<Committed>) {
        if matches!(committed, Ok(Committed::Stored { .. })) {
            self.tell(&Event::Changed(*key));
        }
    }

    pub(crate) fn tell_removed(&self, event: &Event) {
        if !self.has(Fault::TellsNoRemovals) {
            self.tell(event);
        }
    }

    pub(crate) fn tell_purged(&self, tags: &[TagDigest]) {
        self.tell_removed(&Event::Purged(Arc::from(tags)));
    }

    /// Ends the subscriptions of this storage.
    pub(crate) fn stop_listening(&self) {
        self.world.listeners.with(|all| all.retain(|listener| listener.origin != self.origin));
    }
}

#[async_trait]
impl Events for Reference {
    async fn subscribe(&self) -> Result<EventStream> {
        let (sender, stream) = event_channel();
        sender.send(Event::Heartbeat);
        let listener = Listener { namespace: self.namespace().clone(), origin: self.origin, sender };
        self.world.listeners.with(|all| all.push(listener));
        Ok(stream)
    }
}
