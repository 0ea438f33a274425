//! A tier on whatever another subject opens.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{Limits, Namespace, Storage};
use cache_backend_tiered::{TieredStorage, TieredStorageBuilder};
use cache_conformance::{Opened, OwnServer, RawStore, Remote, ServerError, Subject};

/// A builder with the settings of a suite.
type Settings = fn(TieredStorageBuilder) -> TieredStorageBuilder;

pub(crate) struct Tiers<S> {
    beneath: S,
    settings: Settings,
}

impl<S> Tiers<S> {
    pub(crate) fn over(beneath: S, settings: Settings) -> Self {
        Self { beneath, settings }
    }

    async fn tier(&self, store: Arc<dyn Storage>) -> Opened {
        let tier = (self.settings)(TieredStorage::builder(store)).build()?;
        until_trusted(&tier).await;
        Ok(Arc::new(tier))
    }
}

/// Waits until memory answers: a case would look past it otherwise.
pub(crate) async fn until_trusted(tier: &TieredStorage) {
    while !tier.counters().trusted {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[async_trait]
impl<S: Subject> Subject for Tiers<S> {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        self.tier(self.beneath.open(namespace, limits).await?).await
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        self.beneath.raw()
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.beneath.remote().map(|_| self as &dyn Remote)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        let server = self.beneath.own_server()?;
        Some(Arc::new(Own { server, settings: self.settings }))
    }
}

#[async_trait]
impl<S: Subject> Remote for Tiers<S> {
    fn address(&self) -> String {
        self.beneath.remote().map(Remote::address).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let remote = self.beneath.remote().ok_or("the store beneath is not remote")?;
        self.tier(remote.open_at(address, namespace, limits).await?).await
    }

    fn timeout(&self) -> Option<Duration> {
        self.beneath.remote().and_then(Remote::timeout)
    }
}

struct Own {
    server: Arc<dyn OwnServer>,
    settings: Settings,
}

#[async_trait]
impl OwnServer for Own {
    async fn start(&self) -> Result<Arc<dyn Subject>, ServerError> {
        Ok(Arc::new(Tiers::over(self.server.start().await?, self.settings)))
    }

    async fn kill(&self) -> Result<(), ServerError> {
        self.server.kill().await
    }

    async fn restart(&self) -> Result<(), ServerError> {
        self.server.restart().await
    }
}
