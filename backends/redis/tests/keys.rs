//! What lies in the server: round trips, expiry of every key, eviction, values of others.

use std::time::{Duration, SystemTime};

use crate::own_server::{ask, open, port, raw};
use cache_api::{
    Body, CacheKey, Change, Committed, ErrorKind, FRAME_SIZE, Filter, Outcome, Refusal, Storage, TagDigest,
    Use, VariantId,
};
use cache_backend_redis::{
    RedisStorage,
    redis::{self, aio::MultiplexedConnection},
};
use cache_conformance::sample::{entry, inline, is_stored, key, put, put_stored, start, stored};
use cache_conformance::{
    proxy::Proxy,
    services::{Service, Trials, own, redis::Kind},
};
use futures_util::{StreamExt as _, TryStreamExt as _};

pub(crate) fn trials() -> Trials {
    Trials::new("redis", own(&Kind::Single).presence())
        .case("round_trips", round_trips)
        .case("every_key_expires", every_key_expires)
        .case("one_slot", one_slot)
        .case("values_of_others", values_of_others)
        .case("state_evicted", state_evicted)
        .case("tag_index_evicted", tag_index_evicted)
        .case("body_evicted", body_evicted)
        .case("index_is_tidied", index_is_tidied)
        .case("marks_are_bounded", marks_are_bounded)
        .case("full_server", full_server)
        .case("max_entry_size", max_entry_size)
        .case("uses", uses)
}

async fn round_trips() {
    let service = own(&Kind::Single);
    let proxy = Proxy::to(format!("127.0.0.1:{}", port(&service))).await.unwrap();
    let url = format!("redis://{}/", proxy.address());
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let now = start();
    let tags = [TagDigest::of("a")];
    // Once with scripts that the server does not know yet.
    for round in 0..2 {
        let known = round == 1;
        let trips = |expected: u64, what: &str| {
            let trips = proxy.trips();
            assert!(!known || trips == expected, "{what} took {trips} round trips in place of {expected}");
        };
        let key = key(round);
        trips(0, "nothing");
        let found = storage.lookup(&key, now).await.unwrap();
        trips(1, "a lookup of nothing");
        let small = entry(key, "head", now).with_tags(tags);
        let body = Change::Put(inline(vec![1; 50_000]).unwrap());
        let committed = storage.commit(found.ticket(), small.clone(), body, now).await.unwrap();
        trips(1, "storing a small entry");
        let Committed::Stored { version, .. } = committed else { panic!("{committed:?}") };
        let found = storage.lookup(&key, now).await.unwrap();
        trips(1, "a lookup with an inline body");
        assert!(matches!(found.variants()[0].body, Body::Inline(_)));
        let kept = storage.commit(found.ticket(), small, Change::Keep(version), now).await.unwrap();
        trips(1, "replacing a head");
        assert!(is_stored(&kept));
        storage.abilities().touch.unwrap().touch(&[used(key, now); 3], now).await.unwrap();
        trips(1, "three uses of one resource");
        let found = storage.lookup(&key, now).await.unwrap();
        let _ = proxy.trips();
        let body = stored(&storage, found.ticket(), 7, 4 * FRAME_SIZE, now).await.unwrap();
        let id = body.id;
        let change = Change::Put(Body::Stored(body));
        assert!(is_stored(
            &storage.commit(found.ticket(), entry(key, "head", now), change, now).await.unwrap()
        ));
        trips(5, "storing a body of four frames");
        assert_eq!(storage.read(&key, id, 0..4).await.unwrap().len(), 4);
        trips(1, "reading four frames");
        assert_eq!(storage.remove(&key, None, now).await.unwrap(), 1);
        trips(1, "a removal");
    }
}

