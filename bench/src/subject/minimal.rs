//! The least that a hit out of memory takes: no rule of HTTP is looked at.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use moka::future::Cache;

use super::assemble::{Assembly, head, response};
use crate::Result;
use crate::measure::Op;
use crate::origin::{body, check};

#[derive(Debug)]
struct Stored {
    headers: HeaderMap,
    body: Bytes,
}

/// URL out of text, request with three fields, one look into moka, twelve fields cloned, response, bytes.
#[derive(Debug)]
pub(crate) struct Hit {
    assembly: Assembly,
    cache: Cache<String, Arc<Stored>>,
}

impl Hit {
    pub(crate) async fn new(url: &str, len: usize) -> Self {
        let assembly = Assembly::new(url, len);
        let cache = Cache::new(10_000);
        let stored = Stored { headers: assembly.headers().clone(), body: body(len) };
        cache.insert(url.to_owned(), Arc::new(stored)).await;
        Self { assembly, cache }
    }
}

impl Op for Hit {
    async fn once(&self) -> Result<()> {
        let request = self.assembly.request()?;
        let stored = self.cache.get(request.url().as_str()).await.ok_or("not in the cache")?;
        let response = response(request.url().clone(), &stored.headers, stored.body.clone())?;
        check(response.bytes().await?.len(), self.assembly.body)
    }
}

/// The same among many answers, one of which is asked for at random.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    assembly: Assembly,
    cache: Cache<String, Arc<Stored>>,
    urls: Arc<[String]>,
}

impl Many {
    pub(crate) fn new(len: usize) -> Self {
        Self { assembly: Assembly::new("", len), cache: Cache::new(u64::MAX), urls: Arc::from([]) }
    }

    pub(crate) async fn fill(&self, urls: impl Iterator<Item = String>) {
        let len = self.assembly.body;
        for url in urls {
            self.cache.insert(url, Arc::new(Stored { headers: head(len), body: body(len) })).await;
        }
        self.cache.run_pending_tasks().await;
    }

    /// Asking for these of them.
    pub(crate) fn asking(&self, urls: &Arc<[String]>) -> Self {
        Self { urls: Arc::clone(urls), ..self.clone() }
    }
}

impl Op for Many {
    async fn once(&self) -> Result<()> {
        let url = self.urls.get(fastrand::usize(..self.urls.len())).ok_or("nothing to ask for")?;
        let request = self.assembly.request_to(url)?;
        let stored = self.cache.get(request.url().as_str()).await.ok_or("not in the cache")?;
        let response = response(request.url().clone(), &stored.headers, stored.body.clone())?;
        check(response.bytes().await?.len(), self.assembly.body)
    }
}
