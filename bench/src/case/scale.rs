//! A hit among more and more entries, and among more and more variants of one resource.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use client_reqwest::cache_api::{
    Body, BodyId, CacheKey, CborSerializer, Change, Committed, Entry, Frame, Head, InlineBody, Place,
    StoredHead, VariantId,
};
use client_reqwest::{CachedClient, ResponseExt as _, Serializer, Storage};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::HeaderValue;

use super::plan;
use crate::Result;
use crate::cli::{Common, Scale};
use crate::measure::{Op, Subject, compare};
use crate::origin::{Origin, check};
use crate::report::{Report, Setting};
use crate::subject::get::Get;
use crate::subject::store::Store;
use crate::subject::{ours, store};

/// How many answers are stored at once.
const FILLERS: usize = 64;

/// How many different resources are asked for.
const ASKED: u64 = 1000;

pub(crate) async fn run(scale: &Scale, report: &mut Report) -> Result<()> {
    let common = &scale.common;
    let origin = Origin::start().await?;
    let stores = if common.storage.is_empty() {
        // Nothing is to be evicted.
        let sqlite = if cfg!(feature = "sqlite") { Some(store::sqlite("?max_size=none")?) } else { None };
        std::iter::once(Store::at("memory:?max_capacity=16GiB")).chain(sqlite).collect()
    } else {
        store::chosen(&common.storage)?
    };
    for store in &stores {
        for body in common.bodies(64) {
            let client = ours::client(store).await?;
            entries(scale, &origin, store, &client, body, report).await?;
            variants(scale, &origin, store, &client, body, report).await?;
            client.close().await;
        }
    }
    Ok(())
}

async fn entries(
    scale: &Scale,
    origin: &Origin,
    store: &Store,
    client: &CachedClient,
    body: usize,
    report: &mut Report,
) -> Result<()> {
    let mut filled = 0;
    for &entries in &scale.entries {
        eprintln!("scale, {store}: storing up to {entries} entries");
        let urls = (filled..entries).map(|number| item(origin, number, body));
        fill(client, urls, body).await?;
        filled = filled.max(entries);
        // Spread over all of them.
        let asked = (0..ASKED.min(entries)).map(|number| number * (entries / ASKED.min(entries)));
        let urls: Arc<[String]> = asked.map(|number| item(origin, number, body)).collect();
        for url in urls.iter() {
            check(Get::get(client, url).await?, body)?;
        }
        let hits = Hits { client: client.clone(), urls, body };
        measured(&scale.common, origin, store, hits, ("scale, entries", entries), report).await?;
    }
    Ok(())
}

/// Stores something under each of these URLs. The first comes from the origin, and the others are copies of it by the
/// storage's own commands: a million requests would take longer than all that is measured.
async fn fill(client: &CachedClient, mut urls: impl Iterator<Item = String>, body: usize) -> Result<()> {
    let Some(first) = urls.next() else { return Ok(()) };
    check(Get::get(client, &first).await?, body)?;
    let copies = Copies::of(client, &first, body).await?;
    let copied = stream::iter(urls).map(|url| copies.store(url));
    copied.buffer_unordered(FILLERS).try_collect().await
}

/// What is copied.
struct Copies<'a> {
    client: &'a CachedClient,
    storage: &'a dyn Storage,
    serializer: Arc<dyn Serializer>,
    head: Head,
    body: Bytes,
    dead_at: SystemTime,
}

impl<'a> Copies<'a> {
    async fn of(client: &'a CachedClient, url: &str, body: usize) -> Result<Self> {
        let storage = &**client.storage().ok_or("no storage")?;
        let serializer: Arc<dyn Serializer> = Arc::new(CborSerializer::new());
        let key = key(client, url).await?;
        let resource = storage.lookup(&key, SystemTime::now()).await?;
        let variant = resource.variants().first().ok_or("nothing was stored")?;
        let place = Place::head(storage.namespace(), key, variant.id, variant.version.body);
        let head = variant.head.decode(&*serializer, &place).await?.clone();
        Ok(Self {
            client,
            storage,
            serializer,
            head,
            body: vec![b'x'; body].into(),
            dead_at: variant.dead_at,
        })
    }

    async fn store(&self, url: String) -> Result<()> {
        let now = SystemTime::now();
        let (key, id) = (key(self.client, &url).await?, BodyId::random()?);
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
        let body = Body::Inline(InlineBody { id, frame, len: self.body.len() as u64 });
        let resource = self.storage.lookup(&key, now).await?;
        match self.storage.commit(resource.ticket(), entry, Change::Put(body), now).await? {
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

async fn variants(
    scale: &Scale,
    origin: &Origin,
    store: &Store,
    client: &CachedClient,
    body: usize,
    report: &mut Report,
) -> Result<()> {
    for &variants in &scale.variants {
        let url = origin.url(&format!("variants/{variants}"), &format!("body={body}&vary=accept-language"));
        for number in 0..variants {
            // The last one is what all subjects ask for.
            let language = if number + 1 == variants { "en".to_owned() } else { format!("x-{number}") };
            let [accept, name, agent] = crate::request::FIELDS;
            let request = client.get(&url).header(accept.0, accept.1).header(agent.0, agent.1);
            let response = request.header(name.0, language).send().await?;
            check(response.bytes().await?.len(), body)?;
        }
        let hits = Hits { client: client.clone(), urls: Arc::from([url]), body };
        measured(&scale.common, origin, store, hits, ("scale, variants", variants.into()), report).await?;
    }
    Ok(())
}

fn item(origin: &Origin, number: u64, body: usize) -> String {
    origin.url(&format!("items/{number}"), &format!("body={body}"))
}

async fn measured(
    common: &Common,
    origin: &Origin,
    store: &Store,
    hits: Hits,
    (case, count): (&'static str, u64),
    report: &mut Report,
) -> Result<()> {
    let body = hits.body;
    let before = origin.asked();
    let subjects = [Subject::new("ours", hits)];
    for concurrency in common.callers(1) {
        eprintln!("{case}, {store}, {count}, {concurrency} at once");
        let mut measured = compare(&subjects, plan(common, concurrency)).await?;
        for one in &mut measured {
            one.extra.insert("count", count as f64);
        }
        report.add(&Setting::new(case, store, body, concurrency), &measured)?;
    }
    origin.unasked_since(before)
}

/// One of these, at random.
struct Hits {
    client: CachedClient,
    urls: Arc<[String]>,
    body: usize,
}

impl Op for Hits {
    async fn once(&self) -> Result<()> {
        let url = self.urls.get(fastrand::usize(..self.urls.len())).ok_or("nothing to ask for")?;
        check(Get::get(&self.client, url).await?, self.body)
    }
}
