//! Channels that are lost, that others write to, and what is told of commits.

use std::time::Duration;

use crate::server::{self, Server, present};
use cache_api::{
    BodyId, CacheKey, Change, Committed, Error, ErrorKind, Event, EventStream, Namespace, Storage, TagDigest,
};
use cache_backend_postgres::PostgresStorage;
use cache_conformance::{
    sample::{self, is_stored, key, put, start},
    services::{Service, own, postgres},
};
use futures_util::{StreamExt as _, future::join_all};
use sqlx::{PgConnection, PgPool, Row as _, query, raw_sql};

fn single() -> Option<Service> {
    let service = postgres::single();
    present(&service).then_some(service)
}

fn namespace() -> Namespace {
    Namespace::new(&BodyId::random().unwrap().to_string()).unwrap()
}

async fn open(service: &Service, namespace: &Namespace) -> PostgresStorage {
    Server::at(service.url()).builder().namespace(namespace.clone()).build().await.unwrap()
}

async fn listen(storage: &PostgresStorage) -> EventStream {
    let mut stream = storage.abilities().events.unwrap().subscribe().await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Event::Heartbeat);
    stream
}

async fn next(stream: &mut EventStream) -> Event {
    loop {
        match stream.next().await.unwrap().unwrap() {
            Event::Heartbeat => {}
            event => return event,
        }
    }
}

/// The error that ends the events, which must come soon.
async fn loss(stream: &mut EventStream) -> Error {
    let end = async {
        loop {
            if let Err(error) = stream.next().await.unwrap() {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), end).await.expect("no word of the loss");
    assert!(stream.next().await.is_none());
    error
}

#[tokio::test]
async fn a_server_that_is_killed_ends_the_stream() {
    let mut service = own(&postgres::Single);
    if !present(&service) {
        return;
    }
    let storage = open(&service, &namespace()).await;
    let mut stream = listen(&storage).await;
    let Some(process) = service.process() else { return };
    process.kill().unwrap();
    assert!(loss(&mut stream).await.is_transient());
}

#[tokio::test]
async fn a_listener_that_is_thrown_out_is_not_replaced_in_silence() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let (one, two) = (open(&service, &namespace).await, open(&service, &namespace).await);
    let mut stream = listen(&two).await;
    let mut raw = Server::at(service.url()).raw().await.unwrap();
    let end = query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1");
    end.bind(format!("LISTEN%{namespace}%")).execute(&mut raw).await.unwrap();
    assert!(loss(&mut stream).await.is_transient());
    let mut again = listen(&two).await;
    one.remove(&key(1), None, start()).await.unwrap();
    assert_eq!(next(&mut again).await, Event::Changed(key(1)));
}

async fn listeners(raw: &mut PgConnection, namespace: &Namespace) -> i64 {
    let count = query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1");
    count.bind(format!("LISTEN%{namespace}%")).fetch_one(raw).await.unwrap().get(0)
}

#[tokio::test]
async fn dropped_streams_close_their_connections() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let storage = open(&service, &namespace).await;
    let mut raw = Server::at(service.url()).raw().await.unwrap();
    let streams: Vec<_> = join_all((0..5).map(|_| listen(&storage))).await;
    assert_eq!(listeners(&mut raw, &namespace).await, 5);
    drop(streams);
    for _ in 0..500 {
        if listeners(&mut raw, &namespace).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("subscriptions are left");
}

/// What cannot be read may tell of a change.
#[tokio::test]
async fn what_others_notify_is_everything() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let storage = open(&service, &namespace).await;
    let mut stream = listen(&storage).await;
    let mut raw = Server::at(service.url()).raw().await.unwrap();
    for payload in ["", "hello", "2 0101010101010101 c00"] {
        let notify = query("SELECT pg_notify($1, $2)");
        let channel = format!("http-cache:{}.{namespace}", server::SCHEMA);
        notify.bind(channel).bind(payload).execute(&mut raw).await.unwrap();
        assert_eq!(next(&mut stream).await, Event::Cleared, "{payload}");
    }
}

/// More keys than one payload holds, and `close` tells of all of them.
#[tokio::test]
async fn close_tells_of_what_was_gathered() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let (one, two) = (open(&service, &namespace).await, open(&service, &namespace).await);
    let mut stream = listen(&two).await;
    let committed = join_all((0..300).map(|number| put(&one, key(number), vec![1], &[], start()))).await;
    assert!(committed.into_iter().all(|committed| is_stored(&committed.unwrap())));
    one.close().await.unwrap();
    one.close().await.unwrap();
    let mut left: Vec<CacheKey> = (0..300).map(key).collect();
    while !left.is_empty() {
        let event = next(&mut stream).await;
        left.retain(|key| event != Event::Changed(*key));
    }
    assert_eq!(two.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
}

