//! One of the processes: callers that ask for some resources more often than for others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use client_reqwest::{CachedClient, Mode, ResponseExt as _, Source, TieredStorage, storage_from_url};
use serde::{Deserialize, Serialize};

use crate::support::Result;

/// How many resources there are.
const RESOURCES: u64 = 200;

/// What one process did so far, as it tells every half second.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Lookups that memory answered, and those that the store was asked for.
    pub(crate) in_memory: u64,
    pub(crate) in_store: u64,
    /// Requests that waited for another's fetch.
    pub(crate) waited: u64,
    /// Requests that the origin answered.
    pub(crate) fetched: u64,
    pub(crate) failed: u64,
    /// Whether the store's events come in.
    pub(crate) trusted: bool,
}

#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    waited: AtomicU64,
    fetched: AtomicU64,
    failed: AtomicU64,
}

pub(crate) async fn work(storage: &str, origin: &str, callers: u16) -> Result<()> {
    let tier = TieredStorage::builder(storage_from_url(storage).await?).build()?;
    let client = CachedClient::builder()
        .storage(Arc::new(tier.clone()))
        .mode(Mode::Shared)
        .wire(reqwest::ClientBuilder::no_proxy)
        .build()
        .await?;
    let tally = Arc::new(Tally::default());
    for _ in 0..callers {
        let (client, origin, tally) = (client.clone(), origin.to_owned(), Arc::clone(&tally));
        tokio::spawn(async move {
            loop {
                let below = fastrand::u64(1..=RESOURCES);
                ask(&client, &format!("{origin}/{}", fastrand::u64(..below)), &tally).await;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..10))).await;
            }
        });
    }
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let counters = tier.counters();
        let counts = Counts {
            requests: tally.requests.load(Relaxed),
            in_memory: counters.hits,
            in_store: counters.misses,
            waited: tally.waited.load(Relaxed),
            fetched: tally.fetched.load(Relaxed),
            failed: tally.failed.load(Relaxed),
            trusted: counters.trusted,
        };
        println!("{}", serde_json::to_string(&counts)?);
    }
}

async fn ask(client: &CachedClient, url: &str, tally: &Tally) {
    tally.requests.fetch_add(1, Relaxed);
    let answered = async {
        let response = client.get(url).send().await?.error_for_status()?;
        if let Some(info) = response.cache_info() {
            tally.waited.fetch_add(u64::from(info.collapsed), Relaxed);
            tally.fetched.fetch_add(u64::from(info.source == Source::Origin), Relaxed);
        }
        client_reqwest::Result::Ok(response.bytes().await?)
    };
    if answered.await.is_err() {
        tally.failed.fetch_add(1, Relaxed);
    }
}
