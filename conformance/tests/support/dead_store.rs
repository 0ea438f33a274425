//! A store that dies under load: its users are answered by the origin, wait for its deadline once, and then leave it alone
//! until it is back. Over a real server, behind a proxy that lets nothing through.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use cache_conformance::{
    fault::{FaultyStorage, Operation},
    proxy::{Direction, Proxy},
    services,
};
use client_reqwest::{CachedClient, ResponseExt as _, Source, storage_from_url};
use futures_util::{StreamExt as _, stream};

use crate::harness;

/// Ten times what can be under way, so that most come when the store is known to be dead.
const REQUESTS: usize = 2000;
const AT_ONCE: usize = 200;
const DEADLINE: Duration = Duration::from_secs(1);
const PROBES: Duration = Duration::from_millis(500);
/// After how many failures in a row the store is left alone.
const FAILURES: u32 = 10;

/// How long the store may take to be used again on a busy machine: the driver has to find the server first.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// How the server is not there.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Nothing is answered.
    Silent,
    /// Connections break, and no new one is made.
    Refused,
}

/// Requests, 200 at once, while the store is silent, and again while it refuses: none fails, each is one request
/// to the origin, and the store is asked by those that were first, and by its probes, alone. Then it is used again.
pub(crate) async fn is_left_alone(url: &str) {
    let proxy = Proxy::to(services::address(url).unwrap()).await.unwrap();
    let there = harness::Store::open(&services::at_address(url, &proxy.address().to_string()), "dead").await;
    let there = there.unwrap();
    let storage = FaultyStorage::new(storage_from_url(&there.url).await.unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = Router::new().fallback({
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            async { ([("cache-control", "max-age=600")], "answer") }
        }
    });
    let origin = harness::serve(origin).await.unwrap();
    let client = harness::builder()
        .storage(Arc::new(storage.clone()))
        .storage_read_deadline(DEADLINE)
        .storage_write_deadline(DEADLINE)
        .storage_breaker_failures(FAILURES)
        .storage_probe_interval(PROBES)
        .build()
        .await
        .unwrap();
    let warm = format!("http://{origin}/warm");
    until_it_is_used(&client, &warm).await;

    for death in [Death::Silent, Death::Refused] {
        match death {
            Death::Silent => proxy.stall(&Direction::BOTH),
            Death::Refused => {
                proxy.refuse(true);
                proxy.cut();
            }
        }
        let before = (storage.calls(Operation::Lookup), storage.calls(Operation::Writer));
        asked.store(0, Ordering::Relaxed);
        let began = harness::now();
        let longest = stream::iter(0..REQUESTS)
            .map(|number| {
                let request = client.get(format!("http://{origin}/{death:?}/{number}"));
                tokio::spawn(async move {
                    let began = harness::now();
                    let response = request.send().await.unwrap();
                    assert_eq!(response.text().await.unwrap(), "answer");
                    began.elapsed()
                })
            })
            .buffer_unordered(AT_ONCE)
            .fold(Duration::ZERO, async |longest, took| longest.max(took.unwrap()))
            .await;
        let all = began.elapsed();
        let calls = |operation| storage.calls(operation);
        let (lookups, writers) = (calls(Operation::Lookup) - before.0, calls(Operation::Writer) - before.1);
        println!(
            "{death:?}: {lookups} lookups, {writers} writers; the longest took {longest:?}, all {all:?}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), REQUESTS, "{death:?}");
        // Those that came before it was known to be dead: all that were under way, and who took the place of the first that
        // failed. And one for each interval that the whole took.
        let probes = u64::try_from(all.as_millis() / PROBES.as_millis()).unwrap() + 1;
        assert!(lookups <= AT_ONCE as u64 + u64::from(FAILURES) + probes, "{death:?}: {lookups} lookups");

        proxy.refuse(false);
        proxy.resume();
        until_it_is_used(&client, &warm).await;
    }
    client.close().await;
    there.close().await.unwrap();
}

/// Waits until an answer comes out of the store.
async fn until_it_is_used(client: &CachedClient, resource: &str) {
    let began = harness::now();
    while began.elapsed() < BACK_WITHIN {
        let response = client.get(resource).send().await.unwrap();
        let source = response.cache_info().unwrap().source;
        assert_eq!(response.text().await.unwrap(), "answer");
        if source == Source::Store {
            println!("used after {:?}", began.elapsed());
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the store is not used");
}
