//! What changes while the cache runs: suspended, read-only, other settings.

use std::sync::Arc;

use crate::support::{self, Bench, Got, Origin, Reply, get, memory, pattern, settle, with_field};
use bytes::Bytes;
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule as FaultRule};
use cache_engine::{
    Request, Source,
    policy::{Expiry, Forward, Mode, Options, Reason, Rule, Rules},
};
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::Semaphore;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAGGED: (&str, &str) = ("etag", "\"a\"");

fn cache_status(got: &Got) -> String {
    let mut headers = HeaderMap::new();
    got.info.append_cache_status("c", &mut headers);
    headers["cache-status"].to_str().unwrap().to_owned()
}

fn method(method: Method) -> Request<Bytes> {
    let mut request = get();
    request.method = method;
    request
}

#[tokio::test]
async fn while_suspended_requests_go_past_the_cache() {
    let bench = Bench::new(Origin::always(200, &[FRESH], "body"));
    bench.get().await;
    let (outer, inner) = (bench.engine.suspend(), bench.engine.clone().suspend());
    drop(outer);
    let past = bench.get().await;
    assert_eq!((past.info.source, past.info.stored), (Source::Origin, false));
    assert_eq!(past.info.forward, Some(Forward::Bypass));
    assert_eq!(past.info.explain().to_string(), "the cache is suspended");
    assert_eq!(cache_status(&past), "c; fwd=bypass; detail=suspended");
    assert_eq!(bench.engine.explain(&get()).await.unwrap().reasons.first(), Reason::Suspended);
    let mut wants_store = get();
    wants_store.controls.only_if_cached = true;
    for request in [wants_store, with_field(get(), "cache-control", "only-if-cached")] {
        let refused = bench.send(request).await;
        assert_eq!(refused.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(
            refused.info.reasons.iter().collect::<Vec<_>>(),
            [Reason::OnlyIfCached, Reason::Suspended]
        );
    }
    assert_eq!(bench.origin.requests(), 2);
    drop(inner);
    assert_eq!(bench.get().await.info.source, Source::Store);
    // What is made invalid meanwhile is removed all the same.
    let suspended = bench.engine.suspend();
    bench.send(method(Method::DELETE)).await;
    drop(suspended);
    assert_eq!(bench.engine.explain(&get()).await.unwrap().stored, 0);
}

#[tokio::test]
async fn while_suspended_nothing_is_stored() {
    let storage = FaultyStorage::new(memory());
    let url = support::URL;
    let origin = Origin::new(move |_, _| async move {
        Ok(Reply::new(200, &[FRESH, ("content-location", url)], pattern(200_000)))
    });
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
    let _suspended = bench.engine.suspend();
    for request in [get(), method(Method::HEAD), method(Method::POST)] {
        bench.send(request).await;
    }
    assert_eq!(storage.calls(Operation::Commit) + storage.calls(Operation::Writer), 0);
    assert_eq!(storage.calls(Operation::Lookup), 0);
}

/// Every operation that changes something in the store.
fn writes(storage: &FaultyStorage) -> u64 {
    let others = [Operation::Remove, Operation::Release, Operation::Purge];
    Operation::STORING.iter().chain(&others).map(|operation| storage.calls(*operation)).sum()
}

/// What makes a cache write, once a first answer is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Occasion {
    Miss,
    LargeMiss,
    Validated,
    Replaced,
    Outdated,
    Head,
    Unsafe,
    Post,
    Uncacheable,
    Uses,
    WhileRevalidate,
    Early,
    Unreadable,
    Together,
}

impl Occasion {
    const ALL: [Self; 14] = [
        Self::Miss,
        Self::LargeMiss,
        Self::Validated,
        Self::Replaced,
        Self::Outdated,
        Self::Head,
        Self::Unsafe,
        Self::Post,
        Self::Uncacheable,
        Self::Uses,
        Self::WhileRevalidate,
        Self::Early,
        Self::Unreadable,
        Self::Together,
    ];

    fn origin(self) -> Origin {
        Origin::new(move |nth, request| async move {
            let tag = match self {
                Self::Validated | Self::WhileRevalidate | Self::Early => "\"a\"".to_owned(),
                _ => format!("\"{nth}\""),
            };
            let control = match self {
                Self::WhileRevalidate => "max-age=60, stale-while-revalidate=600",
                Self::Uncacheable if nth > 0 => "no-store",
                _ => "max-age=60",
            };
            let fields = [
                ("cache-control", control),
                ("etag", &*tag),
                ("content-location", support::URL),
                ("x-new", "1"),
            ];
            let fields = if nth == 0 { &fields[..3] } else { &fields[..] };
            if request.headers.get(header::IF_NONE_MATCH).is_some_and(|asked| *asked == *tag) {
                return Ok(Reply::streamed(304, fields, futures_util::stream::empty()));
            }
            Ok(match self {
                Self::Outdated if nth > 0 => Reply::new(404, &[("cache-control", "no-store")], "gone"),
                Self::LargeMiss => Reply::new(200, fields, pattern(200_000)),
                _ => Reply::new(200, fields, format!("body {nth}")),
            })
        })
    }

