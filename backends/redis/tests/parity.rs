//! The scripts keep the rules of [`cache_api::Record`]: both are given the same random operations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/entries.rs"]
mod entries;

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, Epoch, Limits, Namespace, Record, Refusal, Resource,
    Storage, TagDigest, Ticket, Variant, VariantId, Version,
};
use cache_backend_redis::RedisStorage;
use cache_conformance::services::{self, Trials};
use entries::{entry, inline, key, start, stored};

/// Both sides of the comparison. Generations differ, so each has tickets of its own.
struct Both {
    storage: RedisStorage,
    records: HashMap<CacheKey, Record>,
    /// Purges and clears so far, and at which of them each tag was purged last.
    purges: u64,
    purged: HashMap<TagDigest, u64>,
    cleared: u64,
    now: SystemTime,
    random: u64,
}

#[derive(Clone)]
struct Tickets {
    theirs: Ticket,
    ours: Ticket,
    purges: u64,
    cleared: u64,
}

impl Both {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn record(&mut self, key: CacheKey) -> &mut Record {
        self.records.entry(key).or_insert_with(Record::absent)
    }

    async fn lookup(&mut self, key: CacheKey) -> Tickets {
        let theirs = self.storage.lookup(&key, self.now).await.unwrap();
        let now = self.now;
        let ours = self.record(key).lookup(key, Epoch::NONE, now);
        assert_eq!(seen(&theirs), seen(&ours));
        Tickets {
            theirs: theirs.ticket().clone(),
            ours: ours.ticket().clone(),
            purges: self.purges,
            cleared: self.cleared,
        }
    }

    async fn commit(&mut self, tickets: &Tickets, entry: Entry, change: Change) {
        let now = self.now;
        let theirs = self.storage.commit(&tickets.theirs, entry.clone(), change.clone(), now).await.unwrap();
        let limits = self.storage.limits();
        let expired = tickets.ours.is_expired(now, &limits);
        let purged = entry.tags.iter().any(|tag| self.purged.get(tag).is_some_and(|at| *at > tickets.purges));
        let ours = if !expired && (tickets.cleared != self.cleared || purged) {
            Committed::Refused(Refusal::Removed)
        } else {
            self.record(entry.key).commit(&tickets.ours, entry, change, now, &limits).unwrap().committed
        };
        assert_eq!(theirs, ours);
    }

    async fn step(&mut self, old: &mut Vec<Tickets>) {
        let key = key(self.roll(4));
        let tags = ["a", "b", "c"].map(TagDigest::of);
        let tag = tags[usize::try_from(self.roll(3)).unwrap()];
        match self.roll(12) {
            0 => {
                let passed = Duration::from_secs(self.roll(400));
                self.now += passed;
            }
            1 => {
                let (now, limits) = (self.now, self.storage.limits());
                let (ours, _) = self.record(key).remove(None, now, &limits).unwrap();
                assert_eq!(self.storage.remove(&key, None, now).await.unwrap(), ours);
            }
            2 => {
                let version = self.version(key);
                let (now, limits) = (self.now, self.storage.limits());
                let (ours, _) = self.record(key).remove(Some(version), now, &limits).unwrap();
                assert_eq!(self.storage.remove(&key, Some(version), now).await.unwrap(), ours);
            }
            3 => {
                let (now, limits) = (self.now, self.storage.limits());
                let purge = |record: &mut Record| record.purge(&[tag], now, &limits).unwrap().0;
                let ours: u64 = self.records.values_mut().map(purge).sum();
                self.purges += 1;
                self.purged.insert(tag, self.purges);
                assert_eq!(self.storage.abilities().tags.unwrap().purge(&[tag], now).await.unwrap(), ours);
            }
            4 if self.roll(4) == 0 => {
                let now = self.now;
                let live =
                    |record: &Record| record.variants().iter().filter(|v| v.is_live(now)).count() as u64;
                let ours: u64 = self.records.values().map(live).sum();
                self.records.clear();
                self.cleared += 1;
                assert_eq!(self.storage.abilities().listing.unwrap().clear(now).await.unwrap(), ours);
            }
            5 => {
                let now = self.now;
                self.records.values_mut().for_each(|record| drop(record.sweep(now)));
                self.storage.abilities().listing.unwrap().sweep(now).await.unwrap();
            }
            _ => self.store(key, tag, old).await,
        }
        self.lookup(key).await;
    }

