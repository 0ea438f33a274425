//! Ways to the server, and what goes wrong on them.

use std::time::Duration;

use crate::own_server::{ask, open, port, raw};
use cache_api::{ErrorKind, Filter, Namespace, Storage, TagDigest, VariantId};
use cache_backend_redis::{RedisStorage, redis};
use cache_conformance::sample::{is_stored, key, put, put_stored, start};
use cache_conformance::services::{
    Trials, own,
    redis::{self as servers, Kind},
};

pub(crate) fn trials() -> Trials {
    Trials::new("redis", own(&Kind::Single).presence())
        .case("scripts_forgotten", scripts_forgotten)
        .case("server_restarted", server_restarted)
        .case("password", password)
        .case("acl_user", acl_user)
        .case("missing_permission", missing_permission)
        .case("nobody_there", nobody_there)
        .case("replica", replica)
        .case("sentinel_fails_over", sentinel_fails_over)
        .case("cluster_down", cluster_down)
        .case("own_connections", own_connections)
        .case("namespaces_over_one_connection", namespaces_over_one_connection)
}

async fn scripts_forgotten() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    for _ in 0..2 {
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
        let _: redis::Value = ask(&mut raw(&service).await, &["SCRIPT", "FLUSH"]).await;
    }
}

async fn server_restarted() {
    let mut service = own(&Kind::Single);
    let url = service.url().unwrap().to_owned();
    let port = port(&service);
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
    let Some(process) = service.process() else { return };
    process.kill().unwrap();
    let error = storage.lookup(&key(1), now).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let _again = servers::on_port(port).unwrap();
    let mut found = storage.lookup(&key(1), now).await;
    for _ in 0..100 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = storage.lookup(&key(1), now).await;
    }
    assert!(found.unwrap().variants().is_empty());
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
}

/// No credential is in what a user or a log sees.
fn without_secrets(shown: &str, secret: &str) {
    assert!(!shown.contains(secret), "{shown}");
}

