//! Other caches for reqwest, set up as their documentation says.

use std::path::Path;

use http_cache_reqwest as alpha;
use http_cache_reqwest_016 as released;

use crate::Result;
use crate::subject::get::Get;

/// What is done with each of them.
pub(crate) trait Visitor {
    /// `name` is the crate, its version and its storage; `in_memory` where nothing is written to disk.
    fn visit<C: Get>(&mut self, name: &str, in_memory: bool, client: C) -> impl Future<Output = Result<()>>;
}

/// Shows each peer to the visitor. `directory` is for those that keep files.
pub(crate) async fn each(directory: &Path, visitor: &mut impl Visitor) -> Result<()> {
    let client = new(alpha::Cache(alpha::HttpCache {
        mode: alpha::CacheMode::Default,
        manager: alpha::MokaManager::default(),
        options: alpha::HttpCacheOptions::default(),
    }))?;
    visitor.visit("peer:http-cache-reqwest-1.0.0-alpha.10/moka", true, client).await?;

    let client = new(alpha::Cache(alpha::HttpCache {
        mode: alpha::CacheMode::Default,
        manager: alpha::CACacheManager::new(directory.join("cacache"), false),
        options: alpha::HttpCacheOptions::default(),
    }))?;
    visitor.visit("peer:http-cache-reqwest-1.0.0-alpha.10/cacache", false, client).await?;

    let client = old(released::Cache(released::HttpCache {
        mode: released::CacheMode::Default,
        manager: released::MokaManager::default(),
        options: released::HttpCacheOptions::default(),
    }))?;
    visitor.visit("peer:http-cache-reqwest-0.16.0/moka", true, client).await?;

    let client = old(released::Cache(released::HttpCache {
        mode: released::CacheMode::Default,
        manager: released::CACacheManager::new(directory.join("cacache-016"), false),
        options: released::HttpCacheOptions::default(),
    }))?;
    visitor.visit("peer:http-cache-reqwest-0.16.0/cacache", false, client).await?;

    let storage = http_cache_stream_reqwest::storage::DefaultCacheStorage::new(directory.join("stream"));
    let client = new(http_cache_stream_reqwest::Cache::new(storage))?;
    visitor.visit("peer:http-cache-stream-reqwest-0.5.0/files", false, client).await
}

fn new(cache: impl reqwest_middleware::Middleware) -> Result<reqwest_middleware::ClientWithMiddleware> {
    let wire = reqwest::Client::builder().no_proxy().build()?;
    Ok(reqwest_middleware::ClientBuilder::new(wire).with(cache).build())
}

fn old(cache: impl reqwest_middleware_04::Middleware) -> Result<reqwest_middleware_04::ClientWithMiddleware> {
    let wire = reqwest_012::Client::builder().no_proxy().build()?;
    Ok(reqwest_middleware_04::ClientBuilder::new(wire).with(cache).build())
}
