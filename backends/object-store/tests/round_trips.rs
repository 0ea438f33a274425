//! Which requests each operation makes, what is registered where, and what a sweep leaves.

use std::{sync::Arc, time::Duration};

use crate::wrapped::{Fault, Wrapped};
use cache_api::{Acquired, Change, Committed, FRAME_SIZE, Filter, Outcome, Refusal, Storage as _, TagDigest};
use cache_backend_object_store::{
    ObjectStoreStorage,
    object_store::{ObjectStore, ObjectStoreExt as _, path::Path},
};
use cache_conformance::sample::{entry, inline, is_stored, key, put, put_stored, start, stored};
use futures_util::TryStreamExt as _;

async fn open(store: &Arc<Wrapped>) -> ObjectStoreStorage {
    let storage = ObjectStoreStorage::builder().store(Arc::clone(store) as _).build().await.unwrap();
    store.requests();
    storage
}

async fn names(store: &Arc<Wrapped>, kind: &str) -> Vec<Path> {
    let prefix = Path::from(format!("http-cache-1/default/{kind}"));
    let names = store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await.unwrap();
    store.requests();
    names
}

#[tokio::test]
async fn requests() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let now = start();
    let asked = |expected: &[&str], what: &str| {
        let mut requests = store.requests();
        requests.sort();
        assert_eq!(requests, expected, "{what}");
    };
    let key = key(1);
    let found = storage.lookup(&key, now).await.unwrap();
    asked(&["GET r"], "a lookup of nothing");

    let tagged = entry(key, "head", now).with_tags([TagDigest::of("a")]);
    let body = Change::Put(inline(vec![1; 50_000]).unwrap());
    storage.commit(found.ticket(), tagged.clone(), body, now).await.unwrap();
    asked(&["GET s", "LIST d", "PUT r", "PUT r", "PUT t"], "the first store, with a tag");

    let found = storage.lookup(&key, now).await.unwrap();
    asked(&["GET r"], "a lookup with an inline body");
    let version = found.variants()[0].version;
    let kept = storage.commit(found.ticket(), tagged.clone(), Change::Keep(version), now).await.unwrap();
    assert!(is_stored(&kept));
    asked(&["PUT r"], "replacing a head");

    let found = storage.lookup(&key, now).await.unwrap();
    store.requests();
    let body = Change::Put(inline(vec![2; 50_000]).unwrap());
    assert!(is_stored(&storage.commit(found.ticket(), tagged.clone(), body, now).await.unwrap()));
    asked(&["PUT r"], "storing again");

    let found = storage.lookup(&key, now).await.unwrap();
    store.requests();
    let body = stored(&storage, found.ticket(), 7, 4 * FRAME_SIZE, now).await.unwrap();
    asked(&["PUT b"; 4], "writing four frames");
    let id = body.id;
    let change = Change::Put(cache_api::Body::Stored(body));
    assert!(is_stored(&storage.commit(found.ticket(), tagged.clone(), change, now).await.unwrap()));
    asked(&["PUT r"], "storing their body");
    assert_eq!(storage.read(&key, id, 1..4).await.unwrap().len(), 3);
    asked(&["GET b"; 3], "reading three frames");

    // Another process does not know what this one read.
    let other = open(&store).await;
    let found = other.lookup(&key, now).await.unwrap();
    let ticket = found.ticket().clone();
    let version = found.variants()[0].version;
    let fourth = open(&store).await;
    let kept = fourth.commit(&ticket, tagged.clone(), Change::Keep(version), now).await.unwrap();
    assert!(is_stored(&kept));
    asked(&["GET r", "PUT r"], "replacing a head of which nothing is remembered");

    assert_eq!(storage.remove(&key, None, now).await.unwrap(), 1);
    asked(&["GET r", "PUT r"], "a removal");

    let leases = storage.abilities().leases.unwrap();
    let acquired = leases.acquire(&key, Duration::from_secs(30), now).await.unwrap();
    let Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
    asked(&["PUT l"], "taking a lease");
    leases.acquire(&key, Duration::from_secs(30), now).await.unwrap();
    asked(&["GET l", "PUT l"], "asking for one that is held");
    leases.release(&lease, Outcome::Done, now).await.unwrap();
    asked(&["GET l", "PUT l"], "giving it back");
    leases.acquire(&key, Duration::from_secs(30), now).await.unwrap();
    asked(&["GET l", "PUT l", "PUT l"], "taking one over");
}

