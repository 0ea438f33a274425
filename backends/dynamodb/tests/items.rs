//! What lies in the table: round trips, expiry of every item, values of others, limits.

use std::{collections::HashMap, time::Duration};

use crate::own_server::{client, endpoint, open};
use crate::proxy::Proxy;
use bytes::Bytes;
use cache_api::{
    Acquired, Body, Change, Committed, FRAME_SIZE, Filter, Outcome, Refusal, Storage, StoredHead, TagDigest,
    VariantId,
};
use cache_backend_dynamodb::{
    DynamoDbStorage,
    aws_sdk_dynamodb::{Client, types::AttributeValue},
};
use cache_conformance::{
    sample::{entry, inline, is_stored, key, put, put_stored, start, stored},
    services::{Service, Trials, dynamodb::Single, own},
};

type Item = HashMap<String, AttributeValue>;

const TABLE: &str = "conformance";

pub(crate) fn trials() -> Trials {
    Trials::new("dynamodb", own(&Single).presence())
        .case("round_trips", round_trips)
        .case("every_item_expires", every_item_expires)
        .case("a_sweep_leaves_nothing", a_sweep_leaves_nothing)
        .case("values_of_others", values_of_others)
        .case("lost_records", lost_records)
        .case("bodies_far_above_an_item", bodies_far_above_an_item)
        .case("a_spilled_body_committed_again", a_spilled_body_committed_again)
        .case("large_heads", large_heads)
        .case("longer_lives", longer_lives)
        .case("purge_by_another", purge_by_another)
        .case("max_entry_size", max_entry_size)
}

/// A storage whose round trips are counted.
async fn counted(service: &Service) -> (DynamoDbStorage, Proxy) {
    open(service).await;
    let proxy = Proxy::to(endpoint(service).trim_start_matches("http://").to_owned()).await;
    let client = client(&proxy.endpoint);
    let storage = DynamoDbStorage::builder().client(client).table(TABLE).build().await.unwrap();
    assert_eq!(proxy.trips(), 4);
    (storage, proxy)
}

