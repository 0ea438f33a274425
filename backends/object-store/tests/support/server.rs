//! A store in which the suite opens storages, and damages objects past them.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_object_store::{
    ObjectStoreStorage, ObjectStoreStorageBuilder,
    object_store::{ObjectStore, ObjectStoreExt as _, path::Path},
};
use cache_conformance::{Damage, Opened, OwnServer, RawStore, Remote, Subject};
use futures_util::TryStreamExt as _;

/// How to build a storage of the store, and the store itself.
pub(crate) struct Server {
    pub(crate) builder: ObjectStoreStorageBuilder,
    pub(crate) raw: Box<dyn Fn() -> Arc<dyn ObjectStore> + Send + Sync>,
    /// Where it is, if it is somewhere, and what makes another like it.
    pub(crate) url: Option<(String, Option<OwnServers>)>,
    pub(crate) prefix: String,
}

pub(crate) type OwnServers = fn() -> Arc<dyn OwnServer>;

#[async_trait]
impl Subject for Server {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(self.open_storage(namespace, limits).await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.url.as_ref().map(|_| self as &dyn Remote)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        let (_, own) = self.url.as_ref()?;
        own.map(|own| own())
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl Remote for Server {
    fn address(&self) -> String {
        let url = self.url.as_ref().map(|(url, _)| &**url).unwrap_or_default();
        cache_conformance::services::address(url).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let url = self.url.as_ref().map(|(url, _)| &**url).unwrap_or_default();
        let url = cache_conformance::services::at_address(url, address);
        let builder = ObjectStoreStorage::builder().url(&url)?.connect_timeout(TIMEOUT).timeout(TIMEOUT);
        Ok(Arc::new(builder.namespace(namespace.clone()).limits(limits).build().await?))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(2 * TIMEOUT)
    }
}

impl Server {
    async fn open_storage(
        &self,
        namespace: &Namespace,
        limits: Limits,
    ) -> cache_api::Result<ObjectStoreStorage> {
        self.builder.clone().namespace(namespace.clone()).limits(limits).build().await
    }
}

#[async_trait]
impl RawStore for Server {
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let store = (self.raw)();
        let root = Path::from(format!("{}http-cache-1/{namespace}", self.prefix));
        let mut names: Vec<Path> = store.list(Some(&root)).map_ok(|meta| meta.location).try_collect().await?;
        names.sort();
        let of = |kind: &str| {
            let start = format!("{root}/{kind}/");
            let named = format!("/{key}");
            let is_ours = move |path: &&Path| {
                path.as_ref().starts_with(&start) && format!("{path}/").contains(&format!("{named}/"))
            };
            names.iter().filter(is_ours).cloned().collect::<Vec<_>>()
        };
        let (resources, frames) = (of("r"), of("b"));
        if damage == Damage::DropFrame {
            let Some(last) = frames.last() else { return Ok(0) };
            store.delete(last).await?;
            return Ok(1);
        }
        // The heads are within the resource, inline bodies too.
        let chosen = match damage {
            Damage::FlipFrame | Damage::TruncateFrame if !frames.is_empty() => frames,
            _ => resources,
        };
        let mut changed = 0;
        for path in chosen {
            let bytes = store.get(&path).await?.bytes().await?;
            store.put(&path, damage.apply(&bytes).into()).await?;
            changed += 1;
        }
        Ok(changed)
    }

    fn dumps(&self) -> bool {
        true
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let store = (self.raw)();
        let root = Path::from(format!("{}http-cache-1/{namespace}", self.prefix));
        let names: Vec<Path> = store.list(Some(&root)).map_ok(|meta| meta.location).try_collect().await?;
        let mut dump = Vec::new();
        for name in names {
            dump.push(store.get(&name).await?.bytes().await?.to_vec());
            dump.push(name.as_ref().as_bytes().to_vec());
        }
        Ok(dump)
    }
}
