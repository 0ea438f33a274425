//! The flow of one request after another: miss, hit, validation, staleness, invalidation.

use crate::support::{self, Bench, Origin, Reply, get, memory, pattern, settle, with_field};
use cache_api::Filter;
use cache_engine::{
    Answer, Source,
    policy::{Controls, Mode, Options},
};
use futures_util::TryStreamExt;
use http::{Method, StatusCode, header};

#[tokio::test]
async fn what_was_fetched_is_served() {
    let bench =
        Bench::new(Origin::always(200, &[("cache-control", "max-age=60"), ("x", "1"), ("x", "2")], "hello"));
    let first = bench.get().await;
    assert_eq!((first.text(), first.info.source, first.info.stored), ("hello", Source::Origin, true));
    bench.clock.forward(10);
    let second = bench.get().await;
    assert_eq!((second.text(), second.info.source, second.info.is_hit()), ("hello", Source::Store, true));
    assert_eq!(second.headers.get(header::AGE).unwrap(), "10");
    assert_eq!(second.info.ttl, Some(50));
    assert_eq!(second.headers.get_all("x").iter().count(), 2);
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn a_head_is_served_out_of_a_get_and_a_range_out_of_the_whole() {
    let body = pattern(700_000);
    let whole = body.clone();
    let bench = Bench::new(Origin::new(move |_, _| {
        let reply = Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"a\"")], whole.clone());
        async { Ok(reply) }
    }));
    assert!(bench.get().await.body == body);
    let mut head = get();
    head.method = Method::HEAD;
    let head = bench.send(head).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.headers[header::CONTENT_LENGTH], "700000");
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=262143-262144", 262_143, 262_144),
        ("bytes=524288-", 524_288, 699_999),
        ("bytes=-5", 699_995, 699_999),
        ("bytes=100-600000", 100, 600_000),
    ] {
        let part = bench.send(with_field(get(), "range", range)).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(part.headers[header::CONTENT_RANGE], format!("bytes {first}-{last}/700000"));
        assert!(part.body == body.slice(first..=last), "{range}");
    }
    let outside = bench.send(with_field(get(), "range", "bytes=700000-")).await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let unchanged = bench.send(with_field(get(), "if-none-match", "\"a\"")).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn a_304_replaces_the_head_and_keeps_the_body() {
    let origin = Origin::new(|nth, request| async move {
        let fields =
            [("cache-control", "max-age=60"), ("etag", "\"a\""), ("n", if nth == 0 { "0" } else { "1" })];
        Ok(match request.headers.get(header::IF_NONE_MATCH) {
            None => Reply::new(200, &fields, "body"),
            Some(_) => Reply::streamed(304, &fields, futures_util::stream::empty()),
        })
    });
    let bench = Bench::new(origin);
    let key = bench.get().await.info.key.unwrap();
    let storage = bench.engine.storage().unwrap();
    let before = storage.lookup(&key, bench.now()).await.unwrap().variants()[0].version;
    bench.clock.forward(61);
    let second = bench.get().await;
    assert_eq!((second.text(), second.info.source), ("body", Source::Revalidated));
    assert_eq!(second.headers["n"], "1");
    assert_eq!(bench.origin.received(1)[header::IF_NONE_MATCH], "\"a\"");
    let after = storage.lookup(&key, bench.now()).await.unwrap().variants()[0].version;
    assert_eq!((after.body, after.head), (before.body, before.head + 1));
    assert_eq!(bench.get().await.info.source, Source::Store);
    assert_eq!(bench.origin.requests(), 2);
}

#[tokio::test]
async fn a_304_that_names_nothing_stored_is_asked_again_once_without_conditions() {
    let origin = Origin::new(|nth, request| async move {
        Ok(match nth {
            0 => Reply::new(200, &[("cache-control", "max-age=1"), ("etag", "\"a\"")], "old"),
            1 => Reply::streamed(304, &[("etag", "\"other\"")], futures_util::stream::empty()),
            _ => {
                assert!(!request.headers.contains_key(header::IF_NONE_MATCH));
                Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"b\"")], "new")
            }
        })
    });
    let bench = Bench::new(origin);
    bench.get().await;
    bench.clock.forward(2);
    assert_eq!(bench.get().await.text(), "new");
    assert_eq!(bench.get().await.text(), "new");
    assert_eq!(bench.origin.requests(), 3);
}

#[tokio::test]
async fn a_callers_own_condition_that_holds_says_nothing_of_what_is_stored() {
    let origin = Origin::new(|nth, _| async move {
        Ok(match nth {
            0 => Reply::new(200, &[("cache-control", "max-age=1"), ("etag", "\"stored\"")], "stored"),
            _ => Reply::streamed(304, &[("etag", "\"callers\"")], futures_util::stream::empty()),
        })
    });
    let bench = Bench::new(origin);
    bench.get().await;
    bench.clock.forward(2);
    let answer = bench.send(with_field(get(), "if-none-match", "\"callers\"")).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn variants_are_kept_apart() {
    let origin = Origin::new(|_, request| async move {
        let language = request.headers[header::ACCEPT_LANGUAGE].to_str().unwrap().to_owned();
        Ok(Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language))
    });
    let bench = Bench::new(origin);
    for _ in 0..2 {
        for language in ["en", "fr", "de"] {
            assert_eq!(bench.send(with_field(get(), "accept-language", language)).await.text(), language);
        }
    }
    assert_eq!(bench.origin.requests(), 3);
}

