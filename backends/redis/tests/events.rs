//! Channels that are lost, that others write to, and ways to listen.

use std::time::Duration;

use crate::own_server::{ask, open, port, raw};
use cache_api::{CacheKey, Error, ErrorKind, Event, EventStream, Namespace, Storage};
use cache_backend_redis::{
    RedisStorage,
    redis::{self, ProtocolVersion, cluster::ClusterClient},
};
use cache_conformance::sample::{key, put, start};
use cache_conformance::services::{Trials, own, redis::Kind};
use futures_util::StreamExt as _;

pub(crate) fn trials() -> Trials {
    Trials::new("redis", own(&Kind::Single).presence())
        .case("server_killed", server_killed)
        .case("server_that_hangs", server_that_hangs)
        .case("subscriber_thrown_out", subscriber_thrown_out)
        .case("dropped_streams_close_their_connections", dropped_streams_close_their_connections)
        .case("what_others_write", what_others_write)
        .case("refused_commits_are_silent", refused_commits_are_silent)
        .case("own_clients", own_clients)
        .case("cluster_node_killed", cluster_node_killed)
        .case("over_sentinel", over_sentinel)
        .case("not_allowed", not_allowed)
}

async fn listen(storage: &RedisStorage) -> EventStream {
    let mut stream = storage.abilities().events.unwrap().subscribe().await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Event::Heartbeat);
    stream
}

async fn hears_of(stream: &mut EventStream, key: CacheKey) {
    loop {
        match stream.next().await.unwrap().unwrap() {
            Event::Heartbeat => {}
            event => {
                assert_eq!(event, Event::Changed(key));
                return;
            }
        }
    }
}

