//! What only this storage does: weights, eviction, and what outlives it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, CborSerializer, Change, Committed, Entry, Frame, Head, InlineBody, Part, Place,
    Refusal, Resource, Storage, StoredHead, TagDigest, VariantId,
};
use cache_backend_memory::MemoryStorage;
use http::{HeaderMap, Method, StatusCode};

const MIB: usize = 1024 * 1024;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn key(n: u32) -> CacheKey {
    // As digests are: the bytes that choose a stripe differ.
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    CacheKey::from_bytes(bytes)
}

fn place(key: CacheKey, body: BodyId) -> Place {
    Place { namespace: Default::default(), key, variant: VariantId::ONLY, body, part: Part::Head }
}

fn frame(key: CacheKey, id: BodyId, bytes: usize) -> Frame {
    Frame::new(Bytes::from(vec![7; bytes]), Arc::new(CborSerializer::default()), place(key, id))
}

fn entry(key: CacheKey, variant: VariantId) -> Entry {
    let head = Head::new(Method::GET, "https://a.example/", StatusCode::OK, HeaderMap::new(), now(), now());
    let place = place(key, BodyId::from_bytes([0; 16]));
    let head = StoredHead::new(head, Arc::new(CborSerializer::default()), place);
    Entry::new(key, variant, head, now(), now() + hours(1))
}

fn inline(key: CacheKey, bytes: usize) -> Change {
    let id = BodyId::random().unwrap();
    Change::Put(Body::Inline(InlineBody { id, frame: frame(key, id, bytes), len: bytes as u64 }))
}

async fn put(storage: &MemoryStorage, seen: &Resource, change: Change) -> Committed {
    let key = *seen.ticket().key();
    storage.commit(seen.ticket(), entry(key, VariantId::ONLY), change, now()).await.unwrap()
}

async fn put_inline(storage: &MemoryStorage, n: u32, bytes: usize) {
    let seen = storage.lookup(&key(n), now()).await.unwrap();
    let committed = put(storage, &seen, inline(key(n), bytes)).await;
    assert!(matches!(committed, Committed::Stored { .. }), "{committed:?}");
}

/// Writes and commits a stored body of whole MiB in frames of one MiB; returns the outcome and its id.
async fn put_stored(storage: &MemoryStorage, n: u32, mib: usize) -> (cache_api::Result<Committed>, BodyId) {
    let (key, id) = (key(n), BodyId::random().unwrap());
    let seen = storage.lookup(&key, now()).await.unwrap();
    let write = async {
        let mut writer = storage.writer(seen.ticket(), id, now()).await?;
        for _ in 0..mib {
            writer.write(frame(key, id, MIB)).await?;
        }
        let body = writer.finish((mib * MIB) as u64).await?;
        storage
            .commit(seen.ticket(), entry(key, VariantId::ONLY), Change::Put(Body::Stored(body)), now())
            .await
    };
    (write.await, id)
}

async fn is_stored(storage: &MemoryStorage, n: u32) -> bool {
    !storage.lookup(&key(n), now()).await.unwrap().variants().is_empty()
}

#[tokio::test]
async fn a_full_hot_cache_admits_new_entries() {
    let storage = MemoryStorage::builder().max_capacity(4 * MIB as u64).build().unwrap();
    for n in 0..2000 {
        put_inline(&storage, n, 2048).await;
    }
    for _ in 0..20 {
        for n in 0..2000 {
            storage.lookup(&key(n), now()).await.unwrap();
        }
    }
    for n in 10_000..10_500 {
        put_inline(&storage, n, 2048).await;
    }
    let mut kept = 0;
    for n in 10_000..10_500 {
        kept += usize::from(is_stored(&storage, n).await);
    }
    assert_eq!(kept, 500, "least recently used goes, not newest");
}

/// A size in bytes, with room for thousands: not a count of entries.
#[tokio::test]
async fn by_default_thousands_of_entries_are_kept() {
    let storage = MemoryStorage::new();
    for n in 0..10_000 {
        put_inline(&storage, n, 2048).await;
    }
    for n in 0..10_000 {
        assert!(is_stored(&storage, n).await, "{n} is gone");
    }
}

#[tokio::test]
async fn the_capacity_holds_for_large_bodies_too() {
    let storage = MemoryStorage::builder().max_capacity(64 * MIB as u64).build().unwrap();
    for n in 0..40 {
        put_stored(&storage, n, 8).await.0.unwrap();
    }
    let listing = storage.abilities().listing.unwrap();
    let totals = listing.count(&Default::default(), now()).await.unwrap();
    assert!(totals.bytes <= 64 * MIB as u64 + 4 * MIB as u64, "{totals:?}");
    assert!(totals.entries >= 6, "{totals:?}");
}