async fn all_items(client: &Client) -> Vec<Item> {
    let pages = client.scan().table_name(TABLE).consistent_read(true).into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.unwrap()
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

async fn round_trips() {
    let service = own(&Single);
    let (storage, proxy) = counted(&service).await;
    let now = start();
    let tags = [TagDigest::of("a"), TagDigest::of("b")];
    for (number, size) in [(1, 3_000), (2, 50_000)] {
        let key = key(number);
        let took = |expected: u64, what: &str| {
            let took = proxy.trips();
            assert_eq!(
                took, expected,
                "{what} of {size} bytes took {took} round trips in place of {expected}"
            );
        };
        let found = storage.lookup(&key, now).await.unwrap();
        took(1, "a lookup of nothing");
        let small = entry(key, "head", now).with_tags(tags);
        let body = Change::Put(inline(vec![1; size]).unwrap());
        let committed = storage.commit(found.ticket(), small.clone(), body, now).await.unwrap();
        took(3, "storing a new resource");
        let Committed::Stored { version, .. } = committed else { panic!("{committed:?}") };
        let found = storage.lookup(&key, now).await.unwrap();
        took(1, "a lookup with an inline body");
        assert!(matches!(found.variants()[0].body, Body::Inline(_)));
        let kept = storage.commit(found.ticket(), small.clone(), Change::Keep(version), now).await.unwrap();
        took(1, "replacing a head");
        assert!(is_stored(&kept));
        let found = storage.lookup(&key, now).await.unwrap();
        proxy.trips();
        let body = Change::Put(inline(vec![2; size]).unwrap());
        assert!(is_stored(&storage.commit(found.ticket(), small.clone(), body, now).await.unwrap()));
        took(1, "storing another body");
        let mut second = small.clone();
        second.variant = VariantId::from_bytes([7; 16]);
        let found = storage.lookup(&key, now).await.unwrap();
        proxy.trips();
        let body = Change::Put(inline(vec![3; size]).unwrap());
        assert!(is_stored(&storage.commit(found.ticket(), second, body, now).await.unwrap()));
        took(1, "storing another variant with the same tags");
        let found = storage.lookup(&key, now).await.unwrap();
        assert_eq!(found.variants().len(), 2);
        proxy.trips();
        let body = stored(&storage, found.ticket(), 7, 4 * FRAME_SIZE, now).await.unwrap();
        took(4, "writing four frames");
        let id = body.id;
        let change = Change::Put(Body::Stored(body));
        assert!(is_stored(&storage.commit(found.ticket(), small, change, now).await.unwrap()));
        took(1, "storing them");
        assert_eq!(storage.read(&key, id, 0..4).await.unwrap().len(), 4);
        took(1, "reading four frames");
        assert_eq!(storage.remove(&key, None, now).await.unwrap(), 2);
        took(2, "a removal");
    }
    let leases = storage.abilities().leases.unwrap();
    leases.acquire(&key(1), Duration::from_secs(1), now).await.unwrap();
    assert_eq!(proxy.requests(), 1);
    assert_eq!(proxy.trips(), 1);
}

/// All that the storage can leave behind.
async fn leave_all(storage: &DynamoDbStorage) {
    let now = start();
    let abilities = storage.abilities();
    let tags = [TagDigest::of("a"), TagDigest::of("b")];
    for number in 0..6 {
        assert!(is_stored(&put(storage, key(number), vec![0; 10], &tags, now).await.unwrap()));
        assert!(is_stored(&put(storage, key(number), vec![0; 9_000], &tags, now).await.unwrap()));
        put_stored(storage, key(100 + number), 1, 300_000, now).await.unwrap();
        // Pending, retired, refused.
        let found = storage.lookup(&key(100 + number), now).await.unwrap();
        stored(storage, found.ticket(), 2, 10, now).await.unwrap();
        put_stored(storage, key(100 + number), 3, 10, now).await.unwrap();
    }
    // More small bodies than a lookup returns.
    for number in 0..6 {
        let found = storage.lookup(&key(50), now).await.unwrap();
        let mut entry = entry(key(50), "head", now);
        entry.variant = VariantId::from_bytes([number; 16]);
        let body = Change::Put(inline(vec![number; 60_000]).unwrap());
        assert!(is_stored(&storage.commit(found.ticket(), entry, body, now).await.unwrap()));
    }
    storage.remove(&key(1), None, now).await.unwrap();
    storage.remove(&key(999), None, now).await.unwrap();
    let leases = abilities.leases.unwrap();
    for number in 0..3 {
        let acquired = leases.acquire(&key(number), Duration::from_secs(30), now).await.unwrap();
        let Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
        match number {
            0 => assert!(leases.extend(&lease, Duration::from_secs(60), now).await.unwrap()),
            1 => leases.release(&lease, Outcome::Uncacheable(Duration::from_secs(9)), now).await.unwrap(),
            _ => {}
        }
    }
    abilities.tags.unwrap().purge(&tags[..1], now).await.unwrap();
    abilities.listing.unwrap().sweep(now).await.unwrap();
}

async fn every_item_expires() {
    let service = own(&Single);
    let storage = open(&service).await;
    leave_all(&storage).await;
    let client = client(&endpoint(&service));
    let check = async |least: usize| {
        let items = all_items(&client).await;
        assert!(items.len() >= least, "{}", items.len());
        let now = start().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for item in &items {
            let name = format!("{} {}", text(item, "pk"), text(item, "sk"));
            let expires: u64 = item["expires_at"].as_n().expect(&name).parse().expect(&name);
            assert!(expires > now, "{name} at {expires}");
            assert!(expires <= now + 366 * 86_400, "{name} at {expires}");
            assert!(name.starts_with("http-cache:1:default:"), "{name}");
        }
    };
    check(60).await;
    storage.abilities().listing.unwrap().clear(start()).await.unwrap();
    check(60).await;
}

/// But what DynamoDB alone deletes: registrations of tags, marks of purges, leases, and what remembers the removal of a
/// resource that was never there.
async fn a_sweep_leaves_nothing() {
    let service = own(&Single);
    let storage = open(&service).await;
    leave_all(&storage).await;
    let listing = storage.abilities().listing.unwrap();
    let later = start() + Duration::from_secs(2 * 86_400);
    for hours in 0..3 {
        listing.sweep(later + Duration::from_secs(hours * 3600)).await.unwrap();
    }
    let client = client(&endpoint(&service));
    for item in all_items(&client).await {
        let place = text(&item, "pk").strip_prefix("http-cache:1:default:").unwrap();
        let expires = ["t:", "p:", "l:"].iter().any(|start| place.starts_with(start));
        assert!(expires || place == format!("r:{}", key(999)), "{place}");
    }
    assert_eq!(listing.count(&Filter::all(), later).await.unwrap().entries, 0);
}

/// Items of another program where ours would be.
async fn values_of_others() {
    let service = own(&Single);
    let storage = open(&service).await;
    let client = client(&endpoint(&service));
    let now = start();
    let theirs: [(&str, AttributeValue); 4] = [
        ("g", AttributeValue::S("theirs".to_owned())),
        ("c", AttributeValue::N("7".to_owned())),
        ("vessel", AttributeValue::M(HashMap::from([("n".to_owned(), AttributeValue::Bool(true))]))),
        ("expires_at", AttributeValue::S("never".to_owned())),
    ];
    for number in 0..4 {
        for taken in 0..theirs.len() {
            let key = key(number * 10 + taken as u64);
            let mut item = Item::from([
                ("pk".to_owned(), AttributeValue::S(format!("http-cache:1:default:r:{key}"))),
                ("sk".to_owned(), AttributeValue::S("r".to_owned())),
            ]);
            let rest = theirs.iter().skip(taken).map(|(name, value)| ((*name).to_owned(), value.clone()));
            item.extend(rest);
            client.put_item().table_name(TABLE).set_item(Some(item.clone())).send().await.unwrap();
            assert!(storage.lookup(&key, now).await.unwrap().variants().is_empty());
            match number {
                // A write mends it, and the next comes through.
                0 => {
                    let first = put(&storage, key, vec![1], &[], now).await.unwrap();
                    assert_eq!(first, Committed::Refused(Refusal::Removed));
                    assert!(is_stored(&put(&storage, key, vec![1], &[], now).await.unwrap()));
                    assert_eq!(storage.lookup(&key, now).await.unwrap().variants().len(), 1);
                }
                1 => assert_eq!(storage.remove(&key, None, now).await.unwrap(), 0),
                2 => {
                    item.insert("pk".to_owned(), AttributeValue::S(format!("http-cache:1:default:l:{key}")));
                    item.insert("sk".to_owned(), AttributeValue::S("-".to_owned()));
                    item.insert("u".to_owned(), AttributeValue::S("soon".to_owned()));
                    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
                    let leases = storage.abilities().leases.unwrap();
                    let acquired = leases.acquire(&key, Duration::from_secs(1), now).await.unwrap();
                    assert!(matches!(acquired, Acquired::Held(_)), "{acquired:?}");
                }
                _ => {
                    for place in ["i:0", "i:1", "b:0", "t:x:0"] {
                        item.insert(
                            "pk".to_owned(),
                            AttributeValue::S(format!("http-cache:1:default:{place}")),
                        );
                        client
                            .put_item()
                            .table_name(TABLE)
                            .set_item(Some(item.clone()))
                            .send()
                            .await
                            .unwrap();
                    }
                    let listing = storage.abilities().listing.unwrap();
                    listing.sweep(now).await.unwrap();
                    listing.count(&Filter::all(), now).await.unwrap();
                    listing.clear(now).await.unwrap();
                }
            }
        }
    }
}

/// A record that somebody deleted: a miss, and what was under way before is refused.
async fn lost_records() {
    let service = own(&Single);
    let storage = open(&service).await;
    let client = client(&endpoint(&service));
    let now = start();
    storage.remove(&key(1), None, now).await.unwrap();
    let before = storage.lookup(&key(1), now).await.unwrap();
    assert!(is_stored(&put(&storage, key(1), vec![1; 9_000], &[], now).await.unwrap()));
    let delete = client.delete_item().table_name(TABLE);
    let pk = format!("http-cache:1:default:r:{}", key(1));
    let delete = delete.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S("r".to_owned()));
    delete.send().await.unwrap();
    assert!(storage.lookup(&key(1), now).await.unwrap().variants().is_empty());
    let change = Change::Put(inline(vec![2]).unwrap());
    let late = storage.commit(before.ticket(), entry(key(1), "head", now), change, now).await.unwrap();
    assert_eq!(late, Committed::Refused(Refusal::Removed));
    assert!(is_stored(&put(&storage, key(1), vec![3], &[], now).await.unwrap()));
}

