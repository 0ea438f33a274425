//! What a filter rejects is neither stored nor used, by whatever way it could be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{self, Bench, Got, Origin, OriginError, Reply, get, memory, settle, with_field};
use cache_api::{Error, ErrorKind};
use cache_conformance::fault::{FaultyStorage, Operation};
use cache_engine::{
    Answer, Engine, Exchange, Filter, Source, Step, filter_fn,
    policy::{Decision, Forward, Options, Reason},
};
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::Semaphore;

/// A filter that takes its time, and rejects at that step what it is told to.
fn rejecting(
    step: Step,
    rejects: impl Fn(&Exchange<'_>) -> bool + Clone + Send + Sync + 'static,
) -> Arc<dyn Filter> {
    Arc::new(filter_fn(move |exchange: &Exchange<'_>| {
        let allowed = exchange.step != step || !rejects(exchange);
        async move {
            tokio::task::yield_now().await;
            Ok(allowed)
        }
    }))
}

fn has(exchange: &Exchange<'_>, name: &str) -> bool {
    exchange.response.headers.contains_key(name)
}

fn set(engine: &Engine<Origin>, filter: Option<Arc<dyn Filter>>) {
    engine.reconfigure(|settings| settings.filter = filter).unwrap();
}

/// 200 with a body that names the request, fresh for a minute.
fn counting(fields: &'static [(&str, &str)]) -> Origin {
    Origin::new(move |nth, _| async move { Ok(Reply::new(200, fields, format!("body {nth}"))) })
}

