//! Nothing is sent while the cache is offline, whatever is asked and whatever goes wrong.

use std::sync::Arc;

use crate::support::{self, Bench, Got, Origin, Reply, chunked, get, memory, pattern, with_field};
use bytes::Bytes;
use cache_api::{ErrorKind, KeyFn, KeyRequest, Keyed, key_fn};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::{
    Engine, EngineBuilder, Request, Source,
    policy::{Mode, Options, Reason},
};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};

fn set(engine: &Engine<Origin>, offline: bool) {
    engine.reconfigure(|settings| settings.options.offline = offline).unwrap();
}

/// A cache that has one response with these fields, and is offline since.
async fn recorded(fields: &'static [(&str, &str)], mode: Mode) -> Bench {
    let bench = Bench::with(Origin::always(200, fields, "recorded"), memory(), |builder| {
        builder.options(Options::new().mode(mode))
    });
    bench.get().await;
    set(&bench.engine, true);
    bench
}

fn nothing(got: &Got, reasons: [Reason; 2]) {
    assert_eq!((got.status, got.info.source), (StatusCode::GATEWAY_TIMEOUT, Source::Nowhere));
    assert_eq!(got.info.reasons.iter().collect::<Vec<_>>(), reasons);
    assert_eq!((got.info.forward, got.info.stored), (None, false));
    let mut headers = HeaderMap::new();
    got.info.append_cache_status("c", &mut headers);
    assert_eq!(headers["cache-status"], "c; detail=offline");
}

/// What a request may say that would have it sent.
fn demands() -> Vec<(&'static str, Request<Bytes>)> {
    let mut demands: Vec<_> = [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("cache-control", "max-age=0"),
        ("cache-control", "min-fresh=1000000"),
        ("cache-control", "only-if-cached"),
        ("pragma", "no-cache"),
        ("upgrade", "websocket"),
    ]
    .into_iter()
    .map(|(name, value)| (value, with_field(get(), name, value)))
    .collect();
    let mut control = |name, set: fn(&mut cache_engine::policy::Controls)| {
        let mut request = get();
        set(&mut request.controls);
        demands.push((name, request));
    };
    control("reload", |controls| controls.reload = true);
    control("revalidate", |controls| controls.revalidate = true);
    control("no_store", |controls| controls.no_store = true);
    control("only_if_cached", |controls| controls.only_if_cached = true);
    control("always_cache", |controls| controls.always_cache = true);
    control("read_only", |controls| controls.read_only = true);
    demands
}