#[tokio::test]
async fn an_evicted_body_is_freed() {
    struct Watched(#[expect(dead_code, reason = "counted")] Arc<()>);
    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            &[7; 1024]
        }
    }
    let storage = MemoryStorage::builder().max_capacity(MIB as u64).build().unwrap();
    let watched = Arc::new(());
    for n in 0..5000 {
        let id = BodyId::random().unwrap();
        let bytes = Bytes::from_owner(Watched(Arc::clone(&watched)));
        let frame = Frame::new(bytes, Arc::new(CborSerializer::default()), place(key(n), id));
        let seen = storage.lookup(&key(n), now()).await.unwrap();
        let body = Body::Inline(InlineBody { id, frame, len: 1024 });
        put(&storage, &seen, Change::Put(body)).await;
    }
    storage.abilities().listing.unwrap().sweep(now()).await.unwrap();
    // What the map's collector still holds back is bounded.
    assert!(Arc::strong_count(&watched) < 1500, "{} bodies are held", Arc::strong_count(&watched));
    drop(storage);
}

#[tokio::test]
async fn a_generation_survives_eviction() {
    let storage = MemoryStorage::builder().max_capacity(MIB as u64).build().unwrap();
    put_inline(&storage, 0, 100).await;
    let before = storage.lookup(&key(0), now()).await.unwrap();
    storage.remove(&key(0), None, now()).await.unwrap();
    for n in 1..5000 {
        put_inline(&storage, n, 1024).await;
    }
    let late = put(&storage, &before, inline(key(0), 100)).await;
    assert_eq!(late, Committed::Refused(Refusal::Removed));
}

#[tokio::test]
async fn more_removals_than_are_told_apart_refuse_more_never_less() {
    let storage = MemoryStorage::new();
    let before = storage.lookup(&key(0), now()).await.unwrap();
    storage.remove(&key(0), None, now()).await.unwrap();
    for n in 1..=1000 {
        storage.remove(&key(n), None, now()).await.unwrap();
    }
    let unrelated = storage.lookup(&key(5000), now()).await.unwrap();
    let stored = put(&storage, &unrelated, inline(key(5000), 100)).await;
    assert!(matches!(stored, Committed::Stored { .. }), "{stored:?}");
    for n in 1000..=50_000 {
        storage.remove(&key(n), None, now()).await.unwrap();
    }
    let late = put(&storage, &before, inline(key(0), 100)).await;
    assert_eq!(late, Committed::Refused(Refusal::Removed));
    let again = storage.lookup(&key(0), now()).await.unwrap();
    let fresh = put(&storage, &again, inline(key(0), 100)).await;
    assert!(matches!(fresh, Committed::Stored { .. }), "{fresh:?}");
}

#[tokio::test]
async fn too_large_is_refused_early() {
    let storage = MemoryStorage::builder()
        .max_capacity(64 * MIB as u64)
        .max_entry_size(2 * MIB as u64)
        .build()
        .unwrap();
    put_stored(&storage, 1, 1).await.0.unwrap();
    assert_eq!(put_stored(&storage, 2, 3).await.0.unwrap_err().kind(), cache_api::ErrorKind::Full);

    let small = MemoryStorage::builder().max_capacity(MIB as u64).max_entry_size(8192).build().unwrap();
    let seen = small.lookup(&key(3), now()).await.unwrap();
    let refused = put(&small, &seen, inline(key(3), 10_000)).await;
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    assert!(!is_stored(&small, 3).await);
}

#[tokio::test]
async fn a_resource_sheds_its_oldest_variants_before_it_outgrows_the_cache() {
    let storage = MemoryStorage::builder().max_capacity(8 * MIB as u64).build().unwrap();
    for n in 0..20_u8 {
        let seen = storage.lookup(&key(1), now()).await.unwrap();
        let id = BodyId::random().unwrap();
        let mut writer = storage.writer(seen.ticket(), id, now()).await.unwrap();
        writer.write(frame(key(1), id, MIB)).await.unwrap();
        let body = Body::Stored(writer.finish(MIB as u64).await.unwrap());
        let mut entry = entry(key(1), VariantId::from_bytes([n; 16]));
        entry.stored_at = now() + Duration::from_secs(n.into());
        storage.commit(seen.ticket(), entry, Change::Put(body), now()).await.unwrap();
    }
    let seen = storage.lookup(&key(1), now()).await.unwrap();
    assert_eq!(seen.variants().len(), 3, "half of the capacity");
    assert!(seen.variants().iter().any(|v| v.id == VariantId::from_bytes([19; 16])));
}

#[tokio::test]
async fn bodies_in_flight_are_bounded_and_freed() {
    let storage = MemoryStorage::builder()
        .max_capacity(16 * MIB as u64)
        .max_entry_size(4 * MIB as u64)
        .max_in_flight(8 * MIB as u64)
        .build()
        .unwrap();
    let seen = storage.lookup(&key(1), now()).await.unwrap();
    let mut writers = Vec::new();
    let mut room = 0;
    for n in 0..12 {
        let id = BodyId::random().unwrap();
        let mut writer = storage.writer(seen.ticket(), id, now()).await.unwrap();
        room += usize::from(writer.write(frame(key(n), id, MIB)).await.is_ok());
        writers.push(writer);
    }
    assert_eq!(room, 7, "eight less what each costs beside its bytes");
    drop(writers);

    // Replaced bodies make way for what is being written.
    let mut ids = Vec::new();
    for _ in 0..10 {
        let (stored, id) = put_stored(&storage, 2, 2).await;
        stored.unwrap();
        ids.push(id);
    }
    assert!(storage.read(&key(2), ids[0], 0..1).await.unwrap_err().is_gone());
    assert!(storage.read(&key(2), ids[8], 0..2).await.is_ok(), "the last replaced one is readable");

    // A lookup after the grace is enough to free the others.
    storage.lookup(&key(7), now() + hours(1)).await.unwrap();
    assert!(storage.read(&key(2), ids[8], 0..1).await.unwrap_err().is_gone());
    assert!(format!("{storage:?}").contains("in_flight_bytes: 0"), "{storage:?}");
}