fn cache_status(got: &Got) -> String {
    let mut headers = HeaderMap::new();
    got.info.append_cache_status("c", &mut headers);
    headers["cache-status"].to_str().unwrap().to_owned()
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAGGED: (&str, &str) = ("etag", "\"a\"");

#[tokio::test]
async fn what_is_rejected_on_write_is_not_stored_and_says_so() {
    let filter = rejecting(Step::Write, |exchange| has(exchange, "x-draft"));
    let origin = Origin::new(|nth, _| async move {
        let fields: &[_] = if nth == 1 { &[FRESH] } else { &[FRESH, ("x-draft", "1")] };
        Ok(Reply::new(200, fields, format!("body {nth}")))
    });
    let bench = Bench::with(origin, memory(), |builder| builder.filter(filter).hit_for_miss(Duration::ZERO));
    let first = bench.get().await;
    assert_eq!((first.text(), first.info.stored), ("body 0", false));
    assert_eq!(first.info.reasons.first(), Reason::RejectedOnWrite);
    assert!(first.info.explain().to_string().ends_with("the filter keeps the response out of the store"));
    assert_eq!(cache_status(&first), "c; fwd=uri-miss; detail=filtered");
    assert!(bench.get().await.info.stored);
    assert_eq!(bench.get().await.info.source, Source::Store);
    // What takes its place is rejected: what is outdated goes all the same.
    bench.clock.forward(61);
    assert_eq!(bench.get().await.text(), "body 2");
    assert_eq!(bench.engine.explain(&get()).await.unwrap().stored, 0);
}

#[tokio::test]
async fn what_is_rejected_on_read_is_removed_and_fetched_anew() {
    let storage = FaultyStorage::new(memory());
    let bench = Bench::with(counting(&[FRESH, TAGGED]), Arc::new(storage.clone()), |builder| builder);
    bench.get().await;
    set(&bench.engine, Some(rejecting(Step::Read, |_| true)));

    let told = bench.engine.explain(&get()).await.unwrap();
    assert!(matches!(told.decision, Decision::Fetch(_)), "{told:?}");
    assert_eq!(told.reasons.first(), Reason::RejectedOnRead);
    assert!(told.to_string().contains("\nthe filter rejects what is stored\n"), "{told}");
    assert_eq!(storage.calls(Operation::Remove), 0, "it only tells");

    let anew = bench.get().await;
    assert_eq!((anew.text(), anew.info.source), ("body 1", Source::Origin));
    assert_eq!(anew.info.asked.unwrap().first(), Reason::RejectedOnRead);
    assert_eq!(anew.info.forward, Some(Forward::Miss));
    assert!(anew.info.stored);
    assert_eq!(cache_status(&anew), "c; fwd=miss; ttl=60; stored; detail=filtered");
    assert!(!bench.origin.received(1).contains_key(header::IF_NONE_MATCH), "it is not validated");
    assert_eq!(storage.calls(Operation::Remove), 1);
    // What came instead is stored.
    set(&bench.engine, None);
    assert_eq!((bench.get().await.text(), bench.origin.requests()), ("body 1", 2));
}

#[tokio::test]
async fn only_that_version_goes() {
    let origin = Origin::new(|_, request| async move {
        let language = request.headers["accept-language"].to_str().unwrap().to_owned();
        Ok(Reply::new(
            200,
            &[FRESH, ("vary", "accept-language"), ("x-language", &language)],
            language.clone(),
        ))
    });
    let bench = Bench::new(origin);
    let ask = |language: &str| with_field(get(), "accept-language", language);
    for language in ["de", "fr"] {
        bench.send(ask(language)).await;
    }
    set(
        &bench.engine,
        Some(rejecting(Step::Read, |exchange| exchange.response.headers["x-language"] == "de")),
    );
    assert_eq!(bench.send(ask("fr")).await.info.source, Source::Store);
    assert_eq!(bench.send(ask("de")).await.info.source, Source::Origin);
    assert_eq!(bench.send(ask("fr")).await.info.source, Source::Store);
    assert_eq!(bench.origin.requests(), 3);
}

#[tokio::test]
async fn no_304_brings_it_back() {
    // The 304 marks what is stored as a draft.
    let origin = Origin::new(|nth, request| async move {
        Ok(match request.headers.contains_key(header::IF_NONE_MATCH) {
            true => Reply::streamed(304, &[FRESH, TAGGED, ("x-draft", "1")], futures_util::stream::empty()),
            false => Reply::new(200, &[FRESH, TAGGED], format!("body {nth}")),
        })
    });
    let bench = Bench::new(origin);
    bench.get().await;
    set(&bench.engine, Some(rejecting(Step::Read, |exchange| has(exchange, "x-draft"))));
    bench.clock.forward(61);
    let anew = bench.get().await;
    assert_eq!((anew.text(), anew.info.source), ("body 2", Source::Origin));
    assert_eq!(anew.info.asked.unwrap().first(), Reason::RejectedOnRead);
    assert!(!bench.origin.received(2).contains_key(header::IF_NONE_MATCH));
    assert_eq!(bench.get().await.text(), "body 2");
    // On write: what the 304 made of it is served this once.
    set(&bench.engine, Some(rejecting(Step::Write, |exchange| has(exchange, "x-draft"))));
    bench.clock.forward(61);
    let once = bench.get().await;
    assert_eq!((once.text(), once.info.source, once.info.stored), ("body 2", Source::Revalidated, false));
    assert!(once.info.reasons.contains(Reason::RejectedOnWrite));
    assert_eq!(bench.engine.explain(&get()).await.unwrap().stored, 0);
}

#[tokio::test]
async fn it_stands_in_for_no_failing_origin() {
    // After the first answer: broken, an error, or a 304 that makes a draft of it and then broken.
    for how in 0..3 {
        let origin = Origin::new(move |nth, request| async move {
            let fields = [("cache-control", "max-age=60, stale-if-error=600"), TAGGED, ("x-draft", "1")];
            match (nth, how) {
                (0, 2) => Ok(Reply::new(200, &fields[..2], "old")),
                (0, _) => Ok(Reply::new(200, &fields, "old")),
                (_, 1) => Ok(Reply::new(503, &[], "down")),
                (_, 2) if request.headers.contains_key(header::IF_NONE_MATCH) => {
                    Ok(Reply::streamed(304, &fields, futures_util::stream::empty()))
                }
                _ => Err(OriginError("down")),
            }
        });
        let bench = Bench::new(origin);
        bench.get().await;
        bench.clock.forward(61);
        set(&bench.engine, Some(rejecting(Step::Read, |exchange| has(exchange, "x-draft"))));
        match bench.engine.handle(get()).await {
            Err(_) => assert_ne!(how, 1),
            Ok(answered) => {
                let got = Got::of(answered).await.unwrap();
                assert_eq!((how, got.status, got.text()), (1, StatusCode::SERVICE_UNAVAILABLE, "down"));
            }
        }
        assert_eq!(bench.engine.explain(&get()).await.unwrap().stored, 0, "{how}");
    }
}

#[tokio::test]
async fn no_follower_gets_what_is_rejected_for_it() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Origin::new({
        let gate = Arc::clone(&gate);
        move |nth, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Reply::new(200, &[FRESH], format!("body {nth}")))
            }
        }
    });
    let picky = rejecting(Step::Read, |exchange| exchange.headers.contains_key("x-picky"));
    let bench = Bench::with(origin, memory(), |builder| builder.filter(picky));
    let requests = (0..4).map(|nth| if nth == 0 { get() } else { with_field(get(), "x-picky", "1") });
    let asking = join_all(requests.map(|request| bench.send(request)));
    let (answers, ()) = tokio::join!(asking, async {
        settle().await;
        assert_eq!(bench.origin.requests(), 1, "they wait for one");
        gate.add_permits(100);
    });
    assert_eq!(answers[0].text(), "body 0");
    for follower in &answers[1..] {
        assert_eq!(follower.info.source, Source::Origin);
        assert_ne!(follower.text(), "body 0");
    }
}