/// A role that may commit, and for a while not notify.
#[tokio::test]
async fn what_could_not_be_told_is_told_later() {
    let service = own(&postgres::Single);
    if !present(&service) {
        return;
    }
    let namespace = namespace();
    let two = open(&service, &namespace).await;
    let mut stream = listen(&two).await;
    let mut raw = Server::at(service.url()).raw().await.unwrap();
    let grants = "CREATE ROLE app LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA cache_conformance TO app;
        GRANT ALL ON ALL TABLES IN SCHEMA cache_conformance TO app;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA cache_conformance TO app;
        GRANT ALL ON ALL FUNCTIONS IN SCHEMA cache_conformance TO app";
    raw_sql(grants).execute(&mut raw).await.unwrap();
    let mut url = url::Url::parse(service.url().unwrap()).unwrap();
    url.set_username("app").unwrap();
    url.set_password(Some("secret")).unwrap();
    let builder = Server::at(Some(url.as_str())).builder().create(false);
    let one = builder.namespace(namespace.clone()).build().await.unwrap();
    for number in 0..20 {
        let revoke = raw_sql("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC");
        revoke.execute(&mut raw).await.unwrap();
        put(&one, key(number), vec![1], &[], start()).await.unwrap();
        // On a slow day it is not tried before it is allowed.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let grant = raw_sql("GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC");
        grant.execute(&mut raw).await.unwrap();
        match next(&mut stream).await {
            Event::Cleared => return,
            event => assert_eq!(event, Event::Changed(key(number))),
        }
    }
    panic!("telling never failed");
}

#[tokio::test]
async fn a_storage_that_is_dropped_tells_all_the_same() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let (one, two) = (open(&service, &namespace).await, open(&service, &namespace).await);
    let mut stream = listen(&two).await;
    put(&one, key(1), vec![1], &[], start()).await.unwrap();
    drop(one);
    assert_eq!(next(&mut stream).await, Event::Changed(key(1)));
    // A commit that is cut off may happen.
    let one = open(&service, &namespace).await;
    let found = one.lookup(&key(2), start()).await.unwrap();
    let entry = sample::entry(key(2), "head", start());
    let commit = one.commit(found.ticket(), entry, Change::Put(sample::inline(vec![1]).unwrap()), start());
    tokio::select! {
        biased;
        _ = commit => panic!("a commit without a round trip"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(next(&mut stream).await, Event::Changed(key(2)));
}

#[tokio::test]
async fn refused_commits_are_silent() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let (one, two) = (open(&service, &namespace).await, open(&service, &namespace).await);
    let found = one.lookup(&key(1), start()).await.unwrap();
    put(&two, key(1), vec![1], &[], start()).await.unwrap();
    let mut stream = listen(&two).await;
    let late = Change::Put(sample::inline(vec![2]).unwrap());
    let entry = sample::entry(key(1), "late", start());
    let committed = one.commit(found.ticket(), entry, late, start()).await.unwrap();
    assert!(matches!(committed, Committed::Refused(_)), "{committed:?}");
    one.abilities().tags.unwrap().purge(&[TagDigest::of("a")], start()).await.unwrap();
    assert_eq!(next(&mut stream).await, Event::Purged([TagDigest::of("a")].into()));
}

#[tokio::test]
async fn over_a_pool_and_in_other_namespaces() {
    let Some(service) = single() else { return };
    let namespace = namespace();
    let pool = PgPool::connect(service.url().unwrap()).await.unwrap();
    let builder = PostgresStorage::builder().pool(pool.clone()).schema(server::SCHEMA);
    let storage = builder.namespace(namespace.clone()).build().await.unwrap();
    let mut stream = listen(&storage).await;
    let twin = storage.in_namespace(namespace.clone()).await.unwrap();
    let other = storage.in_namespace(self::namespace()).await.unwrap();
    put(&other, key(1), vec![1], &[], start()).await.unwrap();
    put(&storage.clone(), key(2), vec![1], &[], start()).await.unwrap();
    put(&twin, key(3), vec![1], &[], start()).await.unwrap();
    assert_eq!(next(&mut stream).await, Event::Changed(key(3)));
    twin.close().await.unwrap();
    assert_eq!(loss(&mut stream).await.kind(), ErrorKind::Closed);
    assert!(!pool.is_closed(), "the user's pool was closed");
}
