//! What the cache says of itself: the rules that decided, before and after.

use crate::support::{Bench, Origin, OriginError, Reply, get, with_field};
use cache_engine::{
    Explanation,
    policy::{Decision, Forward, Reason},
};
use http::{Method, header};

/// 200 with a tag, fresh for a minute; 304 to the tag; broken from the third request on.
fn origin() -> Origin {
    Origin::new(|nth, request| async move {
        let fields = [("cache-control", "max-age=60, stale-if-error=600"), ("etag", "\"a\"")];
        match request.headers.get(header::IF_NONE_MATCH) {
            _ if nth > 1 => Err(OriginError("down")),
            None => Ok(Reply::new(200, &fields, "body")),
            Some(_) => Ok(Reply::streamed(304, &fields, futures_util::stream::empty())),
        }
    })
}

async fn explain(bench: &Bench) -> Explanation {
    bench.engine.explain(&get()).await.unwrap()
}

#[tokio::test]
async fn an_answer_tells_by_which_rules() {
    let bench = Bench::new(origin());
    let said = bench.get().await.info.explain().to_string();
    assert_eq!(said, "nothing is stored for the URI (RFC 9111 §4)\nthe response is stored (RFC 9111 §3)");
    assert_eq!(bench.get().await.info.explain().to_string(), "the stored response is fresh (RFC 9111 §4.2)");
    bench.clock.forward(61);
    let validated = bench.get().await.info;
    assert_eq!(
        validated.explain().to_string(),
        "the stored response is stale (RFC 9111 §4.2.4)\nthe origin confirmed the stored response (RFC 9111 §4.3.4)"
    );
    assert_eq!(validated.asked.unwrap().first(), Reason::Stale);
    bench.clock.forward(61);
    assert_eq!(
        bench.get().await.info.explain().to_string(),
        "the stored response is stale (RFC 9111 §4.2.4)\nthe stored response may be served stale while the origin fails (RFC 5861 §4)"
    );
    let bench = Bench::new(origin());
    let mut bypass = get();
    bypass.controls.bypass = true;
    assert_eq!(bench.send(bypass).await.info.explain().to_string(), "the caller asked to bypass the cache");
}

#[tokio::test]
async fn what_would_be_done_is_told_without_doing_it() {
    let bench = Bench::new(origin());
    let nothing = explain(&bench).await;
    assert!(matches!(nothing.decision, Decision::Fetch(_)));
    assert_eq!(
        (nothing.forward, nothing.stored, nothing.variant, nothing.age),
        (Some(Forward::UriMiss), 0, None, None)
    );
    assert_eq!(nothing.to_string(), "asked of the origin\nnothing is stored for the URI (RFC 9111 §4)");
    assert_eq!(bench.origin.requests(), 0);

    let stored = bench.get().await.info;
    bench.clock.forward(10);
    let fresh = explain(&bench).await;
    assert!(matches!(fresh.decision, Decision::Serve { .. }));
    assert_eq!(
        (fresh.key, fresh.variant, fresh.stored, fresh.ttl),
        (stored.key, stored.variant, 1, Some(50))
    );
    assert_eq!(fresh.age.unwrap().as_secs(), 10);
    assert_eq!(
        fresh.to_string(),
        "served from the store\nthe stored response is fresh (RFC 9111 §4.2)\nits age is 10 s\nit is fresh for 50 s"
    );

    bench.clock.forward(60);
    let storage = bench.engine.storage().unwrap();
    let version = |found: cache_api::Resource| found.variants()[0].version;
    let before = version(storage.lookup(&stored.key.unwrap(), bench.now()).await.unwrap());
    for _ in 0..2 {
        let stale = explain(&bench).await;
        assert!(matches!(stale.decision, Decision::Revalidate(_)));
        assert_eq!(
            (stale.variant, &stale.conditions[header::IF_NONE_MATCH]),
            (stored.variant, &"\"a\"".parse().unwrap())
        );
        assert_eq!(
            stale.to_string(),
            "asked of the origin, with conditions\nthe stored response is stale (RFC 9111 §4.2.4)\n\
             its age is 70 s\nit has been stale for 10 s\nsent: if-none-match: \"a\""
        );
    }
    let after = version(storage.lookup(&stored.key.unwrap(), bench.now()).await.unwrap());
    assert_eq!((after, bench.origin.requests()), (before, 1));
}

/// As a request is answered, so it is explained.
#[tokio::test]
async fn of_what_goes_past_the_cache() {
    let bench = Bench::new(origin());
    bench.get().await;
    let mut post = get();
    post.method = Method::POST;
    let said = bench.engine.explain(&post).await.unwrap();
    assert_eq!((said.forward, said.reasons.first()), (Some(Forward::Method), Reason::MethodNotCacheable));
    let mut offline = with_field(get(), "cache-control", "no-cache");
    offline.controls.only_if_cached = true;
    let said = bench.engine.explain(&offline).await.unwrap();
    assert!(matches!(said.decision, Decision::Unsatisfiable));
    assert_eq!(
        said.to_string().lines().take(3).collect::<Vec<_>>(),
        [
            "answered with 504",
            "the request says only-if-cached (RFC 9111 §5.2.1.7)",
            "the request says no-cache (RFC 9111 §5.2.1.4)"
        ]
    );
    bench.engine.close().await.unwrap();
    let said = explain(&bench).await;
    assert_eq!((said.forward, said.key), (Some(Forward::Bypass), None));
}