async fn bodies_far_above_an_item() {
    let service = own(&Single);
    let storage = open(&service).await;
    let now = start();
    let len = 20 * FRAME_SIZE + 5;
    assert!(is_stored(&put_stored(&storage, key(1), 9, len, now).await.unwrap()));
    let found = storage.lookup(&key(1), now).await.unwrap();
    let Body::Stored(body) = &found.variants()[0].body else { panic!("a stored body") };
    assert_eq!((body.frames, body.len), (21, len as u64));
    let frames = storage.read(&key(1), body.id, 0..21).await.unwrap();
    let mut read = 0;
    for frame in &frames {
        let bytes = frame.bytes().await.unwrap();
        assert!(bytes.iter().all(|byte| *byte == 9));
        read += bytes.len();
    }
    assert_eq!(read, len);
}

/// One small body more than a lookup returns is kept as a stored one. Its commit sent again is the same.
async fn a_spilled_body_committed_again() {
    let service = own(&Single);
    let storage = open(&service).await;
    let now = start();
    let mut last = None;
    for number in 0..5 {
        let found = storage.lookup(&key(1), now).await.unwrap();
        let mut entry = entry(key(1), "head", now);
        entry.variant = VariantId::from_bytes([number; 16]);
        let body = inline(vec![number; 60_000]).unwrap();
        for _ in 0..2 {
            let change = Change::Put(body.clone());
            assert!(is_stored(&storage.commit(found.ticket(), entry.clone(), change, now).await.unwrap()));
        }
        last = Some(body.id());
    }
    let later = now + storage.limits().max_write + Duration::from_secs(1);
    storage.abilities().listing.unwrap().sweep(later).await.unwrap();
    let found = storage.lookup(&key(1), later).await.unwrap();
    let stored: Vec<_> = found.variants().iter().filter(|v| matches!(v.body, Body::Stored(_))).collect();
    assert_eq!((found.variants().len(), stored.len()), (5, 1));
    assert_eq!(Some(stored[0].version.body), last);
    assert_eq!(storage.read(&key(1), stored[0].version.body, 0..1).await.unwrap().len(), 1);
}

