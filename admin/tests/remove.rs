//! What goes, and what stays.

use std::sync::Arc;

use crate::support::{Draft, Shelf, TestClock, memory, on_each};
use bytes::Bytes;
use cache_admin::{EntryFilter, Run, State, Target};
use cache_api::{CacheKey, TagDigest, Totals};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use futures_util::{FutureExt, TryStreamExt};
use url::Url;

const A: &str = "https://a.example.com/x";
const B: &str = "https://b.example.com/y";
const C: &str = "https://c.example.com/z";

fn all() -> EntryFilter {
    EntryFilter::all()
}

/// A is fresh, B stale, C expired, and there is one that is invalid.
async fn four(shelf: &Shelf) -> [CacheKey; 4] {
    let a = shelf.put(&Draft::new(A).control("max-age=600").tags(&["x"])).await;
    let b = shelf.put(&Draft::new(B).control("max-age=1, stale-if-error=600").tags(&["x", "y"])).await;
    let c = shelf.put(&Draft::new(C).control("max-age=1").len(300_000)).await;
    let d = CacheKey::from_bytes([7; 32]);
    shelf.put_garbage(d, &Draft::new(C), Bytes::from_static(b"{\"user\":4711}")).await;
    shelf.clock.forward(10);
    [a, b, c, d]
}

#[tokio::test]
async fn one_resource() {
    on_each(|shelf| async move {
        let [_, b, _, _] = four(&shelf).await;
        let a = Url::parse(A).unwrap();
        assert_eq!(shelf.admin.remove(&Target::get(&a)).await.unwrap(), 1);
        assert_eq!(shelf.admin.remove(&Target::get(&a)).await.unwrap(), 0);
        assert_eq!(shelf.admin.remove_key(&b).await.unwrap(), 1);
        assert_eq!(shelf.urls(&all()).await, ["?", C]);
    })
    .await;
}

#[tokio::test]
async fn by_tag_and_all() {
    on_each(|shelf| async move {
        four(&shelf).await;
        assert_eq!(shelf.admin.remove_tagged(&[]).await.unwrap(), 0);
        assert_eq!(shelf.admin.remove_tagged(&[TagDigest::of("y")]).await.unwrap(), 1);
        assert_eq!(shelf.urls(&all()).await, ["?", A, C]);
        assert_eq!(shelf.admin.clear().await.unwrap(), 3);
        assert_eq!(shelf.admin.count(&all()).await.unwrap(), Totals::default());
    })
    .await;
}

#[tokio::test]
async fn by_filter_after_a_trial() {
    on_each(|shelf| async move {
        four(&shelf).await;
        let filter = all().pattern("{b,c}.example.com".parse().unwrap());
        let would = shelf.admin.remove_matching(&filter, Run::new().dry_run(true)).await.unwrap();
        assert_eq!((would.seen, would.done, would.bytes), (4, 2, 300_010));
        assert_eq!(shelf.urls(&all()).await, ["?", A, B, C]);
        let mut told = Vec::new();
        let run = Run::new().with_total(true).on_progress(|so_far| told.push(*so_far));
        let went = shelf.admin.remove_matching(&filter, run).await.unwrap();
        assert_eq!((went.done, went.bytes, went.total), (2, 300_010, Some(4)));
        assert_eq!((told.last(), told.first().unwrap().seen), (Some(&went), 1));
        assert!(told.is_sorted_by_key(|so_far| (so_far.seen, so_far.done, so_far.bytes)));
        assert_eq!(shelf.urls(&all()).await, ["?", A]);
    })
    .await;
}

#[tokio::test]
async fn what_is_expired_or_dead_and_nothing_else() {
    on_each(|shelf| async move {
        shelf.put(&Draft { life: 5, ..Draft::new("https://dead.test/") }).await;
        four(&shelf).await;
        let would = shelf.admin.purge_expired(Run::new().dry_run(true)).await.unwrap();
        assert_eq!((would.done, would.swept), (1, 0));
        let went = shelf.admin.purge_expired(Run::new()).await.unwrap();
        assert_eq!((went.done, went.swept), (1, 1));
        assert_eq!(shelf.urls(&all()).await, ["?", A, B]);
    })
    .await;
}

#[tokio::test]
async fn what_is_invalid_is_counted_and_removed() {
    on_each(|shelf| async move {
        four(&shelf).await;
        let summary = shelf.admin.summary(&all(), Run::new()).await.unwrap();
        assert_eq!(summary.invalid, Totals::new(1, 10));
        let entry =
            shelf.admin.entries(&all().state(State::Invalid)).unwrap().try_next().await.unwrap().unwrap();
        assert!(entry.damage().unwrap().is_corrupt());
        assert!(entry.head().is_none() && entry.url().is_none() && entry.expires().is_none());
        assert_eq!(shelf.admin.remove_invalid(Run::new()).await.unwrap().done, 1);
        assert_eq!(shelf.urls(&all()).await, [A, B, C]);
    })
    .await;
}

#[tokio::test]
async fn what_was_stored_meanwhile_stays() {
    let shelf = Shelf::new(memory("default"), &TestClock::new());
    shelf.put(&Draft::new(A)).await;
    // Between the look and the removal; memory answers at once.
    let run = Run::new().on_progress(|so_far| {
        if (so_far.seen, so_far.passed_over) == (1, 0) {
            let _ = shelf.put(&Draft::new(A).len(99)).now_or_never().unwrap();
        }
    });
    let went = shelf.admin.remove_matching(&all(), run).await.unwrap();
    assert_eq!((went.done, went.passed_over, went.bytes), (0, 1, 0));
    assert_eq!(shelf.admin.count(&all()).await.unwrap(), Totals::new(1, 99));
}

#[tokio::test]
async fn a_removal_that_failed_is_called_again() {
    let faulty = FaultyStorage::new(memory("default"));
    let shelf = Shelf::new(Arc::new(faulty.clone()), &TestClock::new());
    shelf.put(&Draft::new(A)).await;
    shelf.put(&Draft::new(B)).await;
    faulty.inject(Rule::on(Operation::Remove, Fault::LostAnswer(cache_api::ErrorKind::Timeout)).once());
    assert!(shelf.admin.remove_matching(&all(), Run::new()).await.unwrap_err().is_transient());
    shelf.admin.remove_matching(&all(), Run::new()).await.unwrap();
    assert_eq!(shelf.admin.count(&all()).await.unwrap(), Totals::default());
}
