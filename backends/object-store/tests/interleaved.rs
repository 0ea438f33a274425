//! Two operations that meet: one is held up at each of its requests in turn, before it is made and before its answer
//! comes, while the other runs to its end.

use std::{future::Future, sync::Arc, time::Duration};

use crate::wrapped::{Fault, Wrapped};
use cache_api::{Body, CacheKey, Change, Committed, Entry, Result, Storage as _, TagDigest, Ticket};
use cache_backend_object_store::ObjectStoreStorage;
use cache_conformance::sample::{entry, inline, is_stored, key, put, start, stored};

#[derive(Clone, Copy, Debug)]
enum By {
    Key,
    Tag,
    Clear,
}

#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Body,
    Head,
}

const TAGS: [&str; 2] = ["a", "b"];

/// Two processes on one store.
struct Pair {
    store: Arc<Wrapped>,
    one: ObjectStoreStorage,
    two: ObjectStoreStorage,
}

impl Pair {
    async fn new() -> Self {
        let store = Wrapped::new(Fault::None);
        let open = || ObjectStoreStorage::builder().store(Arc::clone(&store) as _).build();
        let (one, two) = (open().await.unwrap(), open().await.unwrap());
        Self { one, two, store }
    }

    /// Holds `first` up at its request of that number, runs `second`, and lets `first` go on. `false` where `first`
    /// makes fewer requests.
    async fn meet<A: Send + 'static>(
        &self,
        at: u32,
        first: impl Future<Output = A> + Send + 'static,
        second: impl Future<Output = ()>,
    ) -> (A, bool) {
        let reached = self.store.hold(at / 2, at % 2 == 1);
        let first = tokio::spawn(first);
        let Ok(go_on) = reached_or_ended(reached, &first).await else {
            self.store.open();
            return (first.await.unwrap(), false);
        };
        second.await;
        go_on.send(()).unwrap();
        (first.await.unwrap(), true)
    }
}

async fn reached_or_ended<A>(
    mut reached: tokio::sync::oneshot::Receiver<tokio::sync::oneshot::Sender<()>>,
    first: &tokio::task::JoinHandle<A>,
) -> std::result::Result<tokio::sync::oneshot::Sender<()>, ()> {
    loop {
        match tokio::time::timeout(Duration::from_millis(1), &mut reached).await {
            Ok(reached) => return reached.map_err(drop),
            Err(_) if first.is_finished() => return Err(()),
            Err(_) => {}
        }
    }
}

fn tags() -> Vec<TagDigest> {
    TAGS.map(TagDigest::of).to_vec()
}

fn tagged(key: CacheKey, head: &str) -> Entry {
    entry(key, head, start()).with_tags(tags())
}

async fn remove(storage: &ObjectStoreStorage, key: CacheKey, by: By) -> Result<u64> {
    match by {
        By::Key => storage.remove(&key, None, start()).await,
        By::Tag => storage.abilities().tags.unwrap().purge(&tags()[..1], start()).await,
        By::Clear => storage.abilities().listing.unwrap().clear(start()).await,
    }
}

/// A write up to its commit.
async fn under_way(storage: &ObjectStoreStorage, key: CacheKey, before: Before) -> (Ticket, Change) {
    let now = start();
    if !matches!(before, Before::Nothing) {
        for _ in 0..3 {
            if is_stored(&put(storage, key, vec![1], &tags(), now).await.unwrap()) {
                break;
            }
        }
    }
    let found = storage.lookup(&key, now).await.unwrap();
    let change = match before {
        Before::Head => Change::Keep(found.variants()[0].version),
        Before::Body => Change::Put(inline(vec![2]).unwrap()),
        Before::Nothing => {
            Change::Put(Body::Stored(stored(storage, found.ticket(), 3, 10, now).await.unwrap()))
        }
    };
    (found.ticket().clone(), change)
}

async fn absent(pair: &Pair, key: CacheKey, why: &str) {
    for storage in [&pair.one, &pair.two] {
        let found = storage.lookup(&key, start()).await.unwrap();
        assert!(found.variants().is_empty(), "{why}: {found:?}");
    }
}

/// What is visible is registered: a purge by each of its tags finds it.
async fn is_purgeable(pair: &Pair, key: CacheKey, tag: usize, why: &str) {
    let purged = pair.two.abilities().tags.unwrap().purge(&tags()[tag..=tag], start()).await.unwrap();
    absent(pair, key, &format!("{why}, and was purged ({purged})")).await;
}

