//! The least that a hit out of memory takes: no rule of HTTP is looked at.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, DATE};
use moka::future::Cache;
use reqwest::ResponseBuilderExt;

use crate::Result;
use crate::measure::Op;
use crate::origin::{body, check};
use crate::request::{FIELDS, answered, heap};

#[derive(Debug)]
struct Stored {
    headers: HeaderMap,
    body: Bytes,
}

/// URL out of text, request with three fields, one look into moka, twelve fields cloned, response, bytes.
#[derive(Debug)]
pub(crate) struct Hit {
    client: reqwest::Client,
    cache: Cache<String, Arc<Stored>>,
    url: String,
    body: usize,
}

impl Hit {
    pub(crate) async fn new(url: &str, len: usize) -> Result<Self> {
        let mut headers = answered();
        for (name, value) in [
            (DATE, "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
            (CONTENT_LENGTH, len.to_string()),
            (CACHE_CONTROL, "public, max-age=3600".to_owned()),
        ] {
            headers.extend(heap(&value).map(|value| (name, value)));
        }
        let cache = Cache::new(10_000);
        cache.insert(url.to_owned(), Arc::new(Stored { headers, body: body(len) })).await;
        Ok(Self { client: reqwest::Client::new(), cache, url: url.to_owned(), body: len })
    }
}

impl Op for Hit {
    async fn once(&self) -> Result<()> {
        let [accept, language, agent] = FIELDS;
        let request = self
            .client
            .get(&self.url)
            .header(accept.0, accept.1)
            .header(language.0, language.1)
            .header(agent.0, agent.1)
            .build()?;
        let stored = self.cache.get(request.url().as_str()).await.ok_or("not in the cache")?;
        let mut response =
            http::Response::builder().url(request.url().clone()).body(stored.body.clone())?;
        *response.headers_mut() = stored.headers.clone();
        check(reqwest::Response::from(response).bytes().await?.len(), self.body)
    }
}