/// Heads that do not fit one record together: the oldest variants go.
async fn large_heads() {
    let service = own(&Single);
    let storage = open(&service).await;
    let now = start();
    let with_head = async |number: u8, size: usize| {
        let at = now + Duration::from_secs(u64::from(number));
        let found = storage.lookup(&key(1), at).await.unwrap();
        let mut entry = entry(key(1), "head", at);
        entry.head = StoredHead::from_bytes(Bytes::from(vec![number; size]));
        entry.variant = VariantId::from_bytes([number; 16]);
        storage.commit(found.ticket(), entry, Change::Put(inline(vec![number]).unwrap()), at).await.unwrap()
    };
    for number in 0..40 {
        assert!(is_stored(&with_head(number, 30_000).await), "{number}");
    }
    let found = storage.lookup(&key(1), now).await.unwrap();
    assert_eq!(found.variants().len(), 11);
    assert!(found.variants().iter().all(|v| v.id >= VariantId::from_bytes([29; 16])));
    assert!(is_stored(&with_head(50, 300_000).await));
    assert_eq!(with_head(51, 390_000).await, Committed::Refused(Refusal::TooLarge));
}

/// Heads that make an entry live longer and longer: it stays registered, and its body stays.
async fn longer_lives() {
    let service = own(&Single);
    let (storage, proxy) = counted(&service).await;
    let mut now = start();
    let hour = Duration::from_secs(3600);
    let committed = put(&storage, key(1), vec![1; 20_000], &[TagDigest::of("a")], now).await.unwrap();
    let Committed::Stored { mut version, .. } = committed else { panic!("{committed:?}") };
    let (mut fast, mut thorough) = (0, 0);
    let client = client(&endpoint(&service));
    for _ in 0..12 {
        now += hour / 2;
        let found = storage.lookup(&key(1), now).await.unwrap();
        proxy.trips();
        let entry = entry(key(1), "head", now).with_tags([TagDigest::of("a")]);
        let committed = storage.commit(found.ticket(), entry, Change::Keep(version), now).await.unwrap();
        match proxy.trips() {
            1 => fast += 1,
            _ => thorough += 1,
        }
        let Committed::Stored { version: next, dead_at } = committed else { panic!("{committed:?}") };
        version = next;
        let dead = dead_at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for item in all_items(&client).await {
            let place = text(&item, "pk").strip_prefix("http-cache:1:default:").unwrap().to_owned();
            let expires: u64 = item["expires_at"].as_n().unwrap().parse().unwrap();
            assert!(
                expires >= dead + 600 + 60 || place.starts_with("x:"),
                "{place}: {expires} before {dead}"
            );
        }
    }
    assert!(fast >= thorough, "{fast} in one round trip, {thorough} in more");
    assert_eq!(storage.abilities().tags.unwrap().purge(&[TagDigest::of("a")], now).await.unwrap(), 1);
}

