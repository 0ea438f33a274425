//! The door from a client to what it has stored.

#![cfg(all(feature = "admin", feature = "memory"))]

use std::time::Duration;

use crate::support::{Origin, TestClock, builder, response, source};
use client_reqwest::cache_admin::{EntryFilter, EntryInfo, Run, State, Target};
use client_reqwest::{CachedClient, Fallback, RequestBuilder, Source};
use futures_util::TryStreamExt;
use reqwest::Url;

async fn origin() -> Origin {
    Origin::with(|seen| match seen.path.as_str() {
        "/moved" => response(301, &[("cache-control", "max-age=60"), ("location", "/there")], ""),
        _ => response(200, &[], "x"),
    })
    .await
}

async fn ask(request: RequestBuilder) -> Source {
    source(&request.send().await.unwrap())
}

async fn listed(client: &CachedClient, filter: &EntryFilter) -> Vec<(String, u16)> {
    let admin = client.admin().unwrap();
    let shown = |entry: EntryInfo| {
        let path = Url::parse(entry.url().unwrap()).unwrap().path().to_owned();
        (path, entry.status().unwrap().as_u16())
    };
    let mut all: Vec<_> = admin.entries(filter).unwrap().map_ok(shown).try_collect().await.unwrap();
    all.sort();
    all
}

#[tokio::test]
async fn it_judges_and_finds_as_the_client_does() {
    let (origin, clock) = (origin().await, TestClock::new());
    let builder = builder().clock(clock.clone()).fallback(Fallback::new(Duration::from_secs(30)));
    let client = builder.build().await.unwrap();
    ask(client.get(origin.url("/moved"))).await;
    ask(client.get(origin.url("/hers")).bearer_auth("secret")).await;
    let all = EntryFilter::all();
    let expected = [("/hers", 200), ("/moved", 301), ("/there", 200)].map(|(path, s)| (path.to_owned(), s));
    assert_eq!(listed(&client, &all).await, expected);
    clock.advance(40);
    // The fallback is the client's.
    assert_eq!(listed(&client, &all.clone().state(State::Fresh)).await, expected[1..2]);

    let admin = client.admin().unwrap();
    let hers = Url::parse(&origin.url("/hers")).unwrap();
    assert!(admin.contains(&Target::get(&Url::parse(&origin.url("/there")).unwrap())).await.unwrap());
    assert!(!admin.contains(&Target::get(&hers)).await.unwrap());
    assert_eq!(listed(&client, &all.clone().url(&hers)).await, expected[..1]);

    // What begins anew is a hit again, and to whom it was.
    assert_eq!(admin.reset_expiry(&all, Run::new()).await.unwrap().done, 3);
    assert_eq!(ask(client.get(origin.url("/hers")).bearer_auth("secret")).await, Source::Store);
    assert_eq!(ask(client.get(origin.url("/hers"))).await, Source::Origin);
    assert_eq!(admin.remove_matching(&all.url(&hers), Run::new()).await.unwrap().done, 2);
    assert_eq!(ask(client.get(origin.url("/hers")).bearer_auth("secret")).await, Source::Origin);
}

#[tokio::test]
async fn a_client_without_a_cache_has_none() {
    let client = CachedClient::builder().disabled().build().await.unwrap();
    assert!(client.admin().is_none());
}

#[tokio::test]
async fn it_lists_the_hits_of_the_client_so_far() {
    let client = builder().fallback(Fallback::new(Duration::from_secs(30))).build().await.unwrap();
    let origin = origin().await;
    let hits = async |path: &str| {
        let url = EntryFilter::all().url(&Url::parse(&origin.url(path)).unwrap());
        let admin = client.admin().unwrap();
        let entries: Vec<_> = admin.entries(&url).unwrap().try_collect().await.unwrap();
        entries.iter().map(EntryInfo::hits).collect::<Vec<_>>()
    };
    for path in ["/often", "/often", "/often", "/once"] {
        ask(client.get(origin.url(path))).await;
    }
    assert_eq!((hits("/often").await, hits("/once").await), (vec![Some(2)], vec![Some(0)]));
    for _ in 0..200 {
        assert_eq!(ask(client.get(origin.url("/often"))).await, Source::Store);
    }
    assert_eq!(hits("/often").await, [Some(202)]);
}

/// What memory in front of a store answers counts in the store.
#[cfg(feature = "tiered")]
#[tokio::test]
async fn hits_out_of_a_tier_count_in_the_store() {
    use std::sync::Arc;

    use client_reqwest::{MemoryStorage, TieredStorage};

    let tiered = TieredStorage::builder(Arc::new(MemoryStorage::new())).build().unwrap();
    let client = builder().storage(Arc::new(tiered.clone())).fallback(Fallback::new(Duration::from_secs(30)));
    let (client, origin) = (client.build().await.unwrap(), origin().await);
    for _ in 0..10 {
        ask(client.get(origin.url("/often"))).await;
    }
    let answered = tiered.counters().hits;
    assert!(answered > 5, "memory answered {answered} of 9 hits");
    let admin = client.admin().unwrap();
    let entries: Vec<_> = admin.entries(&EntryFilter::all()).unwrap().try_collect().await.unwrap();
    assert_eq!(entries[0].hits(), Some(9));
}