#[tokio::test]
async fn an_entry_over_the_limit_is_refused() {
    let store = Wrapped::new(Fault::None);
    let limited = ObjectStoreStorage::builder().store(Arc::clone(&store) as _).max_entry_size(2000_u64);
    let storage = limited.build().await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1; 1000], &[], now).await.unwrap()));
    let refused = put(&storage, key(2), vec![1; 2001], &[], now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    let error = put_stored(&storage, key(3), 1, 2001, now).await.unwrap_err();
    assert_eq!(error.kind(), cache_api::ErrorKind::Full);
}

/// A client repeats a put whose answer was lost, and is told that the condition does not hold.
#[tokio::test]
async fn a_put_that_won_and_was_sent_again() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let now = start();
    let tags = [TagDigest::of("a")];
    for number in 0..3 {
        store.set(Fault::WonAndRetried);
        assert!(is_stored(&put(&storage, key(1), vec![number], &tags, now).await.unwrap()));
    }
    let found = storage.lookup(&key(1), now).await.unwrap();
    let version = found.variants()[0].version;
    store.set(Fault::WonAndRetried);
    let kept = storage.commit(found.ticket(), entry(key(1), "new", now), Change::Keep(version), now).await;
    let Committed::Stored { version, .. } = kept.unwrap() else { panic!() };
    assert_eq!(version.head, 1);
    store.set(Fault::WonAndRetried);
    assert_eq!(storage.abilities().tags.unwrap().purge(&tags, now).await.unwrap(), 0);
    store.set(Fault::WonAndRetried);
    assert_eq!(storage.remove(&key(1), None, now).await.unwrap(), 1);
    store.set(Fault::WonAndRetried);
    let acquired = storage.abilities().leases.unwrap().acquire(&key(1), Duration::from_secs(30), now).await;
    assert!(matches!(acquired.unwrap(), Acquired::Held(_)));
}

/// What all operations leave behind is gone after a sweep when all of it is past.
#[tokio::test]
async fn a_sweep_leaves_nothing_that_is_past() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let now = start();
    let tags = [TagDigest::of("a"), TagDigest::of("b")];
    for number in 0..40 {
        assert!(is_stored(&put(&storage, key(number), vec![0; 10], &tags, now).await.unwrap()));
        put_stored(&storage, key(100 + number), 1, 300_000, now).await.unwrap();
        let found = storage.lookup(&key(100 + number), now).await.unwrap();
        stored(&storage, found.ticket(), 2, 10, now).await.unwrap();
        put_stored(&storage, key(100 + number), 3, 10, now).await.unwrap();
    }
    storage.remove(&key(1), None, now).await.unwrap();
    storage.remove(&key(999), None, now).await.unwrap();
    let abilities = storage.abilities();
    abilities.leases.unwrap().acquire(&key(1), Duration::from_secs(30), now).await.unwrap();
    abilities.tags.unwrap().purge(&tags[..1], now).await.unwrap();
    let listing = abilities.listing.unwrap();
    assert_eq!(listing.count(&Filter::all(), now).await.unwrap().entries, 40);
    let later = now + Duration::from_secs(3 * 3600);
    let swept = listing.sweep(later).await.unwrap();
    assert_eq!((swept.entries, swept.bodies), (40, 120));
    for kind in ["r", "b", "t", "l", "p"] {
        assert_eq!(names(&store, kind).await, [], "{kind}");
    }
    assert_eq!(names(&store, "d").await.len(), 81);
    listing.sweep(later + Duration::from_secs(3600)).await.unwrap();
    let left = names(&store, "").await;
    assert_eq!(left, [Path::from("http-cache-1/default/s")], "the marks stay");
}