    /// A version that is there, or one that is not.
    fn version(&mut self, key: CacheKey) -> Version {
        let (some, head) = (self.roll(4), u32::try_from(self.roll(3)).unwrap());
        let there = self.record(key).variants().first().map(|variant| variant.version);
        match there {
            Some(version) if some > 0 => version,
            Some(version) => Version { head, ..version },
            None => Version { body: BodyId::random().unwrap(), head },
        }
    }

    /// Commits with a fresh ticket, or with an old one.
    async fn store(&mut self, key: CacheKey, tag: TagDigest, old: &mut Vec<Tickets>) {
        let fresh = self.lookup(key).await;
        old.push(fresh.clone());
        let tickets = match self.roll(3) {
            0 => old[usize::try_from(self.roll(old.len() as u64)).unwrap()].clone(),
            _ => fresh,
        };
        let key = *tickets.ours.key();
        let mut entry = entry(key, &self.random.to_string(), self.now);
        entry.variant = VariantId::from_bytes([u8::try_from(self.roll(3)).unwrap(); 16]);
        entry.dead_at = self.now + Duration::from_secs(self.roll(2000));
        if self.roll(2) == 0 {
            entry = entry.with_tags([tag]);
        }
        let change = match self.roll(4) {
            0 => Change::Keep(self.version(key)),
            1 => {
                let body = stored(&self.storage, &tickets.theirs, 1, 1000, self.now).await.unwrap();
                Change::Put(Body::Stored(body))
            }
            _ => Change::Put(inline(vec![0; usize::try_from(self.roll(2000)).unwrap()])),
        };
        self.commit(&tickets, entry.clone(), change.clone()).await;
        // The reply may have been lost.
        if self.roll(4) == 0 && matches!(change, Change::Put(Body::Inline(_))) {
            self.commit(&tickets, entry, change).await;
        }
    }
}

type Seen = Vec<(VariantId, Version, u64, u32, Vec<TagDigest>, SystemTime, SystemTime, SystemTime)>;

fn seen(resource: &Resource) -> Seen {
    let seen = |v: &Variant| {
        (v.id, v.version, v.body.len(), v.body.frames(), v.tags.to_vec(), v.stored_at, v.dead_at, v.limit)
    };
    let mut all: Seen = resource.variants().iter().map(seen).collect();
    all.sort_by_key(|variant| variant.0);
    all
}

fn main() -> std::process::ExitCode {
    let service = services::redis::single();
    let url = service.url().unwrap_or_default().to_owned();
    let trials = Trials::new("redis", service.presence());
    trials.case("parity::random_operations", || random_operations(url)).run()
}

async fn random_operations(url: String) {
    for seed in 0..15 {
        let limits = Limits::default().with_max_retention(Duration::from_secs(1500));
        let namespace = format!("parity-{seed}-{}", BodyId::random().unwrap());
        let builder = RedisStorage::builder().url(&url).unwrap().limits(limits);
        let builder = builder.namespace(Namespace::new(&namespace[..40]).unwrap());
        let mut both = Both {
            storage: builder.timeout(Duration::from_secs(30)).build().await.unwrap(),
            records: HashMap::new(),
            purges: 0,
            purged: HashMap::new(),
            cleared: 0,
            now: start(),
            random: seed,
        };
        let mut old = Vec::new();
        for _ in 0..200 {
            both.step(&mut old).await;
        }
    }
}
