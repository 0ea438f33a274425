//! Several processes that share a store: one request to the origin a stampede, purges that all see, and random runs in
//! which nobody is served what he may not be. On every store that several processes can share. And stores that die.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/dead_store.rs"]
mod dead_store;
#[path = "../examples/harness/mod.rs"]
mod harness;

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use cache_conformance::{
    Presence,
    services::{self, Service, Trials, redis::Kind},
};
use client_reqwest::{CachedClient, ResponseExt as _, Source};
use futures_util::future::join_all;
use harness::{
    checker::{Run, purge::Purge},
    stampede::Stampede,
};

/// How long a random run takes here. The program `checker` runs for as long as it is told.
const RANDOM: Duration = Duration::from_secs(8);

/// How late a tier of memory over a store without events may see a purge.
const STALENESS: Duration = Duration::from_millis(500);

/// How late one may see it over a store with events: they come some milliseconds after the purge is acknowledged, on a
/// busy machine when the process has its turn.
const EVENTS_COME_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if harness::process::is_child() {
        return in_runtime(harness::run(async { Ok(ExitCode::SUCCESS) }));
    }
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", directory.path().join("cache.sqlite").display());
    let redis = services::redis::single();
    let cluster = services::redis::cluster();
    let others = [
        ("postgres", services::postgres::single()),
        ("dynamodb", services::dynamodb::single()),
        ("mongo", services::mongo::single()),
        ("object-store", services::s3::single()),
    ];
    let tier = format!("{sqlite}?memory=64MiB&memory_staleness={}ms", STALENESS.as_millis());
    let mut trials = trials("sqlite", &Presence::Here, Some(&sqlite), Duration::ZERO)
        .and(trials("tiered", &Presence::Here, Some(&tier), STALENESS))
        .and(of("redis", &redis))
        .and(of("redis-cluster", &cluster))
        .and(trials(
            "tiered-redis",
            &redis.presence(),
            redis.url().map(|url| format!("{url}?memory=64MiB")).as_deref(),
            EVENTS_COME_WITHIN,
        ))
        .and(
            Trials::new("redis-cluster", cluster.presence()).case("node_killed", || killed(Kind::Cluster, 1)),
        )
        .and(Trials::new("redis", redis.presence()).case("server_killed", || killed(Kind::Single, 0)))
        .and(dead("redis", &redis));
    for (backend, service) in &others {
        trials = trials.and(of(backend, service)).and(dead(backend, service));
    }
    trials.run()
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

fn of(backend: &str, service: &Service) -> Trials {
    trials(backend, &service.presence(), service.url(), Duration::ZERO)
}

/// What is promised of a store that is not there any more.
fn dead(backend: &str, service: &Service) -> Trials {
    let url = service.url().unwrap_or_default().to_owned();
    Trials::new(backend, service.presence())
        .case("a_dead_store_is_left_alone", move || async move { dead_store::is_left_alone(&url).await })
}

/// What is promised of the store at that URL, with that bound for purges.
fn trials(backend: &str, presence: &Presence, url: Option<&str>, bound: Duration) -> Trials {
    let url: Arc<str> = url.unwrap_or_default().into();
    let stampede = |kill_leader| {
        let storage = url.to_string();
        move || async move {
            let delay = Duration::from_millis(200);
            let stampede = Stampede { storage, processes: 4, requests: 250, delay, kill_leader };
            let report = stampede.run().await.unwrap();
            let report_text = serde_json::to_string(&report).unwrap();
            println!("{report_text}");
            assert_eq!(report.broken(), Vec::<String>::new(), "{report_text}");
        }
    };
    let purge = {
        let storage = url.to_string();
        move || async move {
            let purge = Purge { storage, processes: 4, bound };
            assert_eq!(purge.run().await.unwrap(), Vec::<String>::new());
        }
    };
    let random = {
        let storage = url.to_string();
        move || async move {
            let run = Run { storage, time: RANDOM, seed: 20_261_126, processes: 4, bound };
            let totals = run.run().await.unwrap();
            let totals_text = serde_json::to_string(&totals).unwrap();
            println!("{totals_text}");
            assert!(!totals.is_broken(), "{totals_text}");
        }
    };
    Trials::new(backend, presence.clone())
        .case("stampede", stampede(false))
        .case("stampede_whose_leader_is_killed", stampede(true))
        .case("purge_seen_by_all", purge)
        .case("random_run", random)
}

/// A server, or one of several, is killed and comes back, under load: no request fails, and then all is cached again.
async fn killed(kind: Kind, nth: usize) {
    let mut service = tokio::task::spawn_blocking(move || services::own(&kind)).await.unwrap();
    let url = service.url().unwrap().to_owned();
    let (_, addresses) = url.trim_end_matches('/').split_once("://").unwrap();
    let address = addresses.split(',').nth(nth).unwrap().to_owned();
    let origin = Router::new().fallback(|| async { ([("cache-control", "max-age=600")], "answer") });
    let origin = harness::serve(origin).await.unwrap();
    let client = harness::client(&url).await.unwrap();
    let resources: Vec<_> = (0..64).map(|number| format!("http://{origin}/{number}")).collect();
    until_all_are_stored(&client, &resources).await;

    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let load = tokio::spawn({
        let (client, resources) = (client.clone(), resources.clone());
        async move {
            let mut rounds = 0;
            while stopped.try_recv().is_err() {
                stored(&client, &resources).await;
                rounds += 1;
            }
            rounds
        }
    });
    let killed = tokio::task::spawn_blocking(move || {
        service.processes().nth(nth).unwrap().kill().unwrap();
        service
    });
    let mut service = killed.await.unwrap();
    for _ in 0..3 {
        let stored = stored(&client, &resources).await;
        assert!(stored < resources.len(), "the killed server still answers");
    }
    let restarted = tokio::task::spawn_blocking(move || {
        let server = service.processes().nth(nth).unwrap();
        server.restart(|| std::net::TcpStream::connect(&address).is_ok()).unwrap();
        service
    });
    let service = restarted.await.unwrap();
    until_all_are_stored(&client, &resources).await;
    stop.send(()).unwrap();
    assert!(load.await.unwrap() > 0);
    client.close().await;
    tokio::task::spawn_blocking(move || drop(service)).await.unwrap();
}

/// Asks for each resource; tells how many answers came from the store. No request fails.
async fn stored(client: &CachedClient, resources: &[String]) -> usize {
    let answers = join_all(resources.iter().map(|resource| async move {
        let response = client.get(resource).send().await.unwrap();
        let source = response.cache_info().unwrap().source;
        assert_eq!(response.text().await.unwrap(), "answer");
        source
    }));
    answers.await.into_iter().filter(|source| *source == Source::Store).count()
}

async fn until_all_are_stored(client: &CachedClient, resources: &[String]) {
    let mut last = 0;
    for _ in 0..600 {
        last = stored(client, resources).await;
        if last == resources.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{last} of {} are stored", resources.len());
}
