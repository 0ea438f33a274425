//! The `find` of `MongoStorage`'s lookup, and that of its frames; raw, a `find` of a document with the same bytes,
//! without a read concern.

use std::ops::Range;

use bytes::Bytes;
use client_reqwest::cache_api::{BodyId, INLINE_MAX};
use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, Document, RawDocumentBuf, doc, spec::BinarySubtype};
use mongodb::options::{CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::{Client, Collection};

use super::{Read, ReadFrames, Stored};
use crate::Result;

/// The parameters of the URL that are ours: the driver refuses them.
const OURS: [&str; 8] = [
    "namespace",
    "prefix",
    "max_entry_size",
    "max_retention",
    "clock_skew",
    "timeout",
    "connect_timeout",
    "lazy",
];

/// A document, by its name.
pub(super) struct Find {
    collection: Collection<RawDocumentBuf>,
    id: String,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Find> {
    let collection = collection(stored, "resources").await?;
    let find = Find { collection, id: format!("{}:{}", stored.namespace, stored.key) };
    find.read().await?;
    Ok(find)
}

pub(super) async fn raw(stored: Stored<'_>) -> Result<Find> {
    let bytes = lookup(stored).await?.read().await?;
    let database = database(stored).await?;
    let id = "http-cache-bench";
    let subtype = BinarySubtype::Generic;
    let bytes = Binary { subtype, bytes: bytes.into_iter().take(4 * INLINE_MAX).collect() };
    let written = database.collection::<Document>(id);
    written.replace_one(doc! { "_id": id }, doc! { "_id": id, "b": bytes }).upsert(true).await?;
    Ok(Find { collection: database.collection(id), id: id.to_owned() })
}

impl Read for Find {
    async fn read(&self) -> Result<Bytes> {
        let found = self.collection.find_one(doc! { "_id": &self.id }).await?;
        Ok(found.ok_or("the entry is not in MongoDB")?.into_bytes().into())
    }
}

pub(super) struct Frames {
    collection: Collection<RawDocumentBuf>,
    body: String,
}

pub(super) async fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let body = format!("{}:{body}", stored.namespace);
    Ok(Frames { collection: collection(stored, "frames").await?, body })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let names: Vec<_> = range.map(|number| format!("{}:{number:08x}", self.body)).collect();
        let find = self.collection.find(doc! { "b": &self.body, "_id": { "$in": names } });
        let found: Vec<_> = find.sort(doc! { "_id": 1 }).await?.try_collect().await?;
        Ok(found.iter().map(|frame| frame.as_bytes().len()).sum())
    }
}

/// A collection, with the options of `MongoStorage`.
async fn collection(stored: Stored<'_>, name: &str) -> Result<Collection<RawDocumentBuf>> {
    let prefix = stored.store.parameter("prefix").unwrap_or_else(|| "http_cache".to_owned());
    let options = CollectionOptions::builder()
        .selection_criteria(SelectionCriteria::from(ReadPreference::Primary))
        .read_concern(ReadConcern::majority())
        .build();
    Ok(database(stored).await?.collection_with_options(&format!("{prefix}.{name}"), options))
}

async fn database(stored: Stored<'_>) -> Result<mongodb::Database> {
    let (location, query) = stored.store.url.split_once('?').unwrap_or((&stored.store.url, ""));
    let theirs =
        |pair: &&str| !pair.is_empty() && !OURS.contains(&pair.split('=').next().unwrap_or_default());
    let query: Vec<_> = query.split('&').filter(theirs).collect();
    let client = Client::with_uri_str(format!("{location}?{}", query.join("&"))).await?;
    Ok(client.default_database().unwrap_or_else(|| client.database("http_cache")))
}