/// Everything that the storage can leave behind, and the expiry of each key.
async fn every_key_expires() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let abilities = storage.abilities();
    let now = start();
    let tags = [TagDigest::of("a"), TagDigest::of("b")];
    for number in 0..40 {
        assert!(is_stored(&put(&storage, key(number), vec![0; 10], &tags, now).await.unwrap()));
        put_stored(&storage, key(100 + number), 1, 300_000, now).await.unwrap();
        // Pending, retired, refused.
        let found = storage.lookup(&key(100 + number), now).await.unwrap();
        stored(&storage, found.ticket(), 2, 10, now).await.unwrap();
        put_stored(&storage, key(100 + number), 3, 10, now).await.unwrap();
    }
    let uses: Vec<_> = (0..40).map(|number| used(key(number), now)).collect();
    abilities.touch.unwrap().touch(&uses, now).await.unwrap();
    storage.remove(&key(1), None, now).await.unwrap();
    storage.remove(&key(999), None, now).await.unwrap();
    let leases = abilities.leases.unwrap();
    for number in 0..3 {
        let acquired = leases.acquire(&key(number), Duration::from_secs(30), now).await.unwrap();
        let cache_api::Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
        let outcome = [Outcome::Done, Outcome::Uncacheable(Duration::from_secs(60))];
        if number < 2 {
            leases.release(&lease, outcome[usize::try_from(number).unwrap()], now).await.unwrap();
        }
    }
    assert_eq!(unexpiring(&service).await, Vec::<String>::new());
    abilities.tags.unwrap().purge(&tags[..1], now).await.unwrap();
    assert_eq!(unexpiring(&service).await, Vec::<String>::new());
    put(&storage, key(5), vec![0; 10], &tags, now).await.unwrap();
    abilities.listing.unwrap().sweep(now + Duration::from_secs(700)).await.unwrap();
    assert_eq!(unexpiring(&service).await, Vec::<String>::new());
    abilities.listing.unwrap().clear(now).await.unwrap();
    put(&storage, key(5), vec![0; 10], &tags, now).await.unwrap();
    assert_eq!(unexpiring(&service).await, Vec::<String>::new());
}

async fn unexpiring(service: &Service) -> Vec<String> {
    let mut raw = raw(service).await;
    let mut bad = Vec::new();
    let keys: Vec<String> = ask(&mut raw, &["KEYS", "*"]).await;
    assert!(!keys.is_empty());
    for name in keys {
        let left: i64 = ask(&mut raw, &["PTTL", &name]).await;
        if left == -1 || !name.starts_with("{http-cache:1:default:") {
            bad.push(name);
        }
    }
    bad
}

/// A Cluster puts what has one hash tag (the first `{…}` of a key) into one slot; a script may touch no other.
async fn one_slot() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let tags = [TagDigest::of("a"), TagDigest::of("b")];
    let mut raw = raw(&service).await;
    for number in 0..8 {
        let key = key(number);
        put(&storage, key, vec![0; 10], &tags, now).await.unwrap();
        put_stored(&storage, key, 1, 300_000, now).await.unwrap();
        let found = storage.lookup(&key, now).await.unwrap();
        stored(&storage, found.ticket(), 2, 10, now).await.unwrap();
        storage.abilities().leases.unwrap().acquire(&key, Duration::from_secs(30), now).await.unwrap();
        let keys = keys_ending(&mut raw, "*").await;
        let mut slots: Vec<&str> = keys.iter().filter_map(|name| name.split(['{', '}']).nth(1)).collect();
        assert_eq!(slots.len(), keys.len(), "a key without a hash tag: {keys:?}");
        slots.dedup();
        assert!(slots.len() == 1 && keys.len() > 4, "resource {number}: {keys:?}");
        let _: redis::Value = ask(&mut raw, &["FLUSHALL"]).await;
    }
}

/// Each of our keys in turn holds a value of another type, or other bytes: a miss, and the next write mends it.
async fn values_of_others() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let tags = [TagDigest::of("a")];
    let mut connection = raw(&service).await;
    for make in [
        &["SET", "KEY", "another program's"][..],
        &["SADD", "KEY", "another", "program"],
        &["HSET", "KEY", "e", "x", "n", "y", "s", "z"],
        &["ZADD", "KEY", "1", "another"],
        &["LPUSH", "KEY", "another"],
    ] {
        assert!(is_stored(&put(&storage, key(1), vec![1; 10], &tags, now).await.unwrap()));
        assert!(is_stored(&put_stored(&storage, key(1), 1, 10, now).await.unwrap()));
        let found = storage.lookup(&key(1), now).await.unwrap();
        let keys: Vec<String> = ask(&mut connection, &["KEYS", "*"]).await;
        for name in keys {
            let words: Vec<&str> =
                make.iter().map(|word| if *word == "KEY" { &*name } else { word }).collect();
            let _: redis::Value = ask(&mut connection, &["DEL", &name]).await;
            let _: redis::Value = ask(&mut connection, &words).await;
            storage.lookup(&key(1), now).await.unwrap();
            let read = storage.read(&key(1), found.variants()[0].version.body, 0..1).await;
            assert!(read.is_ok() || read.unwrap_err().is_gone());
            let listing = storage.abilities().listing.unwrap();
            let all = Filter::all();
            listing
                .list(&all, now)
                .collect::<Vec<_>>()
                .await
                .into_iter()
                .for_each(|found| drop(found.unwrap()));
            listing.count(&all, now).await.unwrap();
            listing.sweep(now).await.unwrap();
            storage.abilities().tags.unwrap().purge(&[TagDigest::of("z")], now).await.unwrap();
            let stored = put(&storage, key(1), vec![2; 10], &tags, now).await.unwrap();
            assert!(is_stored(&stored), "{make:?} at {name}: {stored:?}");
            assert_eq!(storage.lookup(&key(1), now).await.unwrap().variants().len(), 1);
            assert_eq!(storage.remove(&key(1), None, now).await.unwrap(), 1);
            listing.clear(now).await.unwrap();
        }
        let _: redis::Value = ask(&mut connection, &["FLUSHALL"]).await;
    }
}

