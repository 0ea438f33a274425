//! What lies in the collections: dates, indexes, what others put there, bodies larger than a document.

use std::time::Duration;

use crate::own::{builder, collection, namespace, open};
use cache_api::{
    Body, Change, Committed, FRAME_SIZE, Filter, INLINE_MAX, Outcome, Refusal, Storage, TagDigest, VariantId,
};
use cache_backend_mongo::mongodb::bson::{Bson, Document, doc};
use cache_conformance::sample::{self, HOUR, entry, inline, is_stored, key, put, put_stored, start};
use cache_conformance::services::Trials;
use futures_util::TryStreamExt;

const KINDS: [&str; 4] = ["resources", "frames", "leases", "purges"];

pub(crate) fn trials(trials: Trials) -> Trials {
    trials
        .case("every_document_has_a_date", every_document_has_a_date)
        .case("frames_outlive_their_entry", frames_outlive_their_entry)
        .case("values_of_others", values_of_others)
        .case("purges_of_others", purges_of_others)
        .case("more_than_a_document_holds", more_than_a_document_holds)
        .case("many_heads", many_heads)
        .case("inline_bodies_beyond_the_document", inline_bodies_beyond_the_document)
        .case("max_entry_size", max_entry_size)
        .case("marks_beyond_the_list", marks_beyond_the_list)
}

async fn all(kind: &str, namespace: &str) -> Vec<Document> {
    let filter = doc! { "_id": { "$gte": namespace, "$lt": format!("{namespace};") } };
    collection(kind).await.find(filter).await.unwrap().try_collect().await.unwrap()
}

async fn every_document_has_a_date() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let tags = [TagDigest::of("a")];
    put(&storage, key(1), vec![1; 10], &tags, now).await.unwrap();
    put_stored(&storage, key(2), 1, 2 * FRAME_SIZE, now).await.unwrap();
    put_stored(&storage, key(2), 2, 2 * FRAME_SIZE, now).await.unwrap();
    storage.remove(&key(3), None, now).await.unwrap();
    let ticket = storage.lookup(&key(4), now).await.unwrap().ticket().clone();
    sample::stored(&storage, &ticket, 1, 10, now).await.unwrap();
    let abilities = storage.abilities();
    let leases = abilities.leases.unwrap();
    for number in 1..3 {
        let acquired = leases.acquire(&key(number), HOUR, now).await.unwrap();
        let cache_api::Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
        if number == 2 {
            leases.release(&lease, Outcome::Uncacheable(HOUR), now).await.unwrap();
        }
    }
    abilities.tags.unwrap().purge(&tags, now).await.unwrap();
    for (kind, least) in KINDS.into_iter().zip([4, 5, 2, 1]) {
        let documents = all(kind, namespace.as_str()).await;
        assert!(documents.len() >= least, "{kind}: {}", documents.len());
        for document in documents {
            let gone = document.get_datetime("gone").unwrap().to_system_time();
            assert!(gone > now && gone < now + 3 * HOUR, "{kind}: {gone:?}");
        }
        let index = collection(kind).await.list_indexes().await.unwrap();
        let indexes: Vec<_> = index.try_collect().await.unwrap();
        let expires = indexes.iter().find(|index| index.keys == doc! { "gone": 1 }).unwrap();
        assert_eq!(expires.options.clone().unwrap().expire_after, Some(Duration::ZERO), "{kind}");
    }
}

/// Who moves the head on moves the frames' dates on before.
async fn frames_outlive_their_entry() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let committed = put_stored(&storage, key(1), 1, 2 * FRAME_SIZE, now).await.unwrap();
    let Committed::Stored { mut version, .. } = committed else { panic!("{committed:?}") };
    for hours in [1, 2, 30, 3] {
        let found = storage.lookup(&key(1), now).await.unwrap();
        let mut new = entry(key(1), "new", now);
        new.dead_at = now + hours * HOUR;
        let kept = storage.commit(found.ticket(), new, Change::Keep(version), now).await.unwrap();
        let Committed::Stored { version: next, dead_at } = kept else { panic!("{kept:?}") };
        version = next;
        let frames = all("frames", namespace.as_str()).await;
        assert_eq!(frames.len(), 2);
        for frame in frames {
            let gone = frame.get_datetime("gone").unwrap().to_system_time();
            assert!(gone >= dead_at + storage.limits().read_grace, "{gone:?} {dead_at:?}");
        }
    }
    // Let go, they are kept for the readers' sake alone.
    storage.remove(&key(1), None, now).await.unwrap();
    for frame in all("frames", namespace.as_str()).await {
        let gone = frame.get_datetime("gone").unwrap().to_system_time();
        assert!(gone > now + storage.limits().read_grace && gone < now + HOUR, "{gone:?}");
    }
}