#[tokio::test]
async fn stale_while_revalidate_serves_at_once_and_close_waits_for_the_refresh() {
    let origin = Origin::new(|nth, _| async move {
        if nth > 0 {
            settle().await;
        }
        let body = if nth == 0 { "old" } else { "new" };
        Ok(Reply::new(200, &[("cache-control", "max-age=1, stale-while-revalidate=60")], body))
    });
    let bench = Bench::new(origin);
    let key = bench.get().await.info.key.unwrap();
    bench.clock.forward(2);
    for _ in 0..3 {
        let stale = bench.get().await;
        assert_eq!((stale.text(), stale.info.source), ("old", Source::Stale));
    }
    let storage = bench.engine.storage().unwrap().clone();
    bench.engine.close().await.unwrap();
    assert_eq!(bench.origin.requests(), 2, "one refresh for all");
    let found = storage.lookup(&key, bench.now()).await.unwrap();
    assert_eq!(found.variants()[0].head.value().unwrap().responded_at, bench.now());
}

#[tokio::test]
async fn stale_if_error_and_its_limits() {
    let table = [
        ("max-age=1, stale-if-error=60", true),
        ("max-age=1", false),
        ("max-age=1, stale-if-error=60, must-revalidate", false),
        ("max-age=1, stale-if-error=60, no-cache", false),
    ];
    for (control, expected) in table {
        for broken in [true, false] {
            let bench = Bench::new(Origin::new(move |nth, _| async move {
                match nth {
                    0 => Ok(Reply::new(200, &[("cache-control", control)], "stored")),
                    _ if broken => Err(support::OriginError("connection refused")),
                    _ => Ok(Reply::new(503, &[], "down")),
                }
            }));
            bench.get().await;
            bench.clock.forward(10);
            let answer = bench.engine.handle(get()).await;
            match (answer, expected) {
                (Ok(answer), true) => {
                    assert_eq!(answer.info.source, Source::Stale, "{control}");
                    assert_eq!(support::Got::of(answer).await.unwrap().text(), "stored", "{control}");
                }
                (Ok(answer), false) => assert!(!broken && answer.info.source == Source::Origin, "{control}"),
                (Err(_), expected) => assert!(broken && !expected, "{control}"),
            }
        }
    }
}

#[tokio::test]
async fn an_unsafe_method_invalidates() {
    let bench = Bench::new(Origin::new(|nth, request| async move {
        Ok(match request.method {
            Method::GET => Reply::new(200, &[("cache-control", "max-age=60")], nth.to_string()),
            _ => Reply::new(204, &[], ""),
        })
    }));
    assert_eq!(bench.get().await.text(), "0");
    let mut post = get();
    post.method = Method::POST;
    // Under credentials too: what anybody may see is outdated for everybody.
    assert_eq!(
        bench.send(with_field(post, "authorization", "Bearer a")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(bench.get().await.text(), "2");
}

#[tokio::test]
async fn credentials_are_told_apart_in_a_private_cache() {
    for field in ["authorization", "cookie"] {
        let bench = Bench::new(Origin::new(move |_, request| async move {
            let who = request.headers.get(field).map_or("nobody", |value| value.to_str().unwrap()).to_owned();
            Ok(Reply::new(200, &[("cache-control", "max-age=60")], who))
        }));
        for _ in 0..2 {
            assert_eq!(bench.get().await.text(), "nobody");
            for who in ["a", "b"] {
                assert_eq!(bench.send(with_field(get(), field, who)).await.text(), who);
            }
        }
        assert_eq!(bench.origin.requests(), 3);
    }
}

#[tokio::test]
async fn a_shared_cache_stores_for_a_tenant_what_it_stores_for_nobody() {
    let bench = Bench::with(
        Origin::new(|_, request| async move {
            let who = request.headers["authorization"].to_str().unwrap().to_owned();
            Ok(Reply::new(200, &[("cache-control", "max-age=60")], who))
        }),
        memory(),
        |builder| builder.options(Options::new().mode(Mode::Shared)),
    );
    for who in ["a", "b"] {
        let answer = bench.send(with_field(get(), "authorization", who)).await;
        assert_eq!((answer.text(), answer.info.stored), (who, false));
    }
    for _ in 0..2 {
        for who in ["a", "b"] {
            let mut request = with_field(get(), "authorization", who);
            request.tenant = Some(who.into());
            assert_eq!(bench.send(request).await.text(), who);
        }
    }
    assert_eq!(bench.origin.requests(), 4);
}

#[tokio::test]
async fn controls() {
    let bench = Bench::new(Origin::new(|nth, _| async move {
        Ok(Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"a\"")], nth.to_string()))
    }));
    let with = |change: fn(&mut Controls)| {
        let mut request = get();
        change(&mut request.controls);
        request
    };
    let nothing = bench.send(with(|controls| controls.only_if_cached = true)).await;
    assert_eq!((nothing.status, bench.origin.requests()), (StatusCode::GATEWAY_TIMEOUT, 0));
    assert_eq!(bench.send(with(|controls| controls.bypass = true)).await.text(), "0");
    assert_eq!(bench.send(with(|controls| controls.no_store = true)).await.text(), "1");
    assert_eq!(bench.get().await.text(), "2");
    assert_eq!(bench.send(with(|controls| controls.only_if_cached = true)).await.text(), "2");
    assert_eq!(bench.send(with(|controls| controls.bypass = true)).await.text(), "3");
    assert_eq!(bench.get().await.text(), "2");
    assert_eq!(bench.send(with(|controls| controls.reload = true)).await.text(), "4");
    assert!(!bench.origin.received(4).contains_key(header::IF_NONE_MATCH));
    assert_eq!(bench.send(with(|controls| controls.revalidate = true)).await.text(), "5");
    assert_eq!(bench.origin.received(5)[header::IF_NONE_MATCH], "\"a\"");
    assert_eq!(bench.get().await.text(), "5");
}