    /// What is asked, `how` it is asked; and what came of it last.
    async fn happen(self, bench: &Bench, storage: &FaultyStorage, how: fn(&mut Request<Bytes>)) -> Got {
        let ask = |mut request: Request<Bytes>| {
            how(&mut request);
            bench.send(request)
        };
        let mut elsewhere = get();
        elsewhere.url.set_path("/elsewhere");
        match self {
            Self::Miss | Self::LargeMiss | Self::Uncacheable => ask(elsewhere).await,
            Self::Validated | Self::Replaced | Self::Outdated | Self::WhileRevalidate => {
                bench.clock.forward(61);
                ask(get()).await
            }
            Self::Head => {
                bench.clock.forward(61);
                ask(method(Method::HEAD)).await
            }
            Self::Unsafe => ask(method(Method::DELETE)).await,
            Self::Post => ask(method(Method::POST)).await,
            Self::Uses => {
                for _ in 0..200 {
                    ask(get()).await;
                }
                ask(get()).await
            }
            Self::Early => {
                bench.clock.forward(59);
                ask(get()).await
            }
            Self::Unreadable => {
                storage.inject(FaultRule::on(Operation::Lookup, Fault::CutBody));
                ask(get()).await
            }
            Self::Together => {
                let asked = (0..5).map(|_| ask(Request::new(Method::GET, elsewhere.url.clone())));
                join_all(asked).await.pop().unwrap()
            }
        }
    }
}

#[tokio::test]
async fn read_only_writes_nothing_on_any_occasion() {
    for occasion in Occasion::ALL {
        // Not at all, for all from the beginning, at run time, for each request.
        for how in 0..4 {
            let storage = FaultyStorage::new(memory());
            let options = Options::new().early_refresh(1e9_f32);
            let bench = Bench::with(occasion.origin(), Arc::new(storage.clone()), |builder| {
                builder.options(options.clone())
            });
            bench.get().await;
            settle().await;
            let bench = match how {
                1 => {
                    let clock = bench.clock.clone();
                    let reader = Bench::with(bench.origin.clone(), Arc::new(storage.clone()), |builder| {
                        builder.options(options.read_only(true)).clock(Arc::new(clock))
                    });
                    Bench { clock: bench.clock, ..reader }
                }
                2 => {
                    bench.engine.reconfigure(|settings| settings.options.read_only = true).unwrap();
                    bench
                }
                _ => bench,
            };
            let before = writes(&storage);
            let read_only: fn(&mut Request<Bytes>) = match how {
                3 => |request| request.controls.read_only = true,
                _ => |_| {},
            };
            let got = occasion.happen(&bench, &storage, read_only).await;
            settle().await;
            if how != 3 || occasion != Occasion::Uses {
                bench.engine.close().await.unwrap();
            }
            let wrote = writes(&storage) - before;
            if how == 0 {
                assert!(wrote > 0, "{occasion:?} is no occasion to write");
                continue;
            }
            assert_eq!(wrote, 0, "{occasion:?}, {how}");
            assert!(!got.info.stored, "{occasion:?}, {how}");
            match occasion {
                Occasion::Miss => {
                    assert_eq!(got.info.reasons.first(), Reason::ReadOnly);
                    assert_eq!(cache_status(&got), "c; fwd=uri-miss; detail=read-only");
                }
                Occasion::Validated | Occasion::WhileRevalidate => {
                    assert_eq!((got.info.source, got.text()), (Source::Revalidated, "body 0"));
                    assert_eq!(got.headers["x-new"], "1", "its caller gets the new head");
                }
                Occasion::Uses | Occasion::Early => assert_eq!(got.info.source, Source::Store),
                _ => assert_eq!(got.info.source, Source::Origin, "{occasion:?}"),
            }
        }
    }
}