/// Whatever is under our names is a miss; it can be stored over, and removed.
async fn values_of_others() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let resources = collection("resources").await;
    let odd: Vec<Document> = vec![
        doc! {},
        doc! { "user": 4711, "theme": "dark" },
        doc! { "rev": "x", "g": 1, "v": [], "h": 3, "i": Bson::Null, "p": 1, "q": 2, "t": 7, "gone": 1 },
        doc! { "n": 5, "t": "no array" },
        doc! { "p": "no document" },
        doc! { "v": { "a.b": 1, "$set": 2 } },
    ];
    for (number, odd) in (0..).zip(odd) {
        let id = doc! { "_id": format!("{namespace}:{}", key(number)) };
        for stored in [false, true] {
            let mut document = id.clone();
            document.extend(odd.clone());
            resources.replace_one(id.clone(), document).upsert(true).await.unwrap();
            let found = storage.lookup(&key(number), now).await.unwrap();
            assert!(found.variants().is_empty());
            let mut tried = 0;
            loop {
                let committed = if stored {
                    put_stored(&storage, key(number), 1, 10, now).await.unwrap()
                } else {
                    put(&storage, key(number), vec![1; 10], &[TagDigest::of("a")], now).await.unwrap()
                };
                if is_stored(&committed) {
                    break;
                }
                assert_eq!(committed, Committed::Refused(Refusal::Removed), "{odd}");
                tried += 1;
                assert!(tried < 3, "{odd}");
            }
            assert_eq!(storage.lookup(&key(number), now).await.unwrap().variants().len(), 1);
            // What began before is refused.
            let late = inline(vec![2]).unwrap();
            let refused =
                storage.commit(found.ticket(), entry(key(number), "late", now), Change::Put(late), now).await;
            assert!(!is_stored(&refused.unwrap()));
        }
        let mut document = id.clone();
        document.extend(odd.clone());
        resources.replace_one(id, document).await.unwrap();
        assert_eq!(storage.remove(&key(number), None, now).await.unwrap(), 0, "{odd}");
    }
    // A document under another name, and one of which a variant is damaged.
    resources.insert_one(doc! { "_id": format!("{namespace}:zz") }).await.unwrap();
    put(&storage, key(100), vec![1; 10], &[], now).await.unwrap();
    let damage = doc! { "$set": { format!("v.{}", VariantId::from_bytes([7; 16])): "no variant" } };
    resources.update_one(doc! { "_id": format!("{namespace}:{}", key(100)) }, damage).await.unwrap();
    assert_eq!(storage.lookup(&key(100), now).await.unwrap().variants().len(), 1);
    let listing = storage.abilities().listing.unwrap();
    assert_eq!(listing.count(&Filter::all(), now).await.unwrap().entries, 1);
    assert!(is_stored(&put(&storage, key(100), vec![2; 10], &[], now).await.unwrap()));
    let mended = resources.find_one(doc! { "_id": format!("{namespace}:{}", key(100)) }).await.unwrap();
    assert_eq!(mended.unwrap().get_document("v").unwrap().len(), 1);
    // The very variant that is stored next.
    let damage = doc! { "$set": { format!("v.{}.b", VariantId::ONLY): "no body" } };
    resources.update_one(doc! { "_id": format!("{namespace}:{}", key(100)) }, damage).await.unwrap();
    assert!(storage.lookup(&key(100), now).await.unwrap().variants().is_empty());
    assert!(is_stored(&put(&storage, key(100), vec![3; 10], &[], now).await.unwrap()));
    assert_eq!(storage.lookup(&key(100), now).await.unwrap().variants().len(), 1);
    assert_eq!(listing.clear(now).await.unwrap(), 1);
    listing.sweep(now + 10 * HOUR).await.unwrap();
}

async fn purges_of_others() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let purges = collection("purges").await;
    let tags = [TagDigest::of("a")];
    for odd in [doc! { "last": "x", "marks": 1 }, doc! { "marks": [1, 2] }, doc! { "gone": "never" }] {
        let mut document = doc! { "_id": namespace.as_str() };
        document.extend(odd.clone());
        purges.replace_one(doc! { "_id": namespace.as_str() }, document.clone()).upsert(true).await.unwrap();
        let first = put(&storage, key(1), vec![1], &tags, now).await.unwrap();
        if !is_stored(&first) {
            assert!(is_stored(&put(&storage, key(1), vec![1], &tags, now).await.unwrap()), "{odd}");
        }
        purges.replace_one(doc! { "_id": namespace.as_str() }, document).await.unwrap();
        assert_eq!(storage.abilities().tags.unwrap().purge(&tags, now).await.unwrap(), 1, "{odd}");
    }
}

