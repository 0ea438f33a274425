//! What is there, by which filter.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{self, Draft, Shelf, TestClock, memory, on_each};
use bytes::Bytes;
use cache_admin::{EntryFilter, Run, State, Target, UrlPattern};
use cache_api::{CacheKey, Error, ErrorKind, Head, Place, Result, Serializer, Totals, Use, VariantId};
use cache_conformance::fault::{FaultyStorage, Operation};
use cache_engine::{Clock, policy::Options};
use futures_util::TryStreamExt;
use http::{HeaderValue, Method, StatusCode, header};
use proptest::prelude::*;
use url::Url;

const A: &str = "https://a.example.com/x";
const B: &str = "https://b.example.com/api/y?page=2";
const EVIL: &str = "https://evil.test/api/?u=a.example.com";

fn all() -> EntryFilter {
    EntryFilter::all()
}

#[tokio::test]
async fn an_entry_tells_what_is_stored_of_it() {
    on_each(|shelf| async move {
        let key = shelf.put(&Draft::new(A).len(70_000).tags(&["x"])).await;
        let stored = shelf.clock.now();
        shelf.clock.forward(10);
        let entries: Vec<_> = shelf.admin.entries(&all()).unwrap().try_collect().await.unwrap();
        let entry = &entries[0];
        assert_eq!((entry.key, entry.variant, entry.len), (key, VariantId::ONLY, 70_000));
        assert_eq!((entry.url(), entry.method()), (Some(A), Some(&Method::GET)));
        assert_eq!((entry.status(), entry.state), (Some(StatusCode::OK), State::Fresh));
        assert_eq!((entry.created(), entry.age()), (Some(stored), Some(Duration::from_secs(10))));
        assert_eq!(entry.expires(), Some(stored + Duration::from_secs(60)));
        assert_eq!((entry.stored_at, entry.dead_at), (stored, stored + Duration::from_secs(3600)));
        assert_eq!(entry.tags[..], [cache_api::TagDigest::of("x")]);
        assert_eq!((entries.len(), entry.damage().is_some()), (1, false));
    })
    .await;
}

#[tokio::test]
async fn filters_narrow_and_states_widen() {
    on_each(|shelf| async move {
        shelf.put(&Draft::new(A).tags(&["x", "y"])).await;
        shelf.clock.forward(100);
        shelf.put(&Draft::new(B).tags(&["x"])).await;
        shelf.put(&Draft::new(EVIL).control("no-cache")).await;
        shelf.put(&Draft::new("https://c.example.com/s").control("max-age=1, stale-if-error=50")).await;
        shelf.clock.forward(10);
        let c = "https://c.example.com/s";
        let hosts = |pattern: &str| all().pattern(pattern.parse::<UrlPattern>().unwrap());
        for (filter, urls) in [
            (all(), vec![A, B, c, EVIL]),
            (all().state(State::Fresh), vec![B]),
            (all().state(State::Stale), vec![c]),
            (all().state(State::Expired), vec![A, EVIL]),
            (all().state(State::Fresh).state(State::Stale), vec![B, c]),
            (all().state(State::Invalid), vec![]),
            (all().tag("x"), vec![A, B]),
            (all().tag("x").tag("y"), vec![A]),
            (all().tag("y").tag("x"), vec![A]),
            (all().tag("z"), vec![]),
            (all().older_than(Duration::from_secs(50)), vec![A]),
            (all().older_than(Duration::from_secs(9)), vec![A, B, c, EVIL]),
            (all().stored_before(shelf.clock.now()).older_than(Duration::from_secs(50)), vec![A]),
            (hosts("*.example.com"), vec![A, B, c]),
            (hosts("*/api/**"), vec![B, EVIL]),
            (hosts("*.example.com/api/*").tag("x"), vec![B]),
            (all().url(&Url::parse(&format!("{B}#part")).unwrap()), vec![B]),
            (all().url(&Url::parse("https://b.example.com/api/y").unwrap()), vec![]),
        ] {
            assert_eq!(shelf.urls(&filter).await, urls, "{filter:?}");
            let count = shelf.admin.count(&filter).await.unwrap();
            assert_eq!(count, Totals::new(urls.len() as u64, 10 * urls.len() as u64), "{filter:?}");
        }
        let summary = shelf.admin.summary(&all(), Run::new()).await.unwrap();
        let entries = [summary.fresh, summary.stale, summary.expired, summary.invalid].map(|t| t.entries);
        assert_eq!((entries, summary.total()), ([1, 1, 2, 0], Totals::new(4, 40)));
    })
    .await;
}

