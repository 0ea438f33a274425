//! The `GET` of `ObjectStoreStorage`'s lookup. Raw, the same of another object with the same bytes.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use reqwest::Url;

use super::{Read, Stored};
use crate::Result;

/// An object, by its name.
pub(super) struct Get {
    store: Box<dyn ObjectStore>,
    path: Path,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Get> {
    let (store, prefix) = open(stored)?;
    let resources = Path::from(format!("{prefix}/http-cache-1/{}/r", stored.namespace));
    let objects: Vec<_> = store.list(Some(&resources)).try_collect().await?;
    let name = stored.key.to_string();
    let object = objects.into_iter().find(|object| object.location.filename() == Some(&name));
    let path = object.ok_or("the entry is not in the object store")?.location;
    Ok(Get { store, path })
}

pub(super) async fn raw(stored: Stored<'_>) -> Result<Get> {
    let bytes = lookup(stored).await?.read().await?;
    let (store, prefix) = open(stored)?;
    let path = Path::from(format!("{prefix}/http-cache-bench/raw"));
    store.put(&path, bytes.into()).await?;
    Ok(Get { store, path })
}

impl Read for Get {
    async fn read(&self) -> Result<Bytes> {
        Ok(self.store.get(&self.path).await?.bytes().await?)
    }
}

fn open(stored: Stored<'_>) -> Result<(Box<dyn ObjectStore>, Path)> {
    let url = Url::parse(&stored.store.url)?;
    let options: Vec<_> = url.query_pairs().into_owned().collect();
    Ok(object_store::parse_url_opts(&Url::parse(stored.store.bare())?, options)?)
}
