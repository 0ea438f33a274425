//! Bodies, and whether all can be read.

use std::sync::Arc;

use crate::support::{Draft, Shelf, TestClock, memory, on_each, pattern};
use bytes::Bytes;
use cache_admin::{EntryFilter, EntryInfo, Progress, Run};
use cache_api::{CacheKey, Error, ErrorKind};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use futures_util::TryStreamExt;

const SMALL: &str = "https://a.example.com/small";
const LARGE: &str = "https://b.example.com/large";
const LENGTH: usize = 600_000;

fn all() -> EntryFilter {
    EntryFilter::all()
}

async fn entry(shelf: &Shelf, url: &str) -> EntryInfo {
    let entries: Vec<_> =
        shelf.admin.entries(&all().url(&url.parse().unwrap())).unwrap().try_collect().await.unwrap();
    entries[0].clone()
}

/// What came of it, and the URLs of what is damaged.
async fn verified(shelf: &Shelf) -> (Progress, Vec<String>) {
    let mut damaged = Vec::new();
    let told = |entry: &EntryInfo, _: &Error| damaged.push(entry.url().unwrap_or("?").to_owned());
    let progress = shelf.admin.verify(&all(), Run::new(), told).await.unwrap();
    (progress, damaged)
}

#[tokio::test]
async fn a_body_comes_in_pieces() {
    on_each(|shelf| async move {
        shelf.put(&Draft::new(SMALL)).await;
        shelf.put(&Draft::new(LARGE).len(LENGTH)).await;
        for (url, length, pieces) in [(SMALL, 10, 1), (LARGE, LENGTH, 3)] {
            let entry = entry(&shelf, url).await;
            let body = shelf.admin.body(&entry).await.unwrap().unwrap();
            let body: Vec<Bytes> = body.try_collect().await.unwrap();
            assert_eq!((body.len(), body.concat()), (pieces, pattern(length).to_vec()));
        }
        let seen = entry(&shelf, SMALL).await;
        shelf.put(&Draft::new(SMALL)).await;
        assert!(shelf.admin.body(&seen).await.unwrap().is_none(), "another version");
    })
    .await;
}

#[tokio::test]
async fn what_is_sound_is_found_sound() {
    on_each(|shelf| async move {
        shelf.put(&Draft::new(SMALL)).await;
        shelf.put(&Draft::new(LARGE).len(LENGTH)).await;
        let (progress, damaged) = verified(&shelf).await;
        assert_eq!((progress.seen, progress.done, progress.invalid), (2, 2, 0));
        assert_eq!(progress.bytes, LENGTH as u64 + 10);
        assert!(damaged.is_empty());
    })
    .await;
}

#[tokio::test]
async fn each_damage_is_told() {
    for (operation, fault, urls) in [
        (Operation::Read, Fault::CutBody, vec![LARGE]),
        (Operation::Read, Fault::Short, vec![LARGE]),
        (Operation::Read, Fault::Error(ErrorKind::Gone), vec![LARGE]),
        (Operation::Lookup, Fault::CutBody, vec![SMALL]),
        (Operation::List, Fault::CutHead, vec!["?", "?", "?"]),
    ] {
        let faulty = FaultyStorage::new(memory("default"));
        let shelf = Shelf::new(Arc::new(faulty.clone()), &TestClock::new());
        shelf.put(&Draft::new(SMALL)).await;
        shelf.put(&Draft::new(LARGE).len(LENGTH)).await;
        let garbage = Bytes::from_static(b"no head");
        shelf.put_garbage(CacheKey::from_bytes([7; 32]), &Draft::new(SMALL), garbage).await;
        let before = verified(&shelf).await.1;
        assert_eq!(before, ["?"], "a head that is none");
        faulty.inject(Rule::on(operation, fault));
        let (progress, mut damaged) = verified(&shelf).await;
        damaged.sort();
        let mut expected = urls;
        if operation != Operation::List {
            expected.insert(0, "?");
        }
        assert_eq!(damaged, expected, "{fault:?}");
        assert_eq!(progress.invalid, damaged.len() as u64);
        assert_eq!(progress.done + progress.invalid, 3);
    }
}

#[tokio::test]
async fn what_goes_meanwhile_is_no_damage_and_a_store_that_fails_is_told_as_that() {
    let faulty = FaultyStorage::new(memory("default"));
    let shelf = Shelf::new(Arc::new(faulty.clone()), &TestClock::new());
    shelf.put(&Draft::new(LARGE).len(LENGTH)).await;
    let entry = entry(&shelf, LARGE).await;
    shelf.admin.remove_key(&entry.key).await.unwrap();
    assert!(shelf.admin.body(&entry).await.unwrap().is_none());

    shelf.put(&Draft::new(LARGE).len(LENGTH)).await;
    faulty.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Unavailable)).once());
    let failed = shelf.admin.verify(&all(), Run::new(), |_, _| {}).await.unwrap_err();
    assert!(failed.is_transient());
    assert_eq!(verified(&shelf).await.0.done, 1);
}