/// Registrations of a tag that stays do not grow without end, and those of a tag that went go.
#[tokio::test]
async fn registrations_are_bounded() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let listing = storage.abilities().listing.unwrap();
    let mut now = start();
    for round in 0..5 {
        let tags = [TagDigest::of("stays"), TagDigest::of(&format!("goes {round}"))];
        assert!(is_stored(&put(&storage, key(1), vec![0; 10], &tags, now).await.unwrap()));
        now += Duration::from_secs(2 * 3600);
    }
    assert_eq!(names(&store, "t").await.len(), 10);
    let tags = [TagDigest::of("stays")];
    assert!(is_stored(&put(&storage, key(1), vec![0; 10], &tags, now).await.unwrap()));
    now += Duration::from_secs(3500);
    listing.sweep(now).await.unwrap();
    assert_eq!(names(&store, "t").await.len(), 1);
    assert_eq!(storage.abilities().tags.unwrap().purge(&tags, now).await.unwrap(), 1);
}

/// A deletion that a client sends again, and that hits what came after: a removal is not undone by it.
#[tokio::test]
async fn a_late_deletion_undoes_no_removal() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let now = start();
    put(&storage, key(1), vec![0; 10], &[], now).await.unwrap();
    let resource = names(&store, "r").await.remove(0);
    let later = now + Duration::from_secs(3 * 3600);
    storage.abilities().listing.unwrap().sweep(later).await.unwrap();
    assert_eq!(names(&store, "r").await, []);

    let found = storage.lookup(&key(1), later).await.unwrap();
    storage.remove(&key(1), None, later).await.unwrap();
    store.delete(&resource).await.unwrap();
    for _ in 0..2 {
        let late = entry(key(1), "late", later);
        let change = Change::Put(inline(vec![1]).unwrap());
        let committed = storage.commit(found.ticket(), late, change, later).await.unwrap();
        assert_eq!(committed, Committed::Refused(Refusal::Removed));
    }
    // Who looks up now gets a generation, and may store.
    assert!(is_stored(&put(&storage, key(1), vec![0; 10], &[], later).await.unwrap()));
}

/// What is lost, or garbage, might have held a removal: who began before is refused.
#[tokio::test]
async fn garbage_and_lost_marks_refuse_once() {
    let store = Wrapped::new(Fault::None);
    let storage = open(&store).await;
    let now = start();
    let tags = [TagDigest::of("a")];
    put(&storage, key(1), vec![0; 10], &tags, now).await.unwrap();
    storage.abilities().tags.unwrap().purge(&tags, now).await.unwrap();
    let marks = Path::from("http-cache-1/default/s");
    let refused = Committed::Refused(Refusal::Removed);
    for (number, garbage) in [(2, Some("another program's")), (3, None)] {
        match garbage {
            Some(text) => drop(store.put(&marks, text.into()).await.unwrap()),
            None => store.delete(&marks).await.unwrap(),
        }
        let found = storage.lookup(&key(number), now).await.unwrap();
        let change = || Change::Put(inline(vec![1]).unwrap());
        let committed = storage.commit(found.ticket(), entry(key(number), "head", now), change(), now).await;
        assert_eq!(committed.unwrap(), refused);
        assert!(is_stored(&put(&storage, key(number), vec![0; 10], &[], now).await.unwrap()));
        storage.remove(&key(number), None, now).await.unwrap();
    }
    for resource in names(&store, "r").await {
        store.put(&resource, "another program's".into()).await.unwrap();
    }
    for number in [1, 2] {
        let found = storage.lookup(&key(number), now).await.unwrap();
        assert!(found.variants().is_empty());
        let committed = put(&storage, key(number), vec![0; 10], &tags, now).await.unwrap();
        assert_eq!(committed, refused);
        assert!(is_stored(&put(&storage, key(number), vec![0; 10], &tags, now).await.unwrap()));
    }
}
