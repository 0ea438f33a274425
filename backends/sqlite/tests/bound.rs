//! The bound on size: what goes, what stays, and the file that shrinks.

use std::{fs, path::Path, time::Duration};

use cache_api::{
    Body, BodyId, Change, Committed, ErrorKind, Filter, Frame, Refusal, Storage, Use, VariantId,
};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::sample::{HOUR, entry, is_stored, key, put, put_stored, start, stored};

const KIB: u64 = 1024;

async fn bounded(path: &Path, max_size: u64) -> SqliteStorage {
    SqliteStorage::builder().path(path).max_size(max_size).max_entry_size(max_size).build().await.unwrap()
}

async fn bytes_of(storage: &SqliteStorage) -> u64 {
    let listing = storage.abilities().listing.unwrap();
    listing.count(&Filter::all(), start()).await.unwrap().bytes
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    let directory = tempfile::tempdir().unwrap();
    let storage = bounded(&directory.path().join("x.sqlite"), 1024 * KIB).await;
    let mut now = start();
    for number in 0..60 {
        now += Duration::from_secs(1);
        put(&storage, key(number), vec![7; 10 * 1024], &[], now).await.unwrap();
    }
    now += Duration::from_secs(1);
    let used = Use { key: key(0), variant: VariantId::ONLY, at: now };
    let gone = Use { key: key(999), ..used };
    storage.abilities().touch.unwrap().touch(&[used, gone, used], now).await.unwrap();
    for number in 60..120 {
        now += Duration::from_secs(1);
        assert!(is_stored(&put(&storage, key(number), vec![7; 10 * 1024], &[], now).await.unwrap()));
        assert!(bytes_of(&storage).await <= 1024 * KIB);
    }
    let mut kept = Vec::new();
    for number in 0..120 {
        if !storage.lookup(&key(number), now).await.unwrap().variants().is_empty() {
            kept.push(number);
        }
    }
    assert_eq!(kept[0], 0, "the one that was used again went");
    assert!(kept.len() > 80, "more went than had to: {kept:?}");
    assert_eq!(kept[1..], (120 - kept.len() as u64 + 1..120).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_namespace_does_not_evict_from_another() {
    let directory = tempfile::tempdir().unwrap();
    let one = bounded(&directory.path().join("x.sqlite"), 100 * KIB).await;
    let other = one.in_namespace(cache_api::Namespace::new("other").unwrap()).await.unwrap();
    put(&other, key(1), vec![1; 50 * 1024], &[], start()).await.unwrap();
    for number in 0..20 {
        put(&one, key(number), vec![1; 50 * 1024], &[], start()).await.unwrap();
    }
    assert_eq!(other.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
    assert!(bytes_of(&one).await <= 100 * KIB);
}

#[tokio::test]
async fn an_entry_over_the_limit_is_refused() {
    let storage = SqliteStorage::builder().in_memory().max_entry_size(300 * KIB).build().await.unwrap();
    let committed = put_stored(&storage, key(1), 1, 256 * 1024, start()).await.unwrap();
    assert!(is_stored(&committed));

    let found = storage.lookup(&key(2), start()).await.unwrap();
    let mut writer = storage.writer(found.ticket(), BodyId::random().unwrap(), start()).await.unwrap();
    writer.write(Frame::from_bytes(vec![1; 256 * 1024].into())).await.unwrap();
    let refused = writer.write(Frame::from_bytes(vec![1; 256 * 1024].into())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);

    let small = SqliteStorage::builder().in_memory().max_entry_size(8 * KIB).build().await.unwrap();
    let committed = put(&small, key(1), vec![0; 9 * 1024], &[], start()).await.unwrap();
    assert_eq!(committed, Committed::Refused(Refusal::TooLarge));
}

#[tokio::test]
async fn the_file_shrinks_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    let storage = bounded(&path, 64 * 1024 * KIB).await;
    for number in 0..20 {
        put_stored(&storage, key(number), 1, 1024 * 1024, start()).await.unwrap();
    }
    let later = start() + HOUR + HOUR;
    let swept = storage.abilities().listing.unwrap().sweep(later).await.unwrap();
    assert_eq!((swept.entries, swept.bodies), (20, 20));
    storage.close().await.unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 300 * KIB, "{size} bytes are left");
}

#[tokio::test]
async fn churn_of_large_bodies_stays_within_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    let storage = bounded(&path, 8 * 1024 * KIB).await;
    // All within the read grace of the first, stored anew or in place of another.
    for number in 0..120 {
        let now = start() + Duration::from_secs(number);
        put_stored(&storage, key(number.min(60)), 1, 1024 * 1024, now).await.unwrap();
    }
    storage.close().await.unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 24 * 1024 * KIB, "{size} bytes for a bound of 8 MiB");
}

