//! A cache that is suspended for a while.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{engine::Engine, network::Network};

/// How many guards there are.
#[derive(Debug, Default)]
pub(crate) struct Suspensions(Arc<AtomicUsize>);

/// A cache is suspended as long as this lives, and as any other of its kind does; made by [`Engine::suspend`].
#[derive(Debug)]
#[must_use = "the cache is suspended no longer than this lives"]
pub struct Suspended(Arc<AtomicUsize>);

impl<N: Network> Engine<N> {
    /// Suspends the cache until what is returned is dropped: requests that begin meanwhile go past it, of all clones of this
    /// engine, as if each had [`Controls::bypass`](crate::policy::Controls::bypass). They are answered by the origin, and
    /// neither read what is stored nor store anything; unsafe ones still remove what they make invalid. Who asks for the store
    /// alone (`only-if-cached`) gets 504.
    ///
    /// Requests under way, and what is being stored or refreshed, go on. Of several guards the last one ends it.
    ///
    /// ```
    /// # async fn example<N: cache_engine::Network>(engine: cache_engine::Engine<N>) {
    /// let suspended = engine.suspend();
    /// // … requests that shall see the origin …
    /// drop(suspended);
    /// # }
    /// ```
    pub fn suspend(&self) -> Suspended {
        self.inner().suspensions.begin()
    }
}

impl Suspensions {
    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn begin(&self) -> Suspended {
        self.0.fetch_add(1, Ordering::AcqRel);
        Suspended(Arc::clone(&self.0))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
