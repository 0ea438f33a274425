//! Tags: where an entry gets them from, and what a purge by them removes.

use std::sync::Arc;

use crate::support::{Bench, CountsTouches, Got, Origin, Reply, get, memory, settle};
use bytes::Bytes;
use cache_api::ErrorKind;
use cache_engine::{Request, Source};
use http::{HeaderName, Method};
use tokio::sync::Semaphore;
use url::Url;

fn request(path: &str, tags: &[&str]) -> Request<Bytes> {
    let url = Url::parse(&format!("http://origin.test/{path}")).unwrap();
    let mut request = Request::new(Method::GET, url);
    request.tags = tags.iter().map(|tag| (*tag).into()).collect();
    request
}

/// An origin that tags its answers by their path: `/a+b` has the tags `a` and `b`.
fn tagging() -> Origin {
    Origin::new(|nth, request| async move {
        let tags = request.url.path().trim_start_matches('/').replace('+', ", ");
        let fields = [("cache-control", "max-age=60"), ("cache-tag", &*tags)];
        Ok(Reply::new(200, &fields, nth.to_string()))
    })
}

async fn sources(bench: &Bench, paths: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in paths {
        sources.push(bench.send(request(path, &[])).await.info.source);
    }
    sources
}

#[tokio::test]
async fn a_purge_removes_what_has_any_of_the_tags() {
    use Source::{Origin, Store};
    let bench = Bench::new(tagging());
    let paths = ["a", "a+b", "b+c", "c"];
    for path in paths {
        bench.send(request(path, &["all", path])).await;
    }
    for (tags, removed, left) in [
        (&[][..], 0, [Store, Store, Store, Store]),
        (&["A", "a,b", "x"], 0, [Store, Store, Store, Store]),
        (&["a"], 2, [Origin, Origin, Store, Store]),
        (&["b", "c", "c"], 3, [Store, Origin, Origin, Origin]),
        (&["a+b"], 0, [Store, Store, Store, Store]),
    ] {
        assert_eq!(bench.engine.purge_tags(tags).await.unwrap(), removed, "{tags:?}");
        assert_eq!(sources(&bench, &paths).await, left, "{tags:?}");
    }
}

#[tokio::test]
async fn the_tags_of_a_request_are_the_answers_too() {
    let bench = Bench::new(Origin::always(200, &[("cache-control", "max-age=60")], "x"));
    bench.send(request("a", &["mine", "with a space"])).await;
    bench.send(request("b", &[])).await;
    assert_eq!(bench.engine.purge_tags(["with a space"]).await.unwrap(), 1);
    assert_eq!(sources(&bench, &["a", "b"]).await, [Source::Origin, Source::Store]);
}

#[tokio::test]
async fn a_304_adds_tags_and_takes_none_away() {
    for tag in ["round-0", "asked", "round-1", "asked later"] {
        let origin = Origin::new(|nth, _| async move {
            let tag = format!("round-{nth}");
            let fields = [("cache-control", "max-age=10"), ("etag", "\"a\""), ("surrogate-key", &*tag)];
            Ok(if nth == 0 { Reply::new(200, &fields, "x") } else { Reply::new(304, &fields, "") })
        });
        let bench = Bench::new(origin);
        bench.send(request("a", &["asked"])).await;
        bench.clock.forward(11);
        assert_eq!(bench.send(request("a", &["asked later"])).await.info.source, Source::Revalidated);
        assert_eq!(bench.engine.purge_tags([tag]).await.unwrap(), 1, "{tag}");
    }
}

#[tokio::test]
async fn more_tags_than_an_entry_may_have_are_not_stored() {
    let bench = Bench::with(tagging(), memory(), |builder| builder.max_tags(2));
    for (path, stored) in [("a+b", Source::Store), ("a+b+c", Source::Origin), ("b+b+b+b", Source::Store)] {
        bench.send(request(path, &[])).await;
        assert_eq!(sources(&bench, &[path]).await, [stored], "{path}");
    }
}

#[tokio::test]
async fn the_fields_are_a_choice() {
    let fields = [("cache-control", "max-age=60"), ("x-magento-tags", "cat_1,cat_2"), ("cache-tag", "a")];
    let origin = Origin::new(move |_, _| async move { Ok(Reply::new(200, &fields, "x")) });
    let magento = HeaderName::from_static("x-magento-tags");
    let bench = Bench::with(origin, memory(), |builder| builder.tag_fields([magento]));
    bench.get().await;
    assert_eq!(bench.engine.purge_tags(["a"]).await.unwrap(), 0);
    assert_eq!(bench.engine.purge_tags(["cat_2"]).await.unwrap(), 1);
}

/// What was asked for before a purge is not stored after it.
#[tokio::test]
async fn a_purge_wins_over_a_fetch_under_way() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let bench = Bench::new(Origin::new(move |_, _| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Reply::new(200, &[("cache-control", "max-age=60"), ("cache-tag", "a")], "x"))
        }
    }));
    let engine = bench.engine.clone();
    let fetch = tokio::spawn(async move { Got::of(engine.handle(get()).await.unwrap()).await });
    settle().await;
    assert_eq!(bench.engine.purge_tags(["a"]).await.unwrap(), 0);
    gate.add_permits(2);
    assert_eq!(fetch.await.unwrap().unwrap().text(), "x");
    settle().await;
    assert_eq!(bench.get().await.info.source, Source::Origin);
}

#[tokio::test]
async fn a_storage_without_tags_says_so() {
    let bench = Bench::with(tagging(), Arc::new(CountsTouches::new(memory())), |builder| builder);
    let error = bench.engine.purge_tags(["a"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("has no tags"), "{error}");
    let past = cache_engine::EngineBuilder::new().build(tagging());
    assert_eq!(past.purge_tags(["a"]).await.unwrap(), 0);
}