async fn keys_ending(connection: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    ask(connection, &["KEYS", pattern]).await
}

async fn evict(connection: &mut MultiplexedConnection, pattern: &str) {
    let keys = keys_ending(connection, pattern).await;
    assert!(!keys.is_empty(), "nothing is like {pattern}");
    for name in keys {
        let _: redis::Value = ask(connection, &["DEL", &name]).await;
    }
}

/// With the state the memory of removals goes, and with it all that might undo one.
async fn state_evicted() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let found = storage.lookup(&key(1), now).await.unwrap();
    storage.remove(&key(1), None, now).await.unwrap();
    evict(&mut raw(&service).await, "*:s").await;
    for _ in 0..2 {
        let late = entry(key(1), "late", now);
        let committed =
            storage.commit(found.ticket(), late, Change::Put(inline(vec![1]).unwrap()), now).await.unwrap();
        assert_eq!(committed, Committed::Refused(Refusal::Removed));
        assert!(storage.lookup(&key(1), now).await.unwrap().variants().is_empty());
    }
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
}

/// What only the tag index knew goes out of sight with the next purge, so that a purge finds all.
async fn tag_index_evicted() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let (tag, other) = ([TagDigest::of("a")], [TagDigest::of("b")]);
    for again in [false, true] {
        put(&storage, key(1), vec![1], &tag, now).await.unwrap();
        put(&storage, key(2), vec![1], &[], now).await.unwrap();
        evict(&mut raw(&service).await, "*:t").await;
        if again {
            // Another write makes the index anew, without the first.
            let found = storage.lookup(&key(1), now).await.unwrap();
            let mut second = entry(key(1), "head", now).with_tags(other);
            second.variant = VariantId::from_bytes([1; 16]);
            storage.commit(found.ticket(), second, Change::Put(inline(vec![1]).unwrap()), now).await.unwrap();
        }
        storage.abilities().tags.unwrap().purge(&tag, now).await.unwrap();
        let left = storage.lookup(&key(1), now).await.unwrap();
        assert!(left.variants().iter().all(|variant| *variant.tags != tag), "{left:?}");
        assert_eq!(storage.lookup(&key(2), now).await.unwrap().variants().len(), 1);
        assert!(is_stored(&put(&storage, key(1), vec![1], &tag, now).await.unwrap()));
        assert_eq!(storage.abilities().tags.unwrap().purge(&tag, now).await.unwrap(), 1);
    }
}

async fn body_evicted() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    put_stored(&storage, key(1), 1, 300_000, now).await.unwrap();
    evict(&mut raw(&service).await, "*:b:*").await;
    assert!(storage.lookup(&key(1), now).await.unwrap().variants().is_empty());
    assert!(is_stored(&put_stored(&storage, key(1), 2, 300_000, now).await.unwrap()));
    assert_eq!(storage.lookup(&key(1), now).await.unwrap().variants().len(), 1);
}

/// Commits alone clear the indexes of what the server evicted: they do not grow beyond what is there.
async fn index_is_tidied() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let mut connection = raw(&service).await;
    let now = start();
    let tags = [TagDigest::of("a")];
    for number in 0..6000 {
        assert!(is_stored(&put(&storage, key(number), vec![1], &tags, now).await.unwrap()));
        if number % 1000 == 999 {
            evict(&mut connection, "*:r:*").await;
        }
    }
    let mut named = 0;
    for name in
        [keys_ending(&mut connection, "*:i").await, keys_ending(&mut connection, "*:t").await].concat()
    {
        named += ask::<u64>(&mut connection, &["ZCARD", &name]).await;
    }
    assert!(named < 6000, "{named} names of at most 2,000 that are there");
}

