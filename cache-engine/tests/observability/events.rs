//! Events that no count comes with.

use std::{sync::Arc, time::Duration};

use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::stats::NotStored;

use crate::{
    FRESH,
    recording::seen,
    support::{Bench, Got, Origin, Reply, get, memory},
};

/// A validation adds a tag too many.
pub(crate) async fn tagged() -> Bench {
    let origin = Origin::new(|nth, _| async move {
        let fields =
            [("cache-control", "max-age=1"), ("etag", "\"a\""), ("cache-tag", ["a", "b"][nth.min(1)])];
        Ok(Reply::new(if nth == 0 { 200 } else { 304 }, &fields, ["x", ""][nth.min(1)]))
    });
    let bench = Bench::with(origin, memory(), |builder| builder.max_tags(1));
    bench.get().await;
    bench.clock.forward(10);
    bench.get().await;
    bench
}

#[test]
fn a_validation_that_adds_too_many_tags() {
    let (bench, seen) = seen(tagged());
    assert_eq!(bench.engine.stats().not_stored.get(NotStored::Tags), 1);
    assert_eq!(seen.said("not kept: more tags than an entry may have"), 1);
}

/// The engine closes while a commit hangs.
pub(crate) async fn closing() -> Bench {
    let storage = FaultyStorage::new(memory());
    storage.inject(Rule::on(Operation::Commit, Fault::Hang));
    let bench = Bench::with(Origin::always(200, FRESH, "x"), Arc::new(storage), |builder| {
        builder.close_timeout(Duration::ZERO)
    });
    let answered = bench.engine.handle(get()).await.unwrap();
    let reading = tokio::spawn(Got::of(answered));
    bench.engine.close().await.unwrap();
    assert!(reading.await.unwrap().is_ok());
    bench
}

#[test]
fn closing_before_all_is_stored() {
    let (_, seen) = seen(closing());
    assert_eq!(seen.said("the cache closes before all is stored"), 1);
}
