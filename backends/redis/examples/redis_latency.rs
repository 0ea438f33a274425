//! What the operations take, and how much memory: give it the URL of a server, or it uses the one on this machine.
//!
//! `cargo run --release -p cache-backend-redis --example redis_latency -- redis://127.0.0.1/`

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, Frame, InlineBody, Namespace, Storage, StoredHead,
    TagDigest, VariantId,
};
use cache_backend_redis::{RedisStorage, redis};
use tokio::time::Instant;

const ENTRIES: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1/".to_owned());
    let storage = RedisStorage::builder().url(&url)?.namespace(Namespace::new("latency")?).build().await?;
    #[expect(clippy::disallowed_methods, reason = "the server's clock is the real one")]
    let now = SystemTime::now();
    let listing = storage.abilities().listing.ok_or("no listing")?;
    listing.clear(now).await?;
    let before = memory(&url).await?;

    let began = Instant::now();
    let mut versions = Vec::new();
    for number in 0..ENTRIES {
        let key = key(number);
        let found = storage.lookup(&key, now).await?;
        let body = Body::Inline(InlineBody {
            id: BodyId::random()?,
            frame: Frame::from_bytes(Bytes::from(vec![1; 1024])),
            len: 1024,
        });
        let committed = storage.commit(found.ticket(), entry(key, now), Change::Put(body), now).await?;
        if let Committed::Stored { version, .. } = committed {
            versions.push(version);
        }
    }
    report("lookup of nothing, then store of 1 KiB with two tags", began, ENTRIES);
    #[expect(clippy::print_stdout, reason = "what the example is for")]
    {
        println!("{} bytes each", (memory(&url).await? - before) / u64::from(ENTRIES));
    }

    let began = Instant::now();
    for step in 0..ENTRIES {
        let found = storage.lookup(&key(step.wrapping_mul(7919) % ENTRIES), now).await?;
        assert_eq!(found.variants().len(), 1, "an entry is missing");
    }
    report("lookup of 1 KiB", began, ENTRIES);

    let began = Instant::now();
    for (number, version) in (0..).zip(&versions) {
        let found = storage.lookup(&key(number), now).await?;
        storage.commit(found.ticket(), entry(key(number), now), Change::Keep(*version), now).await?;
    }
    report("lookup, then head replacement", began, ENTRIES);

    let began = Instant::now();
    let purged = storage.abilities().tags.ok_or("no tags")?.purge(&[TagDigest::of("all")], now).await?;
    report("purge by a tag of all, each", began, u32::try_from(purged)?);
    let began = Instant::now();
    listing.clear(now).await?;
    report("clear of an empty namespace", began, 1);
    Ok(())
}

fn key(number: u32) -> CacheKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    CacheKey::from_bytes(bytes)
}

fn entry(key: CacheKey, now: SystemTime) -> Entry {
    let head = StoredHead::from_bytes(Bytes::from(vec![2; 400]));
    let entry = Entry::new(key, VariantId::ONLY, head, now, now + Duration::from_secs(3600));
    entry.with_tags([TagDigest::of("all"), TagDigest::of(&format!("{key}"))])
}

async fn memory(url: &str) -> Result<u64, Box<dyn Error>> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.ok_or("no used_memory")?.parse()?)
}

#[expect(clippy::print_stdout, reason = "what the example is for")]
fn report(what: &str, began: Instant, times: u32) {
    println!("{what}: {:?}", began.elapsed() / times.max(1));
}
