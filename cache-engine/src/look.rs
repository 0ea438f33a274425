//! A lookup, alone or shared.

use std::pin::pin;

use cache_api::{CacheKey, ErrorKind};
use futures_util::{FutureExt, future::poll_immediate};

use crate::{engine::Inner, found::Found, lookups::Entered, network::Network, store::Store};

impl<N: Network> Inner<N> {
    /// Looks a resource up. Where that takes its time, those who want the same at once share it.
    pub(crate) async fn look(&self, store: &Store, key: &CacheKey) -> cache_api::Result<Found> {
        if self.lookups.waits() {
            return Box::pin(self.look_together(store, key)).await;
        }
        let mut lookup = pin!(Found::lookup(store, key));
        if let Some(found) = poll_immediate(lookup.as_mut()).await {
            return found;
        }
        self.lookups.waited();
        lookup.await
    }

    async fn look_together(&self, store: &Store, key: &CacheKey) -> cache_api::Result<Found> {
        let lookup = || {
            let (store, key) = (store.clone(), *key);
            async move { Found::lookup(&store, &key).await }.boxed()
        };
        match self.lookups.enter(*key, lookup) {
            Entered::First(_turn) => Found::lookup(store, key).await,
            // It begins when the one before it ends: both together have the time that one has.
            Entered::Next(shared) => match tokio::time::timeout(store.deadlines.read, shared).await {
                Ok(found) => {
                    found.map_err(|error| cache_api::Error::new(error.kind(), "lookup").with_source(error))
                }
                Err(_) => Err(cache_api::Error::new(ErrorKind::Timeout, "lookup")),
            },
        }
    }
}