#[tokio::test]
async fn what_is_stored_is_served_whatever_is_asked_and_however_old() {
    for fields in [
        &[("cache-control", "max-age=60"), ("etag", "\"a\"")][..],
        &[("cache-control", "max-age=60, must-revalidate"), ("etag", "\"a\"")],
        &[("cache-control", "no-cache"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("etag", "\"a\"")],
    ] {
        let bench = recorded(fields, Mode::Private).await;
        for age in [0, 100_000] {
            bench.clock.forward(age);
            for (name, request) in demands() {
                let got = bench.send(request).await;
                assert_eq!((got.status, got.text()), (StatusCode::OK, "recorded"), "{name}, {fields:?}");
                assert!(got.info.is_hit());
            }
        }
        assert_eq!(bench.get().await.info.reasons.first(), Reason::Offline);
        assert_eq!(bench.origin.requests(), 1, "{fields:?}");
        // Back on line it is stale as ever.
        set(&bench.engine, false);
        bench.get().await;
        assert_eq!(bench.origin.requests(), 2);
    }
}

#[tokio::test]
async fn what_keeps_users_apart_holds() {
    let fields = &[("cache-control", "s-maxage=60, must-revalidate"), ("etag", "\"a\"")];
    let bench = recorded(fields, Mode::Shared).await;
    assert_eq!(bench.get().await.text(), "recorded");
    bench.clock.forward(100);
    nothing(&bench.get().await, [Reason::Offline, Reason::Stale]);
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn what_is_not_stored_is_504_whatever_is_asked() {
    let bench = recorded(&[("cache-control", "max-age=60"), ("vary", "x-who")], Mode::Private).await;
    for (name, mut request) in demands() {
        request.url.set_path("/other");
        nothing(&bench.send(request).await, [Reason::Offline, Reason::NothingStored]);
        assert_eq!(bench.origin.requests(), 1, "{name}");
    }
    nothing(&bench.send(with_field(get(), "x-who", "b")).await, [Reason::Offline, Reason::VaryMismatch]);
    nothing(
        &bench.send(with_field(get(), "host", "other.test")).await,
        [Reason::Offline, Reason::AnotherHost],
    );
    nothing(
        &bench.send(with_field(get(), "if-match", "\"a\"")).await,
        [Reason::Offline, Reason::OriginCondition],
    );
    let mut bypass = get();
    bypass.controls.bypass = true;
    nothing(&bench.send(bypass).await, [Reason::Offline, Reason::Bypass]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PURGE"] {
        let mut request = get().with_body(Bytes::from_static(b"body"));
        request.method = Method::from_bytes(method.as_bytes()).unwrap();
        nothing(&bench.send(request).await, [Reason::Offline, Reason::MethodNotCacheable]);
    }
    let mut named = get();
    named.key = Some("own".into());
    nothing(&bench.send(named).await, [Reason::Offline, Reason::NothingStored]);
    let mut tenant = get();
    tenant.tenant = Some("t".into());
    nothing(&bench.send(tenant).await, [Reason::Offline, Reason::NothingStored]);
    let suspended = bench.engine.suspend();
    nothing(&bench.get().await, [Reason::Offline, Reason::Suspended]);
    drop(suspended);
    assert_eq!(bench.get().await.text(), "recorded");
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn without_a_storage_a_key_or_an_open_engine_nothing_is_sent_either() {
    let offline = || Options::new().offline(true);
    let origin = Origin::always(200, &[], "sent");
    let engine = EngineBuilder::new().options(offline()).build(origin.clone());
    let got = Got::of(engine.handle(get()).await.unwrap()).await.unwrap();
    nothing(&got, [Reason::Offline, Reason::Bypass]);

    let failing: Arc<dyn KeyFn> = Arc::new(key_fn(|_: &KeyRequest<'_>| async {
        Err::<Keyed, _>(cache_api::Error::new(ErrorKind::Other, "key"))
    }));
    let passing: Arc<dyn KeyFn> =
        Arc::new(key_fn(|_: &KeyRequest<'_>| async { Ok(Keyed::Bypass("no".into())) }));
    for key in [failing, passing] {
        let bench = Bench::with(origin.clone(), memory(), |builder| builder.key(key).options(offline()));
        nothing(&bench.get().await, [Reason::Offline, Reason::NoKey]);
        assert_eq!(bench.engine.explain(&get()).await.unwrap().reasons.first(), Reason::Offline);
    }

    let bench = Bench::with(origin.clone(), memory(), |builder| builder.options(offline()));
    bench.engine.close().await.unwrap();
    nothing(&bench.get().await, [Reason::Offline, Reason::Bypass]);
    assert!(bench.engine.refused_offline().is_some());
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_storage_that_fails_or_holds_garbage_has_nothing_sent() {
    let storage = FaultyStorage::new(memory());
    let origin = Origin::always(200, &[("cache-control", "max-age=60"), ("etag", "\"a\"")], "recorded");
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
    bench.get().await;
    set(&bench.engine, true);
    storage.inject(Rule::on(Operation::Lookup, Fault::CutBody));
    nothing_but(&bench.get().await, Reason::Unreadable);
    storage.heal();
    storage.inject(Rule::on(Operation::Lookup, Fault::Error(ErrorKind::Unavailable)));
    nothing_but(&bench.get().await, Reason::NothingStored);
    storage.heal();
    assert_eq!(bench.get().await.text(), "recorded");
    assert_eq!((bench.origin.requests(), storage.calls(Operation::Remove)), (1, 0));
}

fn nothing_but(got: &Got, reason: Reason) {
    assert_eq!((got.status, got.info.source), (StatusCode::GATEWAY_TIMEOUT, Source::Nowhere));
    assert_eq!(got.info.reasons.first(), Reason::Offline);
    assert!(got.info.reasons.contains(reason), "{:?}", got.info.reasons);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_continued_from_the_origin() {
    let storage = FaultyStorage::new(memory());
    let whole = pattern(2_000_000);
    let origin = Origin::new({
        let whole = whole.clone();
        move |_, _| {
            let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
            let reply = Reply::streamed(200, &fields, stream::iter(chunked(&whole)));
            async { Ok(reply) }
        }
    });
    let bench = Bench::with(origin, Arc::new(storage.clone()), |builder| builder);
    assert_eq!(bench.get().await.body, whole);
    set(&bench.engine, true);
    storage.inject(
        Rule::on(Operation::Read, Fault::Error(ErrorKind::Other)).nth(storage.calls(Operation::Read) + 2),
    );
    let broken = Got::of(bench.engine.handle(get()).await.unwrap()).await;
    assert!(broken.is_err());
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn nothing_is_refreshed_in_the_background() {
    let options = Options::new().early_refresh(1e9_f32);
    let fields = &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("etag", "\"a\"")];
    let bench =
        Bench::with(Origin::always(200, fields, "recorded"), memory(), |builder| builder.options(options));
    bench.get().await;
    set(&bench.engine, true);
    for seconds in [10, 51, 1] {
        bench.clock.forward(seconds);
        assert_eq!(bench.get().await.text(), "recorded");
        support::settle().await;
    }
    bench.engine.close().await.unwrap();
    assert_eq!(bench.origin.requests(), 1);
}
