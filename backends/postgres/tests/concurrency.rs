//! Many connections at once: no answer is a deadlock, what was removed stays removed, and nobody leaves a
//! transaction open.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::server::{self, Server, present};
use cache_api::{Body, Change, Filter, Namespace, Storage, TagDigest, Use, VariantId};
use cache_backend_postgres::PostgresStorage;
use cache_conformance::sample::{entry, inline, key, put, put_stored, start, stored};
use futures_util::TryStreamExt as _;
use sqlx::{PgConnection, Row};

const TAGS: u64 = 80;

fn tag(number: u64) -> TagDigest {
    TagDigest::of(&(number % TAGS).to_string())
}

/// Several replicas of one cache.
async fn replicas(server: &Server, count: usize) -> Vec<PostgresStorage> {
    let namespace = Namespace::new(&cache_api::BodyId::random().unwrap().to_string()).unwrap();
    let mut replicas = Vec::new();
    for _ in 0..count {
        replicas
            .push(server.builder().namespace(namespace.clone()).max_connections(4).build().await.unwrap());
    }
    replicas
}

async fn deadlocks(raw: &mut PgConnection) -> i64 {
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query(sql).fetch_one(raw).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let replicas = replicas(&server, 4).await;
    let now = start();
    let tasks = (0..16_u64).map(|worker| {
        let storage = replicas[usize::try_from(worker).unwrap() % replicas.len()].clone();
        tokio::spawn(async move {
            for step in 0..150_u64 {
                let number = (worker * 31 + step * 7) % 24;
                // Tags overlap in different orders, over all the slots of locks.
                let tags: Vec<_> =
                    (0..20).map(|n| tag(worker * 13 + step * 3 + n * (1 + worker % 7))).collect();
                let later = now + Duration::from_secs(step);
                match (worker + step) % 8 {
                    0 => drop(storage.abilities().tags.unwrap().purge(&tags[..4], later).await.unwrap()),
                    1 => drop(storage.remove(&key(number), None, later).await.unwrap()),
                    2 => drop(put_stored(&storage, key(number), 1, 300_000, later).await.unwrap()),
                    3 => {
                        let uses: Vec<_> = (0..24)
                            .map(|n| Use { key: key((n + worker) % 24), variant: VariantId::ONLY, at: later })
                            .collect();
                        storage.abilities().touch.unwrap().touch(&uses, later).await.unwrap();
                    }
                    4 if step % 40 == 0 => {
                        storage.abilities().listing.unwrap().clear(later).await.map(drop).unwrap();
                    }
                    4 => drop(storage.abilities().listing.unwrap().sweep(later).await.unwrap()),
                    _ => drop(put(&storage, key(number), vec![1; 2000], &tags, later).await.unwrap()),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for replica in &replicas {
        // A connection reports what it counted when it ends, at the latest.
        replica.close().await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut raw = server.raw().await.unwrap();
    assert_eq!(deadlocks(&mut raw).await, 0, "deadlocks");
    // Nothing hangs on what is not there.
    for orphans in [
        "SELECT count(*) FROM cache_conformance.content c WHERE NOT EXISTS
            (SELECT 1 FROM cache_conformance.variant v WHERE v.id = c.variant)",
        "SELECT count(*) FROM cache_conformance.tag t WHERE NOT EXISTS
            (SELECT 1 FROM cache_conformance.variant v WHERE v.id = t.variant)",
        "SELECT count(*) FROM cache_conformance.variant v WHERE NOT EXISTS
            (SELECT 1 FROM cache_conformance.resource r WHERE r.id = v.resource)",
        "SELECT count(*) FROM cache_conformance.variant v WHERE NOT EXISTS
            (SELECT 1 FROM cache_conformance.content c WHERE c.variant = v.id)",
        "SELECT count(*) FROM cache_conformance.variant v JOIN cache_conformance.body b ON b.id = v.stored
            WHERE b.gone_at IS NOT NULL OR NOT b.committed",
        "SELECT count(*) FROM cache_conformance.body b WHERE b.committed AND b.gone_at IS NULL AND NOT EXISTS
            (SELECT 1 FROM cache_conformance.variant v WHERE v.stored = b.id)",
    ] {
        let found: i64 = sqlx::query(orphans).fetch_one(&mut raw).await.unwrap().get(0);
        assert_eq!(found, 0, "{orphans}");
    }
}

/// Commits with tickets from before a purge race it; once it is acknowledged, none of them may be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_stays_purged() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let replicas = replicas(&Server::at(postgres.url()), 4).await;
    let now = start();
    for round in 0..60_u64 {
        let mut tickets = Vec::new();
        for number in 0..8 {
            tickets.push(replicas[0].lookup(&key(number), now).await.unwrap());
        }
        let commits = tickets.into_iter().zip(0..).map(|(found, number)| {
            let storage = replicas[usize::try_from(number).unwrap() % 3].clone();
            tokio::spawn(async move {
                let entry = entry(key(number), "head", now).with_tags([tag(1), tag(number + 2)]);
                storage
                    .commit(found.ticket(), entry, Change::Put(inline(vec![1; 3000]).unwrap()), now)
                    .await
                    .unwrap()
            })
        });
        let commits: Vec<_> = commits.collect();
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        match round % 3 {
            0 => drop(replicas[3].abilities().listing.unwrap().clear(now).await.unwrap()),
            _ => drop(replicas[3].abilities().tags.unwrap().purge(&[tag(1)], now).await.unwrap()),
        }
        for commit in commits {
            commit.await.unwrap();
        }
        for number in 0..8 {
            let found = replicas[0].lookup(&key(number), now).await.unwrap();
            assert!(found.variants().is_empty(), "round {round}: {number} came back");
        }
    }
}

/// A row that somebody holds is passed over first, and waited for thereafter.
#[tokio::test]
async fn uses_of_what_is_being_written_count() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let storage = replicas(&server, 1).await.remove(0);
    let now = start();
    // Held in any namespace: nobody else has these.
    let (held, free) = (key(900), key(901));
    for key in [held, free] {
        put(&storage, key, vec![1; 10], &[], now).await.unwrap();
    }
    let mut raw = server.raw().await.unwrap();
    let mut holding = sqlx::Connection::begin(&mut raw).await.unwrap();
    let hold = "SELECT v.id FROM cache_conformance.variant v
        JOIN cache_conformance.resource r ON r.id = v.resource WHERE r.key = $1 FOR UPDATE OF v";
    sqlx::query(hold).bind(&held.as_bytes()[..]).execute(&mut *holding).await.unwrap();
    let toucher = storage.clone();
    let touching = tokio::spawn(async move {
        let uses = [held, free, held].map(|key| Use { key, variant: VariantId::ONLY, at: now });
        toucher.abilities().touch.unwrap().touch(&uses, now).await.unwrap();
    });
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%v.uses + $4%'";
    let mut watching = server.raw().await.unwrap();
    while sqlx::query(waits).fetch_one(&mut watching).await.unwrap().get::<i64, _>(0) == 0 {
        assert!(!touching.is_finished(), "what is held was passed over");
        tokio::task::yield_now().await;
    }
    holding.commit().await.unwrap();
    touching.await.unwrap();
    let all = Filter::all();
    let found: Vec<_> = storage.abilities().listing.unwrap().list(&all, now).try_collect().await.unwrap();
    let mut uses: Vec<_> = found.iter().map(|found| (found.key, found.uses)).collect();
    uses.sort_unstable();
    assert_eq!(uses, [(held, Some(2)), (free, Some(1))]);
}

/// Gives up after `polls` polls.
struct Dropped<F> {
    future: F,
    polls: u32,
}

impl<F: Future + Unpin> Future for Dropped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        Pin::new(&mut self.future).poll(context).map(Some)
    }
}

#[tokio::test]
async fn a_dropped_future_leaves_no_transaction_open() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let server = Server::at(postgres.url());
    let mut raw = server.raw().await.unwrap();
    let pool = sqlx::PgPool::connect(postgres.url().unwrap()).await.unwrap();
    let over_pool = PostgresStorage::builder().pool(pool).schema(server::SCHEMA).build().await.unwrap();
    let plain = server.builder().prepared_statements(false).build().await.unwrap();
    let own = server.builder().build().await.unwrap();
    let now = start();
    for storage in [own, over_pool, plain] {
        for polls in 0..60 {
            let key = key(u64::from(polls % 5));
            let found = storage.lookup(&key, now).await.unwrap();
            let operation: Pin<Box<dyn Future<Output = ()> + Send>> = match polls % 2 {
                0 => Box::pin(async {
                    let body = stored(&storage, found.ticket(), 1, 300_000, now).await.unwrap();
                    let entry = entry(key, "head", now);
                    storage
                        .commit(found.ticket(), entry, Change::Put(Body::Stored(body)), now)
                        .await
                        .unwrap();
                }),
                _ => Box::pin(async {
                    put(&storage, key, vec![1; 3000], &[tag(1)], now).await.unwrap();
                    storage.remove(&key, None, now).await.unwrap();
                }),
            };
            Dropped { future: operation, polls: polls / 2 }.await;
            // Nobody waits for what was dropped.
            let next = put(&storage, key, vec![1; 10], &[], now);
            tokio::time::timeout(Duration::from_secs(5), next).await.expect("locked out").unwrap();
        }
    }
    for _ in 0..200 {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
        let open: i64 = sqlx::query(open).fetch_one(&mut raw).await.unwrap().get(0);
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a transaction is open");
}