async fn password() {
    let service = own(&Kind::Password);
    let address = format!("127.0.0.1:{}", port(&service));
    let encoded = "p%3Aa%40s%2Fs%20w%25rd";
    let storage = RedisStorage::from_url(&format!("redis://:{encoded}@{address}/")).await.unwrap();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
    without_secrets(&format!("{storage} {storage:?}"), "a@s/s");
    for (url, secret) in [
        (format!("redis://{address}/"), "nothing-secret"),
        (format!("redis://:wrong-one@{address}/"), "wrong-one"),
        (format!("redis://somebody:wrong-one@{address}/"), "wrong-one"),
    ] {
        let error = RedisStorage::from_url(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(error.to_string().starts_with("redis: connect: "), "{error}");
        without_secrets(&format!("{error} {error:?}"), secret);
        let lazy = RedisStorage::from_url(&format!("{url}?lazy=true")).await.unwrap();
        let error = lazy.lookup(&key(1), start()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        without_secrets(&format!("{error} {error:?} {lazy} {lazy:?}"), secret);
    }
}

/// The permissions that the documentation lists are enough.
async fn acl_user() {
    let service = own(&Kind::Single);
    let permissions = include_str!("../README.md");
    let permissions =
        permissions.split("ACL SETUSER cache on '>secret' ").nth(1).expect("a list of permissions");
    let permissions = permissions.split("```").next().unwrap().replace(['\\', '\''], " ");
    let mut words = vec!["ACL", "SETUSER", "cache", "on", ">secret"];
    words.extend(permissions.split_whitespace());
    let _: redis::Value = ask(&mut raw(&service).await, &words).await;
    let url = format!("redis://cache:secret@127.0.0.1:{}/", port(&service));
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let now = start();
    let tags = [TagDigest::of("a")];
    for _ in 0..2 {
        put(&storage, key(1), vec![1], &tags, now).await.unwrap();
        put_stored(&storage, key(2), 1, 10, now).await.unwrap();
        put_stored(&storage, key(2), 1, 10, now).await.unwrap();
        storage.remove(&key(1), None, now).await.unwrap();
        let abilities = storage.abilities();
        abilities.tags.unwrap().purge(&tags, now).await.unwrap();
        abilities.listing.unwrap().sweep(now).await.unwrap();
        abilities.listing.unwrap().count(&Filter::all(), now).await.unwrap();
        abilities.listing.unwrap().clear(now).await.unwrap();
        let used = cache_api::Use { key: key(2), variant: VariantId::ONLY, at: now };
        abilities.touch.unwrap().touch(&[used], now).await.unwrap();
        abilities.leases.unwrap().acquire(&key(1), Duration::from_secs(1), now).await.unwrap();
        drop(abilities.events.unwrap().subscribe().await.unwrap());
    }
    // And no more than that: another prefix is none of its business.
    let error = RedisStorage::from_url(&format!("{url}?prefix=other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
}

async fn missing_permission() {
    let service = own(&Kind::Single);
    for missing in
        ["-hset", "-pexpireat", "-zadd", "-evalsha", "-touch", "-rename", "-publish", "resetchannels"]
    {
        let words = ["ACL", "SETUSER", "cache", "reset", "on", ">secret", "~*", "&*", "+@all", missing];
        let _: redis::Value = ask(&mut raw(&service).await, &words).await;
        let url = format!("redis://cache:secret@127.0.0.1:{}/", port(&service));
        let error = RedisStorage::from_url(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{missing}: {error:?}");
        assert!(error.to_string().contains("permission"), "{error}");
        without_secrets(&format!("{error} {error:?}"), ">secret");
    }
}

async fn nobody_there() {
    for url in [
        "redis://127.0.0.1:1/",
        "redis+unix:///nowhere/redis.sock",
        "redis-cluster://127.0.0.1:1,127.0.0.1:2",
        "redis-sentinel://127.0.0.1:1/mymaster",
    ] {
        let error = RedisStorage::from_url(&format!("{url}?connect_timeout=1s")).await.unwrap_err();
        assert!(error.is_transient(), "{url}: {error:?}");
        assert!(error.to_string().starts_with("redis: connect: "), "{error}");
        let lazy = RedisStorage::from_url(&format!("{url}?connect_timeout=1s&lazy=true")).await.unwrap();
        let error = lazy.lookup(&key(1), start()).await.unwrap_err();
        assert!(error.is_transient(), "{url}: {error:?}");
    }
}

async fn replica() {
    let (primary, replica) = (own(&Kind::Single), own(&Kind::Single));
    let primary = port(&primary).to_string();
    let mut connection = raw(&replica).await;
    let _: redis::Value = ask(&mut connection, &["REPLICAOF", "127.0.0.1", &primary]).await;
    let error = RedisStorage::from_url(replica.url().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("read-only replica"), "{error:?}");
}

/// The master is killed; the replica takes over, and the storage finds it.
async fn sentinel_fails_over() {
    let mut service = own(&Kind::Sentinel);
    let url = format!("{}?timeout=1s", service.url().unwrap());
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
    let Some(master) = service.process() else { return };
    master.kill().unwrap();
    let mut stored = put(&storage, key(2), vec![1], &[], now).await;
    for _ in 0..600 {
        if stored.as_ref().is_ok_and(is_stored) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        stored = put(&storage, key(2), vec![1], &[], now).await;
    }
    assert!(is_stored(&stored.unwrap()));
    let wrong = service.url().unwrap().replace("mymaster", "nobodys");
    let error = RedisStorage::from_url(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("no master of that name"), "{error:?}");
}

/// A node whose cluster does not serve all slots, named as a cluster and as a server alone.
async fn cluster_down() {
    let service = own(&Kind::Cluster);
    let node =
        service.url().unwrap().trim_start_matches("redis-cluster://").split(',').next().unwrap().to_owned();
    let error = RedisStorage::from_url(&format!("redis://{node}/")).await;
    if let Err(error) = error {
        assert!(error.to_string().contains("redis-cluster://"), "{error:?}");
    }
    let client = redis::Client::open(format!("redis://{node}/")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: redis::Value = ask(&mut connection, &["CLUSTER", "DELSLOTSRANGE", "0", "5461"]).await;
    let storage =
        RedisStorage::from_url(&format!("redis-cluster://{node}/?timeout=1s&lazy=true")).await.unwrap();
    for number in 0..100 {
        if let Err(error) = storage.lookup(&key(number), start()).await {
            assert!(error.is_transient(), "{error:?}");
            return;
        }
    }
    panic!("no key was in the slots that nobody serves");
}

async fn own_connections() {
    let service = own(&Kind::Single);
    let client = redis::Client::open(service.url().unwrap()).unwrap();
    let multiplexed = client.get_multiplexed_async_connection().await.unwrap();
    let manager = client.get_connection_manager().await.unwrap();
    let now = start();
    for (number, builder) in [
        RedisStorage::builder().connection(multiplexed),
        RedisStorage::builder().connection(manager),
        RedisStorage::builder().client(client),
    ]
    .into_iter()
    .enumerate()
    {
        let storage = builder.build().await.unwrap();
        assert!(is_stored(&put(&storage, key(number as u64), vec![1], &[], now).await.unwrap()));
        storage.close().await.unwrap();
        assert_eq!(storage.lookup(&key(1), now).await.unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(RedisStorage::builder().build().await.unwrap_err().kind(), ErrorKind::Config);
}

async fn namespaces_over_one_connection() {
    let service = own(&Kind::Single);
    let one = open(&service).await;
    let two = one.in_namespace(Namespace::new("two").unwrap());
    let now = start();
    put(&one, key(1), vec![1], &[], now).await.unwrap();
    assert!(two.lookup(&key(1), now).await.unwrap().variants().is_empty());
    one.close().await.unwrap();
    assert!(is_stored(&put(&two, key(1), vec![1], &[], now).await.unwrap()));
}
