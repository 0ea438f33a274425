//! What the operations take on this machine: `cargo run --release -p cache-backend-postgres --example postgres_latency`.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, Frame, InlineBody, Namespace, Storage, StoredHead,
    VariantId,
};
use cache_backend_postgres::PostgresStorageBuilder;
use sqlx::{Connection, PgConnection, Row, raw_sql};
use tokio::time::Instant;

const ENTRIES: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = cache_conformance::services::postgres::single();
    let url = server.url().ok_or("no server: set CONFORMANCE_POSTGRES_URL")?;
    let namespace = Namespace::new(&BodyId::random()?.to_string())?;
    let builder = PostgresStorageBuilder::from_url(url)?.schema("cache_latency").namespace(namespace);
    let storage = builder.build().await?;
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

    raw(url).await?;

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
async fn raw(url: &str) -> Result<(), sqlx::Error> {
    let mut raw = PgConnection::connect(url).await?;
    let table = "CREATE TEMPORARY TABLE raw (id bigint PRIMARY KEY, bytes bytea);
        ALTER TABLE raw ALTER COLUMN bytes SET STORAGE EXTERNAL;
        INSERT INTO raw SELECT n, convert_to(repeat('x', 1500), 'UTF8') FROM generate_series(0, 9999) n";
    raw_sql(table).execute(&mut raw).await?;
    let began = Instant::now();
    for step in 0..ENTRIES {
        let row = sqlx::query("SELECT bytes FROM raw WHERE id = $1");
        let row = row.bind(i64::from(step.wrapping_mul(7919) % ENTRIES));
        let _: Vec<u8> = row.fetch_one(&mut raw).await?.try_get(0)?;
    }
    report("SELECT of 1.5 KiB with bare sqlx", began, ENTRIES);
    let began = Instant::now();
    for _ in 0..ENTRIES {
        raw.ping().await?;
    }
    report("a round trip with nothing", began, ENTRIES);
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
