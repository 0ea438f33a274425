//! A hit among more and more entries, and among more and more variants of one resource.

use std::sync::Arc;

use client_reqwest::CachedClient;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::plan;
use crate::Result;
use crate::cli::{Common, Scale};
use crate::measure::{Op, Subject, compare};
use crate::origin::{Origin, check};
use crate::report::{Report, Setting};
use crate::subject::copies::Copies;
use crate::subject::get::Get;
use crate::subject::minimal::Many;
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
    let minimal = store.is_memory().then(|| Many::new(body));
    for &entries in &scale.entries {
        eprintln!("scale, {store}: storing up to {entries} entries");
        let urls = (filled..entries).map(|number| item(origin, number, body));
        if let Some(minimal) = &minimal {
            minimal.fill(urls.clone()).await;
        }
        fill(client, urls, body).await?;
        filled = filled.max(entries);
        // Spread over all of them.
        let asked = (0..ASKED.min(entries)).map(|number| number * (entries / ASKED.min(entries)));
        let urls: Arc<[String]> = asked.map(|number| item(origin, number, body)).collect();
        for url in urls.iter() {
            check(Get::get(client, url).await?, body)?;
        }
        let minimal = minimal.as_ref().map(|minimal| Subject::new("minimal", minimal.asking(&urls)));
        let ours = Subject::new("ours", Hits { client: client.clone(), urls, body });
        let subjects: Vec<_> = std::iter::once(ours).chain(minimal).collect();
        let setting = Setting::new("scale, entries", store, body, 1);
        measured(&scale.common, origin, setting, &subjects, entries, report).await?;
    }
    Ok(())
}

/// Stores something under each of these URLs. The first comes from the origin, and the others are copies of it by the
/// storage's own commands: a million requests would take longer than all that is measured.
async fn fill(client: &CachedClient, mut urls: impl Iterator<Item = String>, body: usize) -> Result<()> {
    let Some(first) = urls.next() else { return Ok(()) };
    let copies = Copies::of(client, &first, body).await?;
    let copied = stream::iter(urls).map(async |url| copies.store(copies.under(&url).await?).await);
    copied.buffer_unordered(FILLERS).try_collect().await
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
        let setting = Setting::new("scale, variants", store, body, 1);
        let subjects = [Subject::new("ours", hits)];
        measured(&scale.common, origin, setting, &subjects, variants.into(), report).await?;
    }
    Ok(())
}

fn item(origin: &Origin, number: u64, body: usize) -> String {
    origin.url(&format!("items/{number}"), &format!("body={body}"))
}

async fn measured(
    common: &Common,
    origin: &Origin,
    setting: Setting,
    subjects: &[Subject],
    count: u64,
    report: &mut Report,
) -> Result<()> {
    let before = origin.asked();
    for concurrency in common.callers(1) {
        let setting = Setting { concurrency, ..setting.clone() };
        eprintln!("{}, {}, {count}, {concurrency} at once", setting.case, setting.storage);
        let mut measured = compare(subjects, plan(common, concurrency)).await?;
        for one in &mut measured {
            one.extra.insert("count", count as f64);
        }
        report.add(&setting, &measured)?;
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