#[tokio::test]
async fn states_are_what_a_request_would_meet() {
    let options = Options::new();
    let lenient = Options::new().stale_if_error(Duration::from_secs(20));
    for (control, after, options, state) in [
        ("max-age=60", 59, &options, State::Fresh),
        ("max-age=60", 60, &options, State::Expired),
        ("max-age=60", 79, &lenient, State::Stale),
        ("max-age=60", 80, &lenient, State::Expired),
        ("max-age=60, must-revalidate", 61, &lenient, State::Expired),
        ("max-age=60, stale-while-revalidate=10", 69, &options, State::Stale),
        ("max-age=60, stale-while-revalidate=10", 70, &options, State::Expired),
        ("max-age=60, stale-if-error=30", 89, &lenient, State::Stale),
        ("no-cache, max-age=60", 0, &lenient, State::Expired),
        ("no-cache=\"set-cookie\", max-age=60", 0, &options, State::Fresh),
    ] {
        let shelf = Shelf::new(memory("default"), &TestClock::new());
        shelf.put(&Draft::new(A).control(control)).await;
        shelf.clock.forward(after);
        let admin = shelf.admin.with_options(options.clone());
        let entry = admin.entries(&all()).unwrap().try_next().await.unwrap().unwrap();
        assert_eq!(entry.state, state, "{control} after {after}");
    }
}

#[tokio::test]
async fn bodies_are_not_read_to_list_heads() {
    let faulty = FaultyStorage::new(memory("default"));
    let shelf = Shelf::new(std::sync::Arc::new(faulty.clone()), &TestClock::new());
    shelf.put(&Draft::new(A).len(600_000)).await;
    shelf.put(&Draft::new(B).len(600_000)).await;
    assert_eq!(shelf.urls(&all().pattern("a.*".parse().unwrap())).await, [A]);
    assert_eq!(shelf.admin.summary(&all(), Run::new()).await.unwrap().total(), Totals::new(2, 1_200_000));
    assert_eq!((faulty.calls(Operation::List), faulty.calls(Operation::Read)), (2, 0));
    // What the store can count by itself is not listed.
    assert_eq!(shelf.admin.count(&all()).await.unwrap(), Totals::new(2, 1_200_000));
    assert_eq!((faulty.calls(Operation::List), faulty.calls(Operation::Count)), (2, 1));
}

#[tokio::test]
async fn a_resource_is_found_by_its_request() {
    on_each(|shelf| async move {
        let url = Url::parse(B).unwrap();
        shelf.put(&Draft::new(B)).await;
        shelf.put(&Draft { tenant: Some("t"), ..Draft::new(A) }).await;
        assert!(shelf.admin.contains(&Target::get(&url)).await.unwrap());
        assert!(shelf.admin.contains(&Target::new(Method::HEAD, &url)).await.unwrap());
        assert!(!shelf.admin.contains(&Target::new(Method::POST, &url)).await.unwrap());
        assert!(!shelf.admin.contains(&Target::get(&url).with_body("x")).await.unwrap());
        // In private mode this is another's.
        let hers =
            Target::get(&url).with_header(header::AUTHORIZATION, HeaderValue::from_static("Basic eA=="));
        assert!(!shelf.admin.contains(&hers).await.unwrap());
        let found = shelf.admin.get(&(&url).into()).await.unwrap();
        assert_eq!((found.len(), found[0].url()), (1, Some(B)));
        let a = Url::parse("https://user:secret@a.example.com/x#f").unwrap();
        assert!(!shelf.admin.contains(&Target::get(&a)).await.unwrap());
        assert!(shelf.admin.contains(&Target::get(&a).with_tenant("t")).await.unwrap());
    })
    .await;
}

/// Long work can be a task of its own.
#[test]
fn work_can_be_spawned() {
    fn spawnable(work: impl Future + Send) {
        drop(work);
    }
    let (shelf, filter) = (Shelf::new(memory("default"), &TestClock::new()), all());
    let options = cache_admin::CopyOptions::new();
    spawnable(shelf.admin.summary(&filter, Run::new()));
    spawnable(shelf.admin.purge_expired(Run::new().on_progress(|_| {})));
    spawnable(shelf.admin.reset_expiry(&filter, Run::new()));
    spawnable(shelf.admin.copy_to(&shelf.admin, &filter, &options, Run::new()));
}

#[test]
fn nothing_secret_is_shown() {
    let url = Url::parse("https://user:hunter2@example.com/a?token=hunter2").unwrap();
    let target = Target::get(&url).with_body("hunter2").with_tenant("hunter2");
    let target = target.with_header(header::AUTHORIZATION, HeaderValue::from_static("hunter2"));
    assert!(!format!("{target:?}").contains("hunter2"));
}

#[tokio::test]
async fn the_last_use_is_known_where_it_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(support::sqlite(&directory, "default").await, &TestClock::new());
    let key = shelf.put(&Draft::new(A)).await;
    shelf.clock.forward(5);
    let at = shelf.clock.now();
    let used = [Use { key, variant: VariantId::ONLY, at }];
    shelf.storage.abilities().touch.unwrap().touch(&used, at).await.unwrap();
    for filter in [all(), all().stored_before(at)] {
        let entry = shelf.admin.entries(&filter).unwrap().try_next().await.unwrap().unwrap();
        assert_eq!(entry.used_at, Some(at));
    }
    let elsewhere = Shelf::new(memory("default"), &TestClock::new());
    elsewhere.put(&Draft::new(A)).await;
    let entry = elsewhere.admin.entries(&all()).unwrap().try_next().await.unwrap().unwrap();
    assert_eq!(entry.used_at, None);
}