/// 20 MB, in documents of 256 KiB and read a few at a time.
async fn more_than_a_document_holds() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let len = 80 * FRAME_SIZE + 1;
    assert!(is_stored(&put_stored(&storage, key(1), 7, len, now).await.unwrap()));
    let found = storage.lookup(&key(1), now).await.unwrap();
    let Body::Stored(body) = &found.variants()[0].body else { panic!("{found:?}") };
    assert_eq!((body.frames, body.len), (81, len as u64));
    let frames = storage.read(&key(1), body.id, 0..81).await.unwrap();
    let mut read = 0;
    for frame in &frames {
        read += frame.bytes().await.unwrap().len();
    }
    assert_eq!(read, len);
    let frames = collection("frames").await;
    let sizes = frames.find(doc! { "_id": { "$gt": namespace.as_str(), "$lt": format!("{namespace};") } });
    let mut sizes = sizes.await.unwrap();
    while let Some(frame) = sizes.try_next().await.unwrap() {
        assert!(frame.get_binary_generic("data").unwrap().len() <= FRAME_SIZE);
    }
}

/// Heads may fill a document up to its bound; what is more is refused, and the rest stays.
async fn many_heads() {
    let storage = open().await;
    let now = start();
    let mut stored = 0;
    for number in 0..12 {
        let found = storage.lookup(&key(1), now).await.unwrap();
        let mut large = entry(key(1), &"x".repeat(1000 * 1000), now);
        large.variant = VariantId::from_bytes([number; 16]);
        let body = inline(vec![number; 10]).unwrap();
        match storage.commit(found.ticket(), large, Change::Put(body), now).await.unwrap() {
            Committed::Stored { .. } => stored += 1,
            refused => assert_eq!(refused, Committed::Refused(Refusal::TooLarge)),
        }
    }
    assert_eq!(stored, 8);
    let found = storage.lookup(&key(1), now).await.unwrap();
    assert_eq!(found.variants().len(), 8);
    for variant in found.variants() {
        let frames = storage.read(&key(1), variant.version.body, 0..1).await.unwrap();
        assert_eq!(frames[0].bytes().await.unwrap().len(), 10);
    }
    let larger = entry(key(2), &"x".repeat(1024 * 1024 + 1), now);
    let found = storage.lookup(&key(2), now).await.unwrap();
    let refused = storage.commit(found.ticket(), larger, Change::Put(inline(vec![1]).unwrap()), now).await;
    assert_eq!(refused.unwrap(), Committed::Refused(Refusal::TooLarge));
}

/// 64 inline bodies of the largest size: those beyond 1 MiB are frames, and all can be read and replaced.
async fn inline_bodies_beyond_the_document() {
    let namespace = namespace();
    let storage = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    for round in 0..2 {
        for number in 0..24 {
            let found = storage.lookup(&key(1), now).await.unwrap();
            let mut entry = entry(key(1), "head", now);
            entry.variant = VariantId::from_bytes([number; 16]);
            let body = inline(vec![number + round; INLINE_MAX]).unwrap();
            let committed = storage.commit(found.ticket(), entry, Change::Put(body), now).await.unwrap();
            assert!(is_stored(&committed), "{committed:?}");
        }
    }
    let document = all("resources", namespace.as_str()).await.remove(0);
    let inline = document.get_document("i").unwrap();
    assert!(inline.len() <= 16, "{}", inline.len());
    let found = storage.lookup(&key(1), now).await.unwrap();
    assert_eq!(found.variants().len(), 24);
    for variant in found.variants() {
        let frames = storage.read(&key(1), variant.version.body, 0..1).await.unwrap();
        let expected = vec![variant.id.as_bytes()[0] + 1; INLINE_MAX];
        assert_eq!(frames[0].bytes().await.unwrap(), &expected);
    }
}

async fn max_entry_size() {
    let storage = builder().max_entry_size(1000).build().await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1; 1000], &[], now).await.unwrap()));
    let refused = put(&storage, key(2), vec![1; 1001], &[], now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    let error = put_stored(&storage, key(3), 1, 1001, now).await.unwrap_err();
    assert_eq!(error.kind(), cache_api::ErrorKind::Full);
}

/// More purges than are remembered: who knew none of them is refused once.
async fn marks_beyond_the_list() {
    let namespace = namespace();
    let one = builder().namespace(namespace.clone()).build().await.unwrap();
    let two = builder().namespace(namespace.clone()).build().await.unwrap();
    let now = start();
    let tags: Vec<TagDigest> = (0..600).map(|n| TagDigest::of(&format!("t{n}"))).collect();
    let other = [TagDigest::of("other")];
    assert_eq!(one.abilities().tags.unwrap().purge(&tags[..10], now).await.unwrap(), 0);
    assert!(is_stored(&put(&two, key(1), vec![1], &other, now).await.unwrap()));
    assert_eq!(one.abilities().tags.unwrap().purge(&tags, now).await.unwrap(), 0);
    assert!(is_stored(&put(&one, key(2), vec![1], &other, now).await.unwrap()));
    let refused = put(&two, key(3), vec![1], &other, now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::Removed));
    assert!(is_stored(&put(&two, key(3), vec![1], &other, now).await.unwrap()));
    let marks = all("purges", namespace.as_str()).await.remove(0);
    assert_eq!(marks.get_array("marks").unwrap().len(), 512);
}
