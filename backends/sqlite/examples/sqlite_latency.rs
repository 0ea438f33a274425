//! What the operations take on this machine: `cargo run --release -p cache-backend-sqlite --example sqlite_latency`.

use std::{
    error::Error,
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, Frame, InlineBody, Storage, StoredHead, VariantId,
};
use cache_backend_sqlite::SqliteStorage;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::Instant;

const ENTRIES: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let storage = SqliteStorage::builder().path(directory.path().join("latency.sqlite")).build().await?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);

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
        if let Committed::Stored { version, .. } =
            storage.commit(found.ticket(), entry(key, now), Change::Put(body), now).await?
        {
            versions.push(version);
        }
    }
    report("lookup of nothing, then store of 1 KiB", began, ENTRIES);

    let began = Instant::now();
    for step in 0..ENTRIES {
        let found = storage.lookup(&key(step.wrapping_mul(7919) % ENTRIES), now).await?;
        assert_eq!(found.variants().len(), 1, "an entry is missing");
    }
    report("lookup of 1 KiB", began, ENTRIES);

    raw(directory.path()).await?;

    let began = Instant::now();
    for (number, version) in (0..).zip(&versions) {
        let found = storage.lookup(&key(number), now).await?;
        storage.commit(found.ticket(), entry(key(number), now), Change::Keep(*version), now).await?;
    }
    report("lookup, then head replacement", began, ENTRIES);
    storage.close().await?;
    Ok(())
}

/// The least that sqlx takes for a row of the same size, by which to judge the others.
async fn raw(directory: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(directory.join("raw.sqlite")).create_if_missing(true);
    let mut raw = SqliteConnection::connect_with(&options.disable_statement_logging()).await?;
    sqlx::query("CREATE TABLE raw (id INTEGER PRIMARY KEY, bytes BLOB)").execute(&mut raw).await?;
    sqlx::query("INSERT INTO raw SELECT key, randomblob(1500) FROM json_each('[' || substr(replace(hex(zeroblob(5000)), '0', '0,'), 1, 19999) || ']')")
        .execute(&mut raw)
        .await?;
    let began = Instant::now();
    for step in 0..ENTRIES {
        let row = sqlx::query("SELECT bytes FROM raw WHERE id = ?").bind(step.wrapping_mul(7919) % ENTRIES);
        let _: Vec<u8> = row.fetch_one(&mut raw).await?.try_get(0)?;
    }
    report("SELECT of 1.5 KiB with bare sqlx", began, ENTRIES);
    raw.close().await
}

fn key(number: u32) -> CacheKey {
    let mut bytes = [0; 32];
    let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for (to, from) in bytes.iter_mut().zip(spread) {
        *to = from;
    }
    CacheKey::from_bytes(bytes)
}

fn entry(key: CacheKey, now: SystemTime) -> Entry {
    let head = StoredHead::from_bytes(Bytes::from(vec![2; 500]));
    Entry::new(key, VariantId::ONLY, head, now, now + Duration::from_secs(3600))
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn report(what: &str, began: Instant, times: u32) {
    println!("{what}: {:.1} µs", (began.elapsed() / times).as_nanos() as f64 / 1000.0);
}
