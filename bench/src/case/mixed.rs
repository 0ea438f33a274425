//! Ten thousand resources, asked for by Zipf's law; one request in ten stores anew.

use std::sync::Arc;

use bytes::Bytes;
use client_reqwest::CachedClient;
use moka::future::Cache;

use super::plan;
use crate::Result;
use crate::cli::Common;
use crate::measure::{Op, Plan, Subject, compare};
use crate::origin::{Origin, body, check};
use crate::report::{Report, Setting};
use crate::request::FIELDS;
use crate::subject::assemble::{Assembly, response};
use crate::subject::get::Get;
use crate::subject::{ours, plain, store};

/// How many resources there are.
const RESOURCES: u16 = 10_000;

/// How many there are of each request that stores anew.
const WRITES: u8 = 10;

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&common.storage)? {
        for body in common.bodies(1024) {
            let client = ours::client(store).await?;
            let wire = plain::client()?;
            let urls: Arc<[String]> = (0..RESOURCES)
                .map(|number| origin.url(&format!("items/{number}"), &format!("body={body}")))
                .collect();
            let minimal = Minimal::new(&wire, &urls, body).await;
            eprintln!("mixed, {store}, {body} bytes: storing {RESOURCES} answers");
            for url in urls.iter() {
                check(Get::get(&client, url).await?, body)?;
            }
            let subjects = [
                Subject::new("ours", Ours { client: client.clone(), urls: Arc::clone(&urls), body }),
                Subject::new("minimal", minimal),
                Subject::new("plain", Plain { client: wire, urls, body }),
            ];
            for concurrency in common.callers(1) {
                eprintln!("mixed, {store}, {body} bytes, {concurrency} at once");
                let measured =
                    compare(&subjects, Plan { one_by_one: true, ..plan(common, concurrency) }).await?;
                report.add(&Setting::new("mixed", store, body, concurrency), &measured)?;
            }
            client.close().await;
        }
    }
    Ok(())
}

/// One of them, the first ones most often (s = 1), and whether it is stored anew.
fn next<T>(all: &[T]) -> Result<(&T, bool)> {
    // The inverse of the continuous law's distribution: n^u - 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 9,999")]
    let index = (f64::from(RESOURCES).powf(fastrand::f64()) - 1.0) as usize;
    let chosen = all.get(index).ok_or("fewer resources than were made")?;
    Ok((chosen, fastrand::u8(0..WRITES) == 0))
}

struct Ours {
    client: CachedClient,
    urls: Arc<[String]>,
    body: usize,
}

impl Op for Ours {
    async fn once(&self) -> Result<()> {
        let (url, anew) = next(&self.urls)?;
        if !anew {
            return check(Get::get(&self.client, url).await?, self.body);
        }
        let [accept, language, agent] = FIELDS;
        let request = self
            .client
            .get(url)
            .header(accept.0, accept.1)
            .header(language.0, language.1)
            .header(agent.0, agent.1)
            .reload();
        check(request.send().await?.bytes().await?.len(), self.body)
    }
}

struct Plain {
    client: reqwest::Client,
    urls: Arc<[String]>,
    body: usize,
}

impl Op for Plain {
    async fn once(&self) -> Result<()> {
        check(Get::get(&self.client, next(&self.urls)?.0).await?, self.body)
    }
}

/// The same over moka: a hit is the minimal one, a write asks the origin and puts what it answers into the map.
struct Minimal {
    client: reqwest::Client,
    assemblies: Vec<(String, Assembly)>,
    cache: Cache<String, Bytes>,
    body: usize,
}

impl Minimal {
    async fn new(client: &reqwest::Client, urls: &[String], len: usize) -> Self {
        let cache = Cache::new(2 * u64::from(RESOURCES));
        for url in urls {
            cache.insert(url.clone(), body(len)).await;
        }
        let assemblies = urls.iter().map(|url| (url.clone(), Assembly::new(url, len))).collect();
        Self { client: client.clone(), assemblies, cache, body: len }
    }
}

impl Op for Minimal {
    async fn once(&self) -> Result<()> {
        let ((url, assembly), anew) = next(&self.assemblies)?;
        let request = assembly.request()?;
        if anew {
            let bytes = self.client.execute(request).await?.bytes().await?;
            self.cache.insert(url.clone(), bytes.clone()).await;
            return check(bytes.len(), self.body);
        }
        let body = self.cache.get(request.url().as_str()).await.ok_or("not in the cache")?;
        let response = response(request.url().clone(), assembly.headers(), body)?;
        check(response.bytes().await?.len(), self.body)
    }
}
