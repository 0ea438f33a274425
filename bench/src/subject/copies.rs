//! Copies of one answer under other URLs, by the storage's own commands.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use client_reqwest::cache_api::{
    Body, BodyId, CacheKey, CborSerializer, Change, Committed, Entry, Frame, Head, InlineBody, Place,
    StoredHead, Ticket, VariantId,
};
use client_reqwest::{CachedClient, ResponseExt as _, Serializer, Storage};
use http::HeaderValue;

use super::get::Get;
use crate::Result;
use crate::origin::check;

/// What is copied.
#[derive(Clone)]
pub(crate) struct Copies {
    client: CachedClient,
    storage: Arc<dyn Storage>,
    serializer: Arc<dyn Serializer>,
    head: Head,
    body: Bytes,
    dead_at: SystemTime,
}

/// A copy that is not stored yet.
pub(crate) struct Copy {
    ticket: Ticket,
    entry: Entry,
    change: Change,
    now: SystemTime,
}

impl Copies {
    /// Of what this URL answers; it is stored thereafter.
    pub(crate) async fn of(client: &CachedClient, url: &str, body: usize) -> Result<Self> {
        check(Get::get(client, url).await?, body)?;
        let storage = Arc::clone(client.storage().ok_or("no storage")?);
        let serializer: Arc<dyn Serializer> = Arc::new(CborSerializer::new());
        let key = key(client, url).await?;
        let resource = storage.lookup(&key, SystemTime::now()).await?;
        let variant = resource.variants().first().ok_or("nothing was stored")?;
        let place = Place::head(storage.namespace(), key, variant.id, variant.version.body);
        let head = variant.head.decode(&*serializer, &place).await?.clone();
        let body = vec![b'x'; body].into();
        Ok(Self { client: client.clone(), dead_at: variant.dead_at, storage, serializer, head, body })
    }

    /// A copy under this URL, with what its commit needs of the store.
    pub(crate) async fn under(&self, url: &str) -> Result<Copy> {
        let now = SystemTime::now();
        let (key, id) = (key(&self.client, url).await?, BodyId::random()?);
        let place = Place::head(self.storage.namespace(), key, VariantId::ONLY, id);
        let frame = Frame::new(self.body.clone(), Arc::clone(&self.serializer), place.frame(0, true));
        let mut head = self.head.clone();
        head.url = url.into();
        // Each has bytes of its own, as it would from the origin.
        for value in head.headers.values_mut() {
            *value = HeaderValue::from_bytes(value.as_bytes())?;
        }
        let head = StoredHead::new(head, Arc::clone(&self.serializer), place);
        let entry = Entry::new(key, VariantId::ONLY, head, now, self.dead_at);
        let change = Change::Put(Body::Inline(InlineBody { id, frame, len: self.body.len() as u64 }));
        let ticket = self.storage.lookup(&key, now).await?.ticket().clone();
        Ok(Copy { ticket, entry, change, now })
    }

    /// The store's own write.
    pub(crate) async fn store(&self, copy: Copy) -> Result<()> {
        let Copy { ticket, entry, change, now } = copy;
        match self.storage.commit(&ticket, entry, change, now).await? {
            Committed::Stored { .. } => Ok(()),
            refused => Err(format!("not stored: {refused:?}").into()),
        }
    }
}

/// Under what the client keeps an answer.
async fn key(client: &CachedClient, url: &str) -> Result<CacheKey> {
    let response = client.get(url).only_if_cached().send().await?;
    Ok(response.cache_info().and_then(|info| info.key).ok_or("no key")?)
}