async fn marks_are_bounded() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let found = storage.lookup(&key(1), now).await.unwrap();
    let tags: Vec<_> = (0..3000).map(|number| TagDigest::of(&number.to_string())).collect();
    storage.abilities().tags.unwrap().purge(&tags, now).await.unwrap();
    let mut connection = raw(&service).await;
    let state = keys_ending(&mut connection, "*:s").await;
    assert!(ask::<u64>(&mut connection, &["HLEN", &state[0]]).await < 1100);
    // What was forgotten one by one is refused as a whole.
    let old = entry(key(1), "old", now).with_tags(&tags[..1]);
    let committed =
        storage.commit(found.ticket(), old, Change::Put(inline(vec![1]).unwrap()), now).await.unwrap();
    assert_eq!(committed, Committed::Refused(Refusal::Removed));
    assert!(is_stored(&put(&storage, key(1), vec![1], &tags[..1], now).await.unwrap()));
}

async fn max_entry_size() {
    let service = own(&Kind::Single);
    let url = format!("redis://127.0.0.1:{}/?max_entry_size=2000", port(&service));
    let storage = RedisStorage::from_url(&url).await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1; 1000], &[], now).await.unwrap()));
    let refused = put(&storage, key(2), vec![1; 2001], &[], now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    let error = put_stored(&storage, key(3), 1, 2001, now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
}

/// A full server that evicts nothing: writes fail as `Full`, lookups and removals work.
async fn full_server() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    put_stored(&storage, key(1), 1, 300_000, now).await.unwrap();
    storage.abilities().tags.unwrap().purge(&[TagDigest::of("z")], now).await.unwrap();
    let mut connection = raw(&service).await;
    let _: redis::Value = ask(&mut connection, &["CONFIG", "SET", "maxmemory", "1mb"]).await;
    let written = put(&storage, key(2), vec![1; 10], &[], now).await;
    assert!(is_full_or_refused(written), "expected a full server to refuse a write");
    let found = storage.lookup(&key(1), now).await.unwrap();
    assert_eq!(found.variants().len(), 1);
    storage.abilities().touch.unwrap().touch(&[used(key(1), now)], now).await.unwrap();
    let error = stored(&storage, found.ticket(), 1, 10, now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!(storage.remove(&key(1), None, now).await.unwrap(), 1);
    assert!(storage.lookup(&key(1), now).await.unwrap().variants().is_empty());
    let late = entry(key(1), "late", now);
    let committed = storage.commit(found.ticket(), late, Change::Put(inline(vec![1]).unwrap()), now).await;
    assert!(is_full_or_refused(committed));
}

fn is_full_or_refused(committed: cache_api::Result<Committed>) -> bool {
    match committed {
        Ok(committed) => matches!(committed, Committed::Refused(_)),
        Err(error) => error.kind() == ErrorKind::Full,
    }
}

/// Counts lie beside what they are of, and go with it; what is no count is none.
async fn uses() {
    let service = own(&Kind::Single);
    let storage = open(&service).await;
    let now = start();
    let mut connection = raw(&service).await;
    put(&storage, key(1), vec![1; 10], &[], now).await.unwrap();
    let resource = &keys_ending(&mut connection, "*:r:*").await[0];
    let field = format!("u{}", VariantId::ONLY);
    let left: i64 = ask(&mut connection, &["PTTL", resource]).await;
    for (garbage, expected) in [(None, 1), (Some("garbage"), 1), (Some("-7"), 1), (Some("41"), 42)] {
        if let Some(garbage) = garbage {
            let _: redis::Value = ask(&mut connection, &["HSET", resource, &field, garbage]).await;
        }
        storage.abilities().touch.unwrap().touch(&[used(key(1), now)], now).await.unwrap();
        let listing = storage.abilities().listing.unwrap();
        let found: Vec<_> = listing.list(&Filter::all(), now).try_collect().await.unwrap();
        assert_eq!(found[0].uses, Some(expected), "{garbage:?}");
    }
    let still: i64 = ask(&mut connection, &["PTTL", resource]).await;
    assert!(0 < still && still <= left, "{still} of {left} ms");
    let version = storage.lookup(&key(1), now).await.unwrap().variants()[0].version;
    assert_eq!(storage.remove(&key(1), Some(version), now).await.unwrap(), 1);
    assert_eq!(keys_ending(&mut connection, "*:r:*").await, Vec::<String>::new());
}

fn used(key: CacheKey, at: SystemTime) -> Use {
    Use { key, variant: VariantId::ONLY, at }
}