async fn max_entry_size() {
    let service = own(&Single);
    open(&service).await;
    let client = client(&endpoint(&service));
    let limited = DynamoDbStorage::builder().client(client).table(TABLE).max_entry_size(2000_u64);
    let storage = limited.build().await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1; 1000], &[], now).await.unwrap()));
    let refused = put(&storage, key(2), vec![1; 2001], &[], now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    let error = put_stored(&storage, key(3), 1, 2001, now).await.unwrap_err();
    assert_eq!(error.kind(), cache_api::ErrorKind::Full);
}

/// What another process purged refuses one commit, not more.
async fn purge_by_another() {
    let service = own(&Single);
    let (one, two) = (open(&service).await, open(&service).await);
    let now = start();
    let tags = [TagDigest::of("a")];
    let before = one.lookup(&key(1), now).await.unwrap();
    two.abilities().tags.unwrap().purge(&tags, now).await.unwrap();
    let commit = async |ticket| {
        let entry = entry(key(1), "head", now).with_tags(tags);
        one.commit(ticket, entry, Change::Put(inline(vec![1]).unwrap()), now).await.unwrap()
    };
    assert_eq!(commit(before.ticket()).await, Committed::Refused(Refusal::Removed));
    assert_eq!(commit(before.ticket()).await, Committed::Refused(Refusal::Removed));
    assert!(is_stored(&put(&one, key(1), vec![1], &tags, now).await.unwrap()));
    // A third, which knows of nothing, is refused once; where the purge was long ago, not at all.
    let three = open(&service).await;
    assert!(!is_stored(&put(&three, key(2), vec![1], &tags, now).await.unwrap()));
    assert!(is_stored(&put(&three, key(2), vec![1], &tags, now).await.unwrap()));
    let four = open(&service).await;
    let later = now + Duration::from_secs(61);
    assert!(is_stored(&put(&four, key(3), vec![1], &tags, later).await.unwrap()));
}