#[tokio::test]
async fn what_is_not_stored_is_the_networks_own_response() {
    for control in ["no-store", "private, no-store"] {
        let bench = Bench::new(Origin::new(move |_, _| async move {
            Ok(Reply::new(200, &[("cache-control", control)], "x"))
        }));
        assert!(matches!(bench.engine.handle(get()).await.unwrap().answer, Answer::Wire(_)));
    }
}

#[tokio::test]
async fn a_revalidation_answered_no_store_is_neither_stored_nor_is_the_old_one_served() {
    let bench = Bench::new(Origin::new(|nth, _| async move {
        let control = if nth == 0 { "max-age=1, stale-if-error=600" } else { "no-store" };
        match nth {
            0 | 1 => Ok(Reply::new(200, &[("cache-control", control), ("etag", "\"a\"")], nth.to_string())),
            _ => Err(support::OriginError("down")),
        }
    }));
    bench.get().await;
    bench.clock.forward(2);
    assert_eq!(bench.get().await.text(), "1");
    assert!(bench.engine.handle(get()).await.is_err());
}

#[tokio::test]
async fn an_engine_without_storage_or_after_its_close_passes_on() {
    let bench = Bench::new(Origin::always(200, &[("cache-control", "max-age=60")], "x"));
    bench.get().await;
    bench.engine.close().await.unwrap();
    bench.engine.close().await.unwrap();
    assert!(matches!(bench.engine.handle(get()).await.unwrap().answer, Answer::Wire(_)));
    let origin = Origin::always(200, &[("cache-control", "max-age=60")], "x");
    let engine = cache_engine::EngineBuilder::new().build(origin.clone());
    for _ in 0..2 {
        assert!(matches!(engine.handle(get()).await.unwrap().answer, Answer::Wire(_)));
    }
    assert_eq!(origin.requests(), 2);
}

/// A storage that evicts what was not used hears of hits: in batches, and of the last ones at the close.
#[tokio::test]
async fn hits_are_told_to_the_storage() {
    let storage = std::sync::Arc::new(
        cache_backend_memory::MemoryStorage::builder().max_capacity(64 * 1024).build().unwrap(),
    );
    let origin = Origin::new(|_, request| async move {
        let body = request.url.path().repeat(100);
        Ok(Reply::new(200, &[("cache-control", "max-age=60")], body))
    });
    let touched = support::CountsTouches::new(storage);
    let bench = Bench::with(origin, std::sync::Arc::new(touched.clone()), |builder| builder);
    bench.get().await;
    for _ in 0..300 {
        bench.get().await;
    }
    bench.engine.close().await.unwrap();
    assert_eq!((touched.ability.calls(), touched.ability.uses()), (3, 300));
}

/// What was served without asking the origin counts, also where a batch is under way; what the origin sent or confirmed
/// does not.
#[tokio::test]
async fn a_listing_has_the_hits_that_were_flushed() {
    let origin = Origin::new(|_, request| async move {
        let is_conditional = request.headers.contains_key("if-none-match");
        let status = if is_conditional { 304 } else { 200 };
        Ok(Reply::new(status, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "body"))
    });
    let bench = Bench::new(origin);
    let listed = async || {
        bench.engine.flush_uses().await;
        let listing = bench.engine.storage().unwrap().abilities().listing.unwrap();
        let found: Vec<_> = listing.list(&Filter::all(), bench.now()).try_collect().await.unwrap();
        found.iter().map(|found| found.uses).collect::<Vec<_>>()
    };
    bench.get().await;
    assert_eq!(listed().await, [Some(0)]);
    for _ in 0..300 {
        bench.get().await;
    }
    assert_eq!(listed().await, [Some(300)]);
    bench.clock.forward(60);
    bench.get().await;
    assert_eq!((bench.origin.requests(), listed().await), (2, vec![Some(300)]), "after a 304");
    bench.get().await;
    assert_eq!(listed().await, [Some(301)]);
}