#[tokio::test]
async fn neither_ranges_nor_heads_nor_parts_come_out_of_it() {
    for part in [false, true] {
        let origin = Origin::new(move |nth, request| async move {
            let body = format!("body {nth}");
            match request.headers.get(header::RANGE) {
                Some(_) if part => {
                    let body = body[..4].to_owned();
                    Ok(Reply::new(206, &[FRESH, TAGGED, ("content-range", "bytes 0-3/6")], body))
                }
                _ => Ok(Reply::new(200, &[FRESH, TAGGED], body)),
            }
        });
        let range = || with_field(get(), "range", "bytes=0-3");
        for request in [range(), head_of(range())] {
            let bench = Bench::new(origin.clone());
            bench.send(range()).await;
            if part {
                assert_eq!(bench.send(range()).await.info.source, Source::Store);
            }
            let before = bench.origin.requests();
            set(&bench.engine, Some(rejecting(Step::Read, |_| true)));
            assert_eq!(bench.send(request).await.info.source, Source::Origin);
            assert_eq!(bench.origin.requests(), before + 1);
        }
    }
}

fn head_of(mut request: cache_engine::Request<bytes::Bytes>) -> cache_engine::Request<bytes::Bytes> {
    request.method = Method::HEAD;
    request.headers.clear();
    request
}

#[tokio::test]
async fn an_answer_to_a_post_is_filtered_too() {
    let url = support::URL;
    let origin = Origin::new(move |_, _| async move {
        Ok(Reply::new(200, &[FRESH, ("content-location", url), ("x-draft", "1")], "posted"))
    });
    let bench = Bench::with(origin, memory(), |builder| {
        builder.filter(rejecting(Step::Write, |exchange| has(exchange, "x-draft")))
    });
    let mut post = get();
    post.method = Method::POST;
    let answered = bench.engine.handle(post).await.unwrap();
    assert!(matches!(answered.answer, Answer::Wire(_)));
    assert!(answered.info.reasons.contains(Reason::RejectedOnWrite));
    assert_eq!(bench.engine.explain(&get()).await.unwrap().stored, 0);
}

#[tokio::test]
async fn a_filter_that_fails_or_panics_is_no_verdict() {
    let broken = Arc::new(AtomicBool::new(false));
    for panics in [false, true] {
        broken.store(false, Ordering::SeqCst);
        let storage = FaultyStorage::new(memory());
        let filter = filter_fn({
            let broken = Arc::clone(&broken);
            move |_: &Exchange<'_>| {
                let fails = broken.load(Ordering::SeqCst);
                async move {
                    assert!(!(fails && panics), "the filter's own");
                    if fails { Err(Error::new(ErrorKind::Other, "filter")) } else { Ok(true) }
                }
            }
        });
        let bench =
            Bench::with(counting(&[("cache-control", "max-age=60")]), Arc::new(storage.clone()), |builder| {
                builder.filter(Arc::new(filter))
            });
        bench.get().await;
        assert_eq!(bench.get().await.info.source, Source::Store);
        broken.store(true, Ordering::SeqCst);
        let mut request = get();
        request.controls.no_store = true;
        let unused = bench.send(request).await;
        assert_eq!((unused.text(), unused.info.source), ("body 1", Source::Origin));
        assert_eq!(unused.info.asked.unwrap().first(), Reason::FilterFailed);
        assert_eq!(cache_status(&unused), "c; fwd=miss; detail=filter-failed");
        assert_eq!(storage.calls(Operation::Remove), 0, "what is stored stays");
        broken.store(false, Ordering::SeqCst);
        assert_eq!(bench.get().await.text(), "body 0");
        // And on write.
        broken.store(true, Ordering::SeqCst);
        let mut other = get();
        other.url.set_path("/other");
        let unstored = bench.send(other).await;
        assert_eq!(unstored.info.reasons.first(), Reason::FilterFailed);
        assert!(!unstored.info.stored);
    }
}

#[tokio::test]
async fn without_writes_what_is_rejected_stays() {
    let storage = FaultyStorage::new(memory());
    let bench = Bench::with(counting(&[FRESH]), Arc::new(storage.clone()), |builder| builder);
    bench.get().await;
    bench
        .engine
        .reconfigure(|settings| {
            settings.options = Options::new().read_only(true);
            settings.filter = Some(rejecting(Step::Read, |_| true));
        })
        .unwrap();
    for body in ["body 1", "body 2"] {
        assert_eq!(bench.get().await.text(), body);
    }
    bench.engine.reconfigure(|settings| settings.options.offline = true).unwrap();
    let refused = bench.get().await;
    assert_eq!((refused.status, refused.info.source), (StatusCode::GATEWAY_TIMEOUT, Source::Nowhere));
    assert_eq!(refused.info.reasons.first(), Reason::Offline);
    assert!(refused.info.reasons.contains(Reason::RejectedOnRead));
    assert_eq!(storage.calls(Operation::Remove), 0);
    bench.engine.reconfigure(|settings| *settings = cache_engine::LiveSettings::default()).unwrap();
    assert_eq!((bench.get().await.text(), bench.origin.requests()), ("body 0", 3));
}