#[tokio::test]
async fn a_removal_while_a_commit_is_held_up() {
    for by in [By::Key, By::Tag, By::Clear] {
        for before in [Before::Nothing, Before::Body, Before::Head] {
            for at in 0.. {
                let (pair, key) = (Pair::new().await, key(1));
                let (ticket, change) = under_way(&pair.one, key, before).await;
                let storage = pair.one.clone();
                let commit = async move {
                    storage.commit(&ticket, tagged(key, "new"), change, start()).await.unwrap()
                };
                let removal = async {
                    let _: u64 = remove(&pair.two, key, by).await.unwrap();
                };
                let (committed, met) = pair.meet(at, commit, removal).await;
                let why = format!("{committed:?} held up at {at}, and a removal by {by:?} over {before:?}");
                if !met {
                    assert!(is_stored(&committed) && at > 1, "{why}");
                    break;
                }
                absent(&pair, key, &why).await;
            }
        }
    }
}

#[tokio::test]
async fn a_commit_while_a_removal_is_held_up() {
    for by in [By::Key, By::Tag, By::Clear] {
        for before in [Before::Nothing, Before::Body, Before::Head] {
            for at in 0.. {
                let (pair, key) = (Pair::new().await, key(1));
                let (ticket, change) = under_way(&pair.one, key, before).await;
                let storage = pair.two.clone();
                let removal = async move { remove(&storage, key, by).await.unwrap() };
                let commit = async {
                    pair.one.commit(&ticket, tagged(key, "new"), change, start()).await.unwrap();
                };
                let (_, met) = pair.meet(at, removal, commit).await;
                if !met {
                    assert!(at > 1);
                    break;
                }
                absent(&pair, key, &format!("a removal by {by:?} held up at {at} over {before:?}")).await;
            }
        }
    }
}

/// A lookup and a commit while a purge is held up: it may come before or after, but what is stored can be purged.
#[tokio::test]
async fn a_write_while_a_purge_is_held_up() {
    for (before, tag) in [(Before::Nothing, 0), (Before::Body, 0), (Before::Body, 1), (Before::Nothing, 1)] {
        for at in 0.. {
            let (pair, key) = (Pair::new().await, key(1));
            under_way(&pair.one, key, before).await;
            let storage = pair.two.clone();
            let removal = async move { remove(&storage, key, By::Tag).await.unwrap() };
            let write = async {
                for _ in 0..3 {
                    put(&pair.one, key, vec![4], &tags(), start()).await.unwrap();
                }
            };
            let (_, met) = pair.meet(at, removal, write).await;
            let why = format!("written while a purge was held up at {at}, over {before:?}");
            is_purgeable(&pair, key, tag, &why).await;
            if !met {
                break;
            }
        }
    }
}

/// The same with a write that is held up, from its lookup on, while a purge runs.
#[tokio::test]
async fn a_purge_while_a_write_is_held_up() {
    for (before, tag) in [(Before::Nothing, 0), (Before::Body, 0), (Before::Body, 1), (Before::Nothing, 1)] {
        for marked in [false, true] {
            for at in 0.. {
                let (pair, key) = (Pair::new().await, key(1));
                under_way(&pair.one, key, before).await;
                if marked {
                    // The writer knows of the mark, while the purge that left it goes on in another process.
                    put(&pair.one, key, vec![5], &tags(), start()).await.unwrap();
                }
                let storage = pair.one.clone();
                let write = async move { put(&storage, key, vec![4], &tags(), start()).await.unwrap() };
                let purge = async {
                    let _: u64 = remove(&pair.two, key, By::Tag).await.unwrap();
                };
                let (written, met) = pair.meet(at, write, purge).await;
                let why = format!("{written:?} held up at {at}, over {before:?}");
                is_purgeable(&pair, key, tag, &why).await;
                if !met {
                    break;
                }
            }
        }
    }
}

/// A sweep that deletes the resource, and a write: the write is whole, or refused, and comes through at last.
#[tokio::test]
async fn a_write_while_a_sweep_is_held_up() {
    let later = start() + Duration::from_secs(3 * 3600);
    for at in 0.. {
        let (pair, key) = (Pair::new().await, key(1));
        under_way(&pair.one, key, Before::Body).await;
        let storage = pair.two.clone();
        let sweep = async move { storage.abilities().listing.unwrap().sweep(later).await.unwrap() };
        let found = pair.one.lookup(&key, later).await.unwrap();
        let write = async {
            let new = entry(key, "new", later).with_tags(tags());
            let change = Change::Put(inline(vec![6]).unwrap());
            pair.one.commit(found.ticket(), new, change, later).await.unwrap();
        };
        let (_, met) = pair.meet(at, sweep, write).await;
        let mut written = Committed::Refused(cache_api::Refusal::Removed);
        for _ in 0..3 {
            if !is_stored(&written) {
                written = put(&pair.one, key, vec![7], &tags(), later).await.unwrap();
            }
        }
        assert!(is_stored(&written), "held up at {at}: {written:?}");
        assert_eq!(pair.two.lookup(&key, later).await.unwrap().variants().len(), 1);
        if !met {
            assert!(at > 20);
            break;
        }
    }
}