#[tokio::test]
async fn more_purged_tags_than_are_told_apart_refuse_more_never_less() {
    let storage = MemoryStorage::new();
    let before = storage.lookup(&key(1), now()).await.unwrap();
    let tags = storage.abilities().tags.unwrap();
    let tag = TagDigest::of("purged first");
    tags.purge(&[tag], now()).await.unwrap();
    let others: Vec<_> = (0..10_000).map(|n| TagDigest::of(&n.to_string())).collect();
    for others in others.chunks(1000) {
        tags.purge(others, now()).await.unwrap();
    }
    let tagged = entry(key(1), VariantId::ONLY).with_tags([tag]);
    let late = storage.commit(before.ticket(), tagged.clone(), inline(key(1), 10), now()).await.unwrap();
    assert_eq!(late, Committed::Refused(Refusal::Removed));
    let again = storage.lookup(&key(1), now()).await.unwrap();
    let fresh = storage.commit(again.ticket(), tagged, inline(key(1), 10), now()).await.unwrap();
    assert!(matches!(fresh, Committed::Stored { .. }));
}

/// Removals of each kind against commits that overlap them: whatever was looked up before a removal began
/// is not there after it was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_removal_is_undone_under_load() {
    let storage = MemoryStorage::new();
    let tag = TagDigest::of("all");
    for round in 0..600_u32 {
        let n = key(round % 7);
        let seen = storage.lookup(&n, now()).await.unwrap();
        let writers: Vec<_> = (0..3_u8)
            .map(|variant| {
                let (storage, seen) = (storage.clone(), seen.clone());
                let entry = entry(n, VariantId::from_bytes([variant; 16])).with_tags([tag]);
                tokio::spawn(async move {
                    storage.commit(seen.ticket(), entry, inline(n, 10), now()).await.unwrap()
                })
            })
            .collect();
        let abilities = storage.abilities();
        match round % 3 {
            0 => storage.remove(&n, None, now()).await.unwrap(),
            1 => abilities.tags.unwrap().purge(&[tag], now()).await.unwrap(),
            _ => abilities.listing.unwrap().clear(now()).await.unwrap(),
        };
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(storage.lookup(&n, now()).await.unwrap().variants().is_empty(), "round {round}");
    }
}

/// Bodies wander from transit into their record and back while they are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_body_that_was_looked_up_can_be_read() {
    let storage = MemoryStorage::builder().max_capacity(512 * MIB as u64).build().unwrap();
    let write = |variant: u8| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for _ in 0..2000 {
                let seen = storage.lookup(&key(1), now()).await.unwrap();
                let id = BodyId::random().unwrap();
                let mut writer = storage.writer(seen.ticket(), id, now()).await.unwrap();
                writer.write(frame(key(1), id, 10)).await.unwrap();
                let read = || async { storage.read(&key(1), id, 0..1).await.unwrap() };
                read().await;
                let body = Change::Put(Body::Stored(writer.finish(10).await.unwrap()));
                let entry = entry(key(1), VariantId::from_bytes([variant; 16]));
                storage.commit(seen.ticket(), entry, body, now()).await.unwrap();
                read().await;
                if variant == 0 {
                    storage.remove(&key(1), None, now()).await.unwrap();
                    read().await;
                }
            }
        })
    };
    let writers = [write(0), write(1), write(1)];
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        for variant in storage.lookup(&key(1), now()).await.unwrap().variants() {
            storage.read(&key(1), variant.version.body, 0..1).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    storage.abilities().listing.unwrap().clear(now()).await.unwrap();
    storage.abilities().listing.unwrap().sweep(now() + hours(1)).await.unwrap();
    let debug = format!("{storage:?}");
    assert!(debug.contains("resources: 0, bytes: 0, in_flight_bytes: 0"), "{debug}");
}

#[tokio::test]
async fn names_itself_and_shows_no_content() {
    let storage = MemoryStorage::new();
    assert_eq!(storage.to_string(), "memory (namespace default)");
    put_inline(&storage, 1, 10).await;
    assert!(!format!("{storage:?}").contains("a.example"));
}

#[test]
fn sizes_that_cannot_work_are_refused() {
    let builder = MemoryStorage::builder;
    for wrong in [
        builder().max_capacity(0),
        builder().max_entry_size(0),
        builder().max_capacity(1000).max_entry_size(501),
        builder().max_in_flight(10),
    ] {
        assert_eq!(wrong.build().unwrap_err().kind(), cache_api::ErrorKind::Config);
    }
}
