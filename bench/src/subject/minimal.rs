//! The least that a hit out of memory takes: no rule of HTTP is looked at.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use moka::future::Cache;

use super::assemble::{Assembly, response};
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
