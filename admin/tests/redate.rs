//! Lifetimes that begin anew.

use std::time::Duration;

use crate::support::{Draft, Shelf, TestClock, memory, on_each, pattern};
use bytes::Bytes;
use cache_admin::{EntryFilter, Run, State};
use cache_api::{CacheKey, VariantId};
use cache_engine::{
    Clock,
    policy::{Fallback, Options, format_date},
};
use futures_util::{FutureExt, TryStreamExt};

const A: &str = "https://a.example.com/x";

fn all() -> EntryFilter {
    EntryFilter::all()
}

#[tokio::test]
async fn an_entry_is_fresh_again_and_keeps_its_body() {
    on_each(|shelf| async move {
        let now = shelf.clock.now();
        let draft = Draft::new(A).control("max-age=60").len(700_000).tags(&["x"]);
        let draft = draft.field("age", "30").field("date", &format_date(now)).field("etag", "\"1\"");
        let key = shelf.put(&draft).await;
        let stored_body = shelf.storage.lookup(&key, now).await.unwrap().variants()[0].version.body;
        shelf.clock.forward(100);
        let now = shelf.clock.now();
        let would = shelf.admin.reset_expiry(&all(), Run::new().dry_run(true)).await.unwrap();
        assert_eq!((would.done, shelf.urls(&all().state(State::Fresh)).await.len()), (1, 0));
        assert_eq!(shelf.admin.reset_expiry(&all(), Run::new()).await.unwrap(), would);

        let entries: Vec<_> = shelf.admin.entries(&all()).unwrap().try_collect().await.unwrap();
        let entry = &entries[0];
        let expires = now + Duration::from_secs(60);
        assert_eq!((entry.state, entry.created(), entry.expires()), (State::Fresh, Some(now), Some(expires)));
        // With its validator it is of use for a week after that; its first writing allows as much.
        assert_eq!(entry.dead_at, expires + Options::new().retention);
        assert_eq!((entry.version.body, entry.stored_at), (stored_body, now));
        let headers = &entry.head().unwrap().headers;
        assert_eq!((headers.get("age"), headers["date"].to_str().unwrap()), (None, &*format_date(now)));
        assert_eq!(entry.tags[..], [cache_api::TagDigest::of("x")]);
        assert_eq!(shelf.body(key, VariantId::ONLY).await, pattern(700_000));
    })
    .await;
}

#[tokio::test]
async fn expires_is_as_far_from_date_as_it_was() {
    for (life, state) in [(60, State::Fresh), (0, State::Expired)] {
        let shelf = Shelf::new(memory("default"), &TestClock::new());
        let now = shelf.clock.now();
        let expires = format_date(now + Duration::from_secs(life));
        let draft = Draft { fields: Vec::new(), ..Draft::new(A) };
        let draft = draft.field("date", &format_date(now)).field("expires", &expires).field("etag", "\"1\"");
        shelf.put(&draft).await;
        shelf.clock.forward(1000);
        assert_eq!(shelf.admin.reset_expiry(&all(), Run::new()).await.unwrap().done, 1);
        assert_eq!(shelf.urls(&all().state(state)).await, [A], "{life}");
    }
}

#[tokio::test]
async fn lifetimes_are_those_of_the_options() {
    let shelf = Shelf::new(memory("default"), &TestClock::new());
    shelf.put(&Draft { fields: Vec::new(), ..Draft::new(A) }).await;
    let hour = Options::new().fallback(Fallback::new(Duration::from_secs(3600)));
    let admin = shelf.admin.clone().with_options(hour);
    shelf.clock.forward(60);
    // Without a lifetime and a validator it is of no use whatever its date.
    assert_eq!(shelf.admin.reset_expiry(&all(), Run::new()).await.unwrap().passed_over, 1);
    assert_eq!(admin.reset_expiry(&all(), Run::new()).await.unwrap().done, 1);
    let entry = admin.entries(&all()).unwrap().try_next().await.unwrap().unwrap();
    assert_eq!(entry.expires(), Some(shelf.clock.now() + Duration::from_secs(3600)));
}

#[tokio::test]
async fn only_what_is_wanted_and_can_be_read() {
    on_each(|shelf| async move {
        shelf.put(&Draft::new(A)).await;
        shelf.put(&Draft::new("https://b.example.com/")).await;
        let key = CacheKey::from_bytes([7; 32]);
        shelf.put_garbage(key, &Draft::new(A), Bytes::from_static(b"?")).await;
        shelf.clock.forward(100);
        let filter = all().pattern("b.example.com".parse().unwrap());
        assert_eq!(shelf.admin.reset_expiry(&filter, Run::new()).await.unwrap().done, 1);
        assert_eq!(shelf.urls(&all().state(State::Expired)).await, [A]);
        let rest = shelf.admin.reset_expiry(&all(), Run::new()).await.unwrap();
        assert_eq!((rest.seen, rest.done, rest.invalid), (3, 2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_head_that_was_replaced_meanwhile_stays() {
    let shelf = Shelf::new(memory("default"), &TestClock::new());
    let key = shelf.put(&Draft::new(A)).await;
    shelf.clock.forward(100);
    // Between the look and the write it is fetched anew; memory answers at once.
    let run = Run::new().on_progress(|so_far| {
        if (so_far.seen, so_far.passed_over) == (1, 0) {
            let _ = shelf.put(&Draft::new(A).control("max-age=5")).now_or_never().unwrap();
        }
    });
    let redated = shelf.admin.reset_expiry(&all(), run).await.unwrap();
    assert_eq!((redated.done, redated.passed_over), (0, 1));
    let entry = &shelf.admin.get_key(&key).await.unwrap()[0];
    assert_eq!(entry.expires(), Some(shelf.clock.now() + Duration::from_secs(5)));
}
