//! The `GET` of `ObjectStoreStorage`'s lookup, and those of its frames. Raw, the same of another object with the same
//! bytes.

use std::ops::Range;

use bytes::Bytes;
use client_reqwest::cache_api::BodyId;
use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use reqwest::Url;

use super::{Read, ReadFrames, Stored};
use crate::Result;

/// An object, by its name.
pub(super) struct Get {
    store: Box<dyn ObjectStore>,
    path: Path,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Get> {
    let (store, prefix) = open(stored)?;
    let resources = Path::from(format!("{prefix}/http-cache-1/{}/r", stored.namespace));
    let name = stored.key.to_string();
    let path = find(&*store, &resources, |path| path.filename() == Some(&name)).await?;
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

/// The objects of a body's frames.
pub(super) struct Frames {
    store: Box<dyn ObjectStore>,
    body: String,
}

pub(super) async fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let (store, prefix) = open(stored)?;
    let bodies = Path::from(format!("{prefix}/http-cache-1/{}/b", stored.namespace));
    let first = format!("{body}/00000000");
    let path = find(&*store, &bodies, |path| path.as_ref().ends_with(&first)).await?;
    let body = path.as_ref().trim_end_matches("00000000").to_owned();
    Ok(Frames { store, body })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let read = try_join_all(range.map(async |number| {
            let path = Path::from(format!("{}{number:08x}", self.body));
            self.store.get(&path).await?.bytes().await
        }));
        Ok(read.await?.iter().map(Bytes::len).sum())
    }
}

async fn find(store: &dyn ObjectStore, prefix: &Path, is_it: impl Fn(&Path) -> bool) -> Result<Path> {
    let mut objects = store.list(Some(prefix));
    while let Some(object) = objects.try_next().await? {
        if is_it(&object.location) {
            return Ok(object.location);
        }
    }
    Err("the entry is not in the object store".into())
}

fn open(stored: Stored<'_>) -> Result<(Box<dyn ObjectStore>, Path)> {
    let url = Url::parse(&stored.store.url)?;
    let options: Vec<_> = url.query_pairs().into_owned().collect();
    Ok(object_store::parse_url_opts(&Url::parse(stored.store.bare())?, options)?)
}