#[tokio::test]
async fn clear_takes_the_rows_of_many_entries_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    let storage = SqliteStorage::builder().path(&path).build().await.unwrap();
    let other = storage.in_namespace(cache_api::Namespace::new("other").unwrap()).await.unwrap();
    let tag = cache_api::TagDigest::of("t");
    for number in 0..400 {
        put(&storage, key(number), vec![1; 100], &[tag], start()).await.unwrap();
    }
    put(&other, key(1), vec![1; 100], &[tag], start()).await.unwrap();
    put_stored(&storage, key(1000), 1, 300_000, start()).await.unwrap();
    let found = storage.lookup(&key(1000), start()).await.unwrap();
    let under_way = stored(&storage, found.ticket(), 2, 300_000, start()).await.unwrap();

    let listing = storage.abilities().listing.unwrap();
    assert_eq!(listing.clear(start()).await.unwrap(), 401);
    assert_eq!(listing.count(&Filter::all(), start()).await.unwrap().entries, 0);
    let entry = entry(key(1000), "head", start());
    let committed =
        storage.commit(found.ticket(), entry, Change::Put(Body::Stored(under_way)), start()).await;
    assert_eq!(committed.unwrap(), Committed::Refused(Refusal::Removed));
    let body = found.variants()[0].version.body;
    assert_eq!(storage.read(&key(1000), body, 0..2).await.unwrap().len(), 2, "within the read grace");
    assert_eq!(other.lookup(&key(1), start()).await.unwrap().variants().len(), 1);

    listing.sweep(start() + HOUR).await.unwrap();
    assert!(storage.read(&key(1000), body, 0..2).await.unwrap_err().is_gone());
    storage.close().await.unwrap();
    let rows = [
        ("variant", 1),
        ("content", 1),
        ("resource", 1),
        ("tag", 1),
        ("namespace", 2),
        ("body", 0),
        ("frame", 0),
    ];
    for (table, left) in rows {
        assert_eq!(count(&path, table).await, left, "rows of {table}");
    }
}

#[tokio::test]
async fn a_purge_of_more_than_a_batch_counts_them_all() {
    let storage = SqliteStorage::builder().in_memory().build().await.unwrap();
    let tags = ["a", "b", "c"].map(cache_api::TagDigest::of);
    for number in 0..600 {
        put(&storage, key(number), vec![1; 10], &tags[..2], start()).await.unwrap();
    }
    put(&storage, key(1000), vec![1; 10], &tags[2..], start()).await.unwrap();
    assert_eq!(storage.abilities().tags.unwrap().purge(&tags[..2], start()).await.unwrap(), 600);
    let left = storage.abilities().listing.unwrap().count(&Filter::all(), start()).await.unwrap();
    assert_eq!(left.entries, 1);
}

async fn count(path: &Path, table: &str) -> i64 {
    use sqlx::{AssertSqlSafe, Connection, Row};

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut raw = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let row = sqlx::query(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(&mut raw).await;
    row.unwrap().get(0)
}
