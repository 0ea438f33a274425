//! Lifetimes that begin anew with each use.

use std::time::Duration;

use crate::support::{Bench, Origin, Reply, get, memory, settle, with_field};
use cache_engine::policy::{Expiry, ExpiryMode, Mode, Options, Sliding};
use cache_engine::{Request, Source};

type Fields = &'static [(&'static str, &'static str)];
/// A name, the answer's fields, the settings, a request, how often it is made, and for how long it is served.
type Case = (&'static str, Fields, Options, fn() -> Request<bytes::Bytes>, u64, u64);

fn bench(headers: Fields, options: Options) -> Bench {
    let origin = Origin::new(move |nth, _| async move { Ok(Reply::new(200, headers, nth.to_string())) });
    Bench::with(origin, memory(), |builder| builder.options(options))
}

/// The storage drops an entry as soon as it is stale, so that the time until which it is kept has to move along.
fn ttl() -> Options {
    Options::new().ttl(Expiry::after_secs(100)).stale_retention(Duration::ZERO)
}

/// Uses what is stored every `step` seconds, and says for how long it was served.
async fn served_for(bench: &Bench, request: fn() -> Request<bytes::Bytes>, step: u64) -> u64 {
    bench.send(request()).await;
    for used in 1..=20 {
        bench.clock.forward(step);
        if bench.send(request()).await.info.source != Source::Store {
            return used * step;
        }
        settle().await;
    }
    u64::MAX
}

fn authorised() -> Request<bytes::Bytes> {
    with_field(get(), "authorization", "Bearer a")
}

fn expiring() -> Request<bytes::Bytes> {
    let mut request = get();
    request.controls.expiry = Some(Expiry::after_secs(100));
    request
}

#[tokio::test]
async fn what_slides_and_how_far() {
    let sliding = Sliding::new();
    let bounded = sliding.max_age(Duration::from_secs(300));
    let mixed = || Options::new().precedence(ExpiryMode::Mixed).expiry(Expiry::after_secs(100));
    let shared = || ttl().mode(Mode::Shared);
    let cases: [Case; 11] = [
        ("without it", &[], ttl(), get, 60, 120),
        ("a use within the lifetime", &[], ttl().sliding(sliding), get, 60, u64::MAX),
        ("a use after it", &[], ttl().sliding(sliding), get, 110, 110),
        ("a limit", &[], ttl().sliding(bounded), get, 60, 300),
        (
            "over what fields say",
            &[("cache-control", "max-age=10")],
            ttl().sliding(sliding),
            get,
            60,
            u64::MAX,
        ),
        ("fields decide", &[("cache-control", "max-age=100")], mixed().sliding(sliding), get, 60, 120),
        ("fields say nothing", &[], mixed().sliding(sliding), get, 60, u64::MAX),
        ("fields alone", &[("cache-control", "max-age=100")], Options::new().sliding(sliding), get, 60, 120),
        ("a request's own", &[], Options::new().sliding(sliding), expiring, 60, u64::MAX),
        ("shared", &[], shared().sliding(sliding), get, 60, u64::MAX),
        (
            "shared, of an account",
            &[("cache-control", "public, max-age=150")],
            Options::new().mode(Mode::Shared).sliding(sliding),
            || {
                let mut request = authorised();
                request.controls.expiry = Some(Expiry::after_secs(100));
                request
            },
            60,
            180,
        ),
    ];
    for (name, headers, options, request, step, expected) in cases {
        options.check().unwrap();
        assert_eq!(served_for(&bench(headers, options), request, step).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_hit_waits_for_no_write_and_few_write() {
    let bench = bench(&[], ttl().sliding(Sliding::new()));
    bench.get().await;
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..100 {
        bench.clock.forward(1);
        let info = bench.get().await.info;
        assert_eq!(info.source, Source::Store);
        ends.insert(bench.now() + Duration::from_secs(u64::try_from(info.ttl.unwrap()).unwrap()));
        settle().await;
    }
    assert!((10..=11).contains(&ends.len()), "{ends:?}");
}

#[tokio::test]
async fn what_is_not_to_be_stored_does_not_slide() {
    let bench = bench(&[], ttl().sliding(Sliding::new()));
    let no_store = || {
        let mut request = get();
        request.controls.no_store = true;
        request
    };
    bench.get().await;
    bench.clock.forward(60);
    assert_eq!(bench.send(no_store()).await.info.source, Source::Store);
    settle().await;
    bench.clock.forward(60);
    assert_eq!(bench.get().await.info.source, Source::Origin);
}

#[tokio::test]
async fn a_removal_is_not_undone_by_a_use() {
    let bench = bench(&[], ttl().sliding(Sliding::new()));
    let mut tagged = get();
    tagged.tags = vec!["a".into()];
    bench.send(tagged).await;
    bench.clock.forward(60);
    assert_eq!(bench.get().await.info.source, Source::Store);
    assert_eq!(bench.engine.purge_tags(["a"]).await.unwrap(), 1);
    settle().await;
    assert_eq!(bench.get().await.info.source, Source::Origin);

    // And it keeps its tags.
    let mut tagged = get();
    tagged.tags = vec!["b".into()];
    tagged.controls.reload = true;
    bench.send(tagged).await;
    bench.clock.forward(60);
    bench.get().await;
    settle().await;
    assert_eq!(bench.engine.purge_tags(["b"]).await.unwrap(), 1);
}

#[test]
fn settings_that_contradict_it_are_told() {
    let sliding = Sliding::new();
    for options in [
        ttl().sliding(sliding.max_age(Duration::ZERO)),
        ttl().sliding(sliding).ttl_jitter(0.1),
        Options::new().ttl(Expiry::Never).sliding(sliding),
    ] {
        let invalid = options.check().unwrap_err();
        assert_eq!(invalid.setting(), "sliding", "{invalid}");
    }
}