#[tokio::test]
async fn settings_are_for_the_requests_that_begin_later() {
    let gate = Arc::new(Semaphore::new(1));
    let origin = Origin::new({
        let gate = Arc::clone(&gate);
        move |_, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Reply::new(200, &[], "body"))
            }
        }
    });
    let at = |path: &str| {
        let mut request = get();
        request.url.set_path(path);
        request
    };
    let bench = Bench::new(origin);
    let expiry = |expiry: Expiry| bench.engine.reconfigure(|settings| settings.options.expiry = Some(expiry));
    assert!(!bench.send(at("/a")).await.info.stored);
    let (under_way, ()) = tokio::join!(bench.send(at("/b")), async {
        settle().await;
        expiry(Expiry::after_secs(100)).unwrap();
        gate.add_permits(100);
    });
    assert!(!under_way.info.stored, "it ends as it began");
    assert!(bench.send(at("/a")).await.info.stored);
    assert_eq!(bench.engine.options().expiry, Some(Expiry::after_secs(100)));
    // What is stored already stays as it is.
    expiry(Expiry::DoNotStore).unwrap();
    let stored = bench.send(at("/a")).await;
    assert_eq!((stored.info.source, stored.info.ttl), (Source::Store, Some(100)));
    assert!(!bench.send(at("/b")).await.info.stored);
}

#[tokio::test]
async fn what_cannot_be_used_leaves_the_old_settings_in_force() {
    let bench = Bench::new(Origin::always(200, &[FRESH], "body"));
    let change = |change: fn(&mut Options)| {
        bench.engine.reconfigure(|settings| {
            settings.options.offline = true;
            change(&mut settings.options);
        })
    };
    let contradicting = change(|options| options.methods = vec![Method::DELETE]).unwrap_err();
    assert_eq!(contradicting.setting(), "methods");
    let fixed = change(|options| options.mode = Mode::Shared).unwrap_err();
    assert_eq!(fixed.to_string(), "mode: cannot change while the cache runs: keys are made for it");
    assert_eq!(*bench.engine.options(), Options::new());
    // A change that panics changes nothing, and is not in the way of the next.
    let engine = bench.engine.clone();
    let panicked = std::thread::spawn(move || engine.reconfigure(|_| panic!("the change's own"))).join();
    assert!(panicked.is_err() && !bench.engine.options().offline);
    change(|_| {}).unwrap();
    assert!(bench.engine.options().offline && bench.engine.live_settings().options.offline);
}

#[tokio::test]
async fn freshness_that_was_worked_out_is_that_of_the_settings_in_force() {
    let dates = &[
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("last-modified", "Tue, 05 Jan 2027 08:00:00 GMT"),
        TAGGED,
    ];
    let bench = Bench::new(Origin::always(200, dates, "body"));
    let fraction = |fraction: f32| {
        let change =
            |settings: &mut cache_engine::LiveSettings| settings.options.heuristic_fraction = fraction;
        bench.engine.reconfigure(change).unwrap();
    };
    bench.get().await;
    let day = 86_400;
    assert_eq!(bench.get().await.info.ttl, Some(day));
    // Kept beside the head are the figures of the first settings; those of others are never taken for them.
    for (part, ttl) in [(0.05, day / 2), (0.1, day), (0.025, day / 4)] {
        fraction(part);
        for _ in 0..2 {
            assert_eq!(bench.engine.explain(&get()).await.unwrap().ttl, Some(ttl), "{part}");
            assert_eq!(bench.get().await.info.ttl, Some(ttl), "{part}");
        }
        bench.engine.reconfigure(|settings| settings.options.read_only ^= true).unwrap();
        assert_eq!(bench.get().await.info.ttl, Some(ttl), "{part}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_never_sees_half_of_a_change() {
    let bench = Bench::new(Origin::always(200, &[FRESH], "body"));
    bench.get().await;
    // Each rule has a method of its own: with the options of one and the name of the other something would not fit.
    let sets = ["a", "b"].map(|name| {
        let rules = Rules::new([Rule::new(name).path("/resource")]).unwrap();
        (rules, if name == "a" { vec![Method::GET] } else { vec![Method::HEAD] })
    });
    let changing = tokio::spawn({
        let engine = bench.engine.clone();
        async move {
            for (rules, methods) in sets.iter().cycle().take(2000) {
                engine
                    .reconfigure(|settings| {
                        settings.rules = rules.clone();
                        settings.options.methods.clone_from(methods);
                    })
                    .unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = [0, 0];
    while !changing.is_finished() {
        let mut request = get();
        request.controls.read_only = true;
        let info = bench.send(request).await.info;
        match info.rule.as_deref() {
            Some("a") => {
                seen[0] += 1;
                assert_eq!(info.source, Source::Store);
            }
            Some("b") => {
                seen[1] += 1;
                assert_eq!(info.asked.unwrap().first(), Reason::MethodNotCacheable);
            }
            _ => {}
        }
    }
    changing.await.unwrap();
}
