//! A hit: the whole client, against the least that it takes.

use client_reqwest::cache_api::CacheKey;
use client_reqwest::{CachedClient, ResponseExt};

use super::plan;
use crate::Result;
use crate::cli::Common;
use crate::measure::{Subject, compare};
use crate::origin::Origin;
use crate::report::{Report, Setting};
use crate::subject::assemble::Assembly;
use crate::subject::get::Again;
use crate::subject::{floor, minimal, ours, store};

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&common.storage)? {
        for body in common.bodies(1024) {
            let url = origin.url("items/42", &format!("body={body}"));
            let client = ours::client(store).await?;
            let ours = Again::new(client.clone(), &url, body).await?;
            let mut subjects = vec![Subject::new("ours", ours)];
            if store.is_memory() {
                subjects.push(Subject::new("minimal", minimal::Hit::new(&url, body).await));
            } else {
                let key = key(&client, &url).await?;
                let storage = client.storage().ok_or("no storage")?;
                let stored = floor::Stored { store, namespace: storage.namespace(), key: &key };
                subjects.extend(floor::of(stored, &Assembly::new(&url, body)).await?);
            }
            let before = origin.asked();
            for concurrency in common.callers(1) {
                eprintln!("hit, {store}, {body} bytes, {concurrency} at once");
                let measured = compare(&subjects, plan(common, concurrency)).await?;
                report.add(&Setting::new("hit", store, body, concurrency), &measured)?;
            }
            origin.unasked_since(before)?;
            client.close().await;
        }
    }
    Ok(())
}

/// The key of a stored answer.
async fn key(client: &CachedClient, url: &str) -> Result<CacheKey> {
    let response = client.get(url).send().await?;
    Ok(response.cache_info().and_then(|info| info.key).ok_or("the answer has no key")?)
}