/// The error that ends the events, which must come within that time.
async fn loss(stream: &mut EventStream, within: Duration) -> Error {
    let end = async {
        loop {
            if let Err(error) = stream.next().await.unwrap() {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(within, end).await.expect("no word of the loss");
    assert!(stream.next().await.is_none());
    error
}

async fn server_killed() {
    let mut service = own(&Kind::Single);
    let (one, two) = (open(&service).await, open(&service).await);
    let mut stream = listen(&two).await;
    one.remove(&key(1), None, start()).await.unwrap();
    hears_of(&mut stream, key(1)).await;
    let Some(process) = service.process() else { return };
    process.kill().unwrap();
    let error = loss(&mut stream, Duration::from_secs(5)).await;
    assert!(error.is_transient(), "{error:?}");
    let error = two.abilities().events.unwrap().subscribe().await.err().unwrap();
    assert!(error.is_transient(), "{error:?}");
}

/// The connection stands, and nothing comes over it.
async fn server_that_hangs() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let mut stream = listen(&storage).await;
    let mut connection = raw(&service).await;
    // A server that answers nobody, for longer than a stream may be silent.
    let _: redis::Value = ask(&mut connection, &["CLIENT", "PAUSE", "25000", "ALL"]).await;
    let error = loss(&mut stream, Duration::from_secs(20)).await;
    assert!(error.is_transient(), "{error:?}");
}

async fn subscriber_thrown_out() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let mut stream = listen(&storage).await;
    let mut connection = raw(&service).await;
    let _: u64 = ask(&mut connection, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    loss(&mut stream, Duration::from_secs(5)).await;
    let mut again = listen(&storage).await;
    open(&service).await.remove(&key(1), None, start()).await.unwrap();
    hears_of(&mut again, key(1)).await;
}

async fn dropped_streams_close_their_connections() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    for _ in 0..30 {
        drop(listen(&storage).await);
    }
    let mut connection = raw(&service).await;
    for _ in 0..500 {
        let clients: String = ask(&mut connection, &["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        if clients.trim().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("subscriptions are left");
}

/// What cannot be read may tell of a change.
async fn what_others_write() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let mut stream = listen(&storage).await;
    let mut connection = raw(&service).await;
    for message in ["hello", "2 0101010101010101 c00", "1 0101010101010101 zzz", ""] {
        let heard: u64 = ask(&mut connection, &["PUBLISH", "{http-cache:1:default}:events", message]).await;
        assert_eq!(heard, 1);
        let event = loop {
            match stream.next().await.unwrap().unwrap() {
                Event::Heartbeat => {}
                event => break event,
            }
        };
        assert_eq!(event, Event::Cleared, "{message}");
    }
}

async fn refused_commits_are_silent() {
    let service = own(&Kind::Single);
    let (one, two) = (open(&service).await, open(&service).await);
    let now = start();
    let found = one.lookup(&key(1), now).await.unwrap();
    put(&one, key(1), vec![1], &[], now).await.unwrap();
    let mut stream = listen(&two).await;
    let late = cache_api::Change::Put(cache_conformance::sample::inline(vec![2]).unwrap());
    let entry = cache_conformance::sample::entry(key(1), "late", now);
    let committed = one.commit(found.ticket(), entry, late, now).await.unwrap();
    assert!(matches!(committed, cache_api::Committed::Refused(_)), "{committed:?}");
    one.remove(&key(2), None, now).await.unwrap();
    hears_of(&mut stream, key(2)).await;
}

/// A client can listen, a connection cannot; and namespaces over one connection are told apart.
async fn own_clients() {
    let service = own(&Kind::Single);
    let client = redis::Client::open(service.url().unwrap()).unwrap();
    let multiplexed = client.get_multiplexed_async_connection().await.unwrap();
    let deaf = RedisStorage::builder().connection(multiplexed).build().await.unwrap();
    assert!(deaf.abilities().events.is_none());
    let storage = RedisStorage::builder().client(client).build().await.unwrap();
    let mut stream = listen(&storage).await;
    let twin = storage.in_namespace(Namespace::default());
    storage.in_namespace(Namespace::new("other").unwrap()).remove(&key(1), None, start()).await.unwrap();
    storage.clone().remove(&key(2), None, start()).await.unwrap();
    deaf.remove(&key(3), None, start()).await.unwrap();
    hears_of(&mut stream, key(3)).await;
    twin.remove(&key(4), None, start()).await.unwrap();
    hears_of(&mut stream, key(4)).await;

    let service = own(&Kind::Cluster);
    let nodes =
        service.url().unwrap().trim_start_matches("redis-cluster://").trim_end_matches('/').to_owned();
    let nodes = || nodes.split(',').map(|node| format!("redis://{node}/"));
    let old = RedisStorage::builder().cluster_client(ClusterClient::new(nodes()).unwrap());
    let old = old.build().await.unwrap();
    let error = old.abilities().events.unwrap().subscribe().await.err().unwrap();
    assert_eq!((error.kind(), error.to_string().contains("RESP3")), (ErrorKind::Config, true), "{error:?}");
    let new = ClusterClient::builder(nodes()).use_protocol(ProtocolVersion::RESP3).build().unwrap();
    let new = RedisStorage::builder().cluster_client(new).build().await.unwrap();
    let mut stream = listen(&new).await;
    for number in 0..20 {
        old.remove(&key(number), None, start()).await.unwrap();
        hears_of(&mut stream, key(number)).await;
    }
}

async fn cluster_node_killed() {
    let mut service = own(&Kind::Cluster);
    let url = format!("{}?timeout=1s", service.url().unwrap());
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let mut stream = listen(&storage).await;
    let Some(node) = service.process() else { return };
    node.kill().unwrap();
    let error = loss(&mut stream, Duration::from_secs(20)).await;
    assert!(error.is_transient(), "{error:?}");
}

async fn over_sentinel() {
    let mut service = own(&Kind::Sentinel);
    let url = format!("{}?timeout=1s", service.url().unwrap());
    let (one, two) =
        (RedisStorage::from_url(&url).await.unwrap(), RedisStorage::from_url(&url).await.unwrap());
    let mut stream = listen(&two).await;
    one.remove(&key(1), None, start()).await.unwrap();
    hears_of(&mut stream, key(1)).await;
    let Some(master) = service.process() else { return };
    master.kill().unwrap();
    loss(&mut stream, Duration::from_secs(5)).await;
    // The replica takes over, and events come from there.
    let mut removed = one.remove(&key(2), None, start()).await;
    for _ in 0..600 {
        if removed.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        removed = one.remove(&key(2), None, start()).await;
    }
    removed.unwrap();
    let mut stream = listen(&two).await;
    one.remove(&key(3), None, start()).await.unwrap();
    hears_of(&mut stream, key(3)).await;
}

async fn not_allowed() {
    let service = own(&Kind::Single);
    let user = ["ACL", "SETUSER", "cache", "reset", "on", ">secret", "~*", "&*", "+@all", "-subscribe"];
    let _: redis::Value = ask(&mut raw(&service).await, &user).await;
    let url = format!("redis://cache:secret@127.0.0.1:{}/", port(&service));
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let error = storage.abilities().events.unwrap().subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    // Who may not publish may not change anything unheard.
    let user = ["ACL", "SETUSER", "cache", "resetchannels", "+subscribe"];
    let _: redis::Value = ask(&mut raw(&service).await, &user).await;
    let lazy = RedisStorage::from_url(&format!("{url}?lazy=true")).await.unwrap();
    let error = put(&lazy, key(1), vec![1], &[], start()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert!(open(&service).await.lookup(&key(1), start()).await.unwrap().variants().is_empty());
}
