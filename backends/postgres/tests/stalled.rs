//! Removals that overlap what is stalled between its checks and its writes: another session holds the row of
//! the resource.

use std::time::Duration;

use crate::server::{self, Server, present};
use cache_api::{BodyId, CacheKey, Change, Committed, Namespace, Refusal, Storage, TagDigest};
use cache_backend_postgres::PostgresStorage;
use cache_conformance::sample::{self, entry, inline, put, start};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};
use tokio::{task::JoinHandle, time::sleep};

async fn open(server: &Server) -> PostgresStorage {
    let namespace = Namespace::new(&BodyId::random().unwrap().to_string()).unwrap();
    server.builder().namespace(namespace).build().await.unwrap()
}

/// A key that no other namespace has, of a resource that is there.
async fn resource(storage: &PostgresStorage) -> CacheKey {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(BodyId::random().unwrap().as_bytes());
    let key = CacheKey::from_bytes(bytes);
    put(storage, key, vec![1; 10], &[], start()).await.unwrap();
    // Connections for all that follows: connecting takes longer than what is waited for.
    futures_util::future::join_all((0..6).map(|_| storage.lookup(&key, start()))).await;
    key
}

async fn hold(raw: &mut PgConnection, key: CacheKey) {
    let sql = format!("BEGIN; SELECT 1 FROM {}.resource WHERE key = '\\x{key}' FOR UPDATE", server::SCHEMA);
    raw_sql(AssertSqlSafe(sql)).execute(raw).await.unwrap();
}

async fn release(raw: &mut PgConnection) {
    raw_sql("COMMIT").execute(raw).await.unwrap();
}

/// Has come to where it waits.
async fn stalls<T>(task: &JoinHandle<T>) {
    sleep(Duration::from_millis(300)).await;
    assert!(!task.is_finished(), "it did not wait");
}

#[tokio::test]
async fn a_purge_waits_for_the_commits_of_its_tags() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let mut raw = server.raw().await.unwrap();
    let (storage, now, tag) = (open(&server).await, start(), TagDigest::of("t"));
    let key = resource(&storage).await;
    let found = storage.lookup(&key, now).await.unwrap();
    hold(&mut raw, key).await;
    let commit = tokio::spawn({
        let storage = storage.clone();
        let entry = entry(key, "head", now).with_tags([tag]);
        async move { storage.commit(found.ticket(), entry, Change::Put(inline(vec![2; 10]).unwrap()), now).await }
    });
    stalls(&commit).await;
    let purge = tokio::spawn({
        let storage = storage.clone();
        async move { storage.abilities().tags.unwrap().purge(&[tag], now).await }
    });
    stalls(&purge).await;
    release(&mut raw).await;
    assert!(matches!(commit.await.unwrap().unwrap(), Committed::Stored { .. }));
    assert_eq!(purge.await.unwrap().unwrap(), 1);
    assert!(storage.lookup(&key, now).await.unwrap().variants().is_empty());
}

/// Else the tombstone would be in the namespace that was cleared, where no commit looks.
#[tokio::test]
async fn a_clear_waits_for_removals() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let mut raw = server.raw().await.unwrap();
    let (storage, now) = (open(&server).await, start());
    let key = resource(&storage).await;
    hold(&mut raw, key).await;
    let remove = tokio::spawn({
        let storage = storage.clone();
        async move { storage.remove(&key, None, now).await }
    });
    stalls(&remove).await;
    let clear = tokio::spawn({
        let storage = storage.clone();
        async move { storage.abilities().listing.unwrap().clear(now).await }
    });
    sleep(Duration::from_millis(300)).await;
    let during = storage.lookup(&key, now).await.unwrap();
    release(&mut raw).await;
    remove.await.unwrap().unwrap();
    clear.await.unwrap().unwrap();
    let late = Change::Put(inline(vec![2; 10]).unwrap());
    let late = storage.commit(during.ticket(), entry(key, "head", now), late, now).await.unwrap();
    assert_eq!(late, Committed::Refused(Refusal::Removed));
}

#[tokio::test]
async fn a_commit_sees_the_removal_it_waited_for() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let mut raw = server.raw().await.unwrap();
    let (storage, now) = (open(&server).await, start());
    let key = resource(&storage).await;
    let found = storage.lookup(&key, now).await.unwrap();
    hold(&mut raw, key).await;
    let remove = tokio::spawn({
        let storage = storage.clone();
        async move { storage.remove(&key, None, now).await }
    });
    stalls(&remove).await;
    let commit = tokio::spawn({
        let storage = storage.clone();
        let entry = entry(key, "head", now);
        async move { storage.commit(found.ticket(), entry, Change::Put(inline(vec![2; 10]).unwrap()), now).await }
    });
    stalls(&commit).await;
    // Reads and sweeps wait for nobody.
    assert_eq!(storage.lookup(&key, now).await.unwrap().variants().len(), 1);
    let sweep = storage.abilities().listing.unwrap().sweep(now + sample::HOUR);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), sweep).await.unwrap().unwrap().entries, 0);
    release(&mut raw).await;
    assert_eq!(remove.await.unwrap().unwrap(), 1);
    assert_eq!(commit.await.unwrap().unwrap(), Committed::Refused(Refusal::Removed));
    assert!(storage.lookup(&key, now).await.unwrap().variants().is_empty());
}