#[tokio::test]
async fn hits_are_flushed_before_they_are_listed() {
    on_each(|shelf| async move {
        let key = shelf.put(&Draft::new(A)).await;
        let (storage, at) = (shelf.storage.clone(), shelf.clock.now());
        let admin = shelf.admin.clone().with_flush(move || {
            let storage = storage.clone();
            let used = [Use { key, variant: VariantId::ONLY, at }; 2];
            async move { storage.abilities().touch.unwrap().touch(&used, at).await.unwrap() }
        });
        for expected in [2, 4] {
            let entry = admin.entries(&all()).unwrap().try_next().await.unwrap().unwrap();
            assert_eq!(entry.hits(), Some(expected));
        }
        // A lookup does not tell.
        assert_eq!(admin.get(&Target::get(&Url::parse(A).unwrap())).await.unwrap()[0].hits(), None);
    })
    .await;
}

#[tokio::test]
async fn a_key_service_that_is_away_makes_nothing_invalid() {
    #[derive(Debug)]
    struct Away;

    #[async_trait::async_trait]
    impl Serializer for Away {
        async fn encode_head(&self, _: &Place, _: &Head) -> Result<Bytes> {
            Ok(Bytes::new())
        }
        async fn decode_head(&self, _: &Place, _: Bytes) -> Result<Head> {
            Err(Error::new(ErrorKind::Unavailable, "decode"))
        }
        async fn encode_frame(&self, _: &Place, plaintext: Bytes) -> Result<Bytes> {
            Ok(plaintext)
        }
        async fn decode_frame(&self, _: &Place, bytes: Bytes) -> Result<Bytes> {
            Ok(bytes)
        }
    }

    let shelf = Shelf::with(memory("default"), std::sync::Arc::new(Away), &TestClock::new());
    shelf.put_garbage(CacheKey::from_bytes([1; 32]), &Draft::new(A), Bytes::from_static(b"?")).await;
    let failed = shelf.admin.remove_invalid(Run::new()).await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert_eq!(shelf.admin.count(&all()).await.unwrap().entries, 1);
}

#[tokio::test]
async fn a_storage_without_listing_says_so() {
    #[derive(Debug)]
    struct Narrow(std::sync::Arc<dyn cache_api::Storage>);
    impl std::fmt::Display for Narrow {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("narrow")
        }
    }
    forward_without_abilities!(Narrow);
    let shelf = Shelf::new(std::sync::Arc::new(Narrow(memory("default"))), &TestClock::new());
    for error in [
        shelf.admin.entries(&all()).map(|_| ()).unwrap_err(),
        shelf.admin.count(&all()).await.unwrap_err(),
        shelf.admin.clear().await.unwrap_err(),
        shelf.admin.purge_expired(Run::new()).await.unwrap_err(),
        shelf.admin.remove_tagged(&[]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("narrow has no"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Heads that others wrote, or that were damaged, are counted and never more.
    #[test]
    fn hostile_heads_are_invalid(heads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8), cut in 0_usize..300) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shelf = Shelf::new(memory("default"), &TestClock::new());
            shelf.put(&Draft::new(A)).await;
            let mut hostile: BTreeMap<CacheKey, Bytes> = BTreeMap::new();
            for (n, head) in heads.iter().enumerate() {
                let n = u8::try_from(n).unwrap();
                hostile.insert(CacheKey::from_bytes([n; 32]), Bytes::from(head.clone()));
            }
            // A head of its own serializer, of another place, and cut.
            let place = Place::head(shelf.storage.namespace(), CacheKey::from_bytes([99; 32]), VariantId::ONLY, cache_api::BodyId::from_bytes([0; 16]));
            let head = Head::new(Method::GET, B, StatusCode::OK, http::HeaderMap::new(), shelf.clock.now(), shelf.clock.now());
            let bytes = shelf.serializer.encode_head(&place, &head).await.unwrap();
            hostile.insert(CacheKey::from_bytes([99; 32]), bytes.slice(..cut.min(bytes.len())));
            for (key, head) in &hostile {
                shelf.put_garbage(*key, &Draft::new(B), head.clone()).await;
            }
            let summary = shelf.admin.summary(&all(), Run::new()).await.unwrap();
            assert_eq!((summary.fresh.entries, summary.invalid.entries), (1, hostile.len() as u64));
            assert_eq!(shelf.urls(&all().pattern("*".parse().unwrap())).await, [A]);
            let gone = shelf.admin.remove_invalid(Run::new()).await.unwrap();
            assert_eq!((gone.done, gone.seen), (hostile.len() as u64, 1 + hostile.len() as u64));
            assert_eq!(shelf.urls(&all()).await, [A]);
        });
    }
}
