//! Operations that are dropped after each number of polls leave whole entries, and nobody waits for them.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use cache_api::{Body, Change, Storage};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::sample::{self, entry, inline, key, put, start, stored};

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

async fn cut_off_everywhere(storage: SqliteStorage, other: SqliteStorage) {
    let now = start();
    let mut ended = false;
    for polls in 0..200 {
        let key = key(u64::from(polls % 5));
        let found = storage.lookup(&key, now).await.unwrap();
        let byte = u8::try_from(polls).unwrap();
        let operation: Pin<Box<dyn Future<Output = ()> + Send>> = match polls % 3 {
            0 => Box::pin(async {
                let body = stored(&storage, found.ticket(), byte, 300_000, now).await.unwrap();
                let entry = entry(key, &polls.to_string(), now);
                storage.commit(found.ticket(), entry, Change::Put(Body::Stored(body)), now).await.unwrap();
            }),
            1 => Box::pin(async {
                let entry = entry(key, &polls.to_string(), now);
                let put = Change::Put(inline(vec![byte; 3000]).unwrap());
                storage.commit(found.ticket(), entry, put, now).await.unwrap();
            }),
            _ => Box::pin(async {
                storage.lookup(&key, now).await.unwrap();
                storage.remove(&key, None, now).await.unwrap();
            }),
        };
        ended |= Dropped { future: operation, polls: polls / 3 }.await.is_some();
        // Another process could write at once: nothing is left locked.
        let next = put(&other, sample::key(99), vec![byte; 10], &[], now);
        tokio::time::timeout(Duration::from_secs(5), next).await.expect("locked out").unwrap();
        for number in 0..5 {
            let key = sample::key(number);
            for variant in storage.lookup(&key, now).await.unwrap().variants() {
                let head = variant.head.bytes().await.unwrap();
                let byte: u8 = std::str::from_utf8(head).unwrap().parse().unwrap();
                for frame in storage.read(&key, variant.version.body, 0..variant.body.frames()).await.unwrap()
                {
                    assert!(frame.bytes().await.unwrap().iter().all(|b| *b == byte), "a torn entry");
                }
            }
        }
    }
    assert!(ended, "no operation came to its end: the polls are too few");
}

#[tokio::test]
async fn in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    let storage = SqliteStorage::builder().path(&path).build().await.unwrap();
    let other = SqliteStorage::builder().path(&path).build().await.unwrap();
    cut_off_everywhere(storage, other).await;
}

#[tokio::test]
async fn in_memory() {
    let storage = SqliteStorage::builder().in_memory().build().await.unwrap();
    cut_off_everywhere(storage.clone(), storage).await;
}
