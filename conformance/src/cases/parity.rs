//! Random operations do to the storage what they do to [`Record`]s.
//!
//! A storage may refuse more than it must (guarantee 11): where it refuses as removed what a record would
//! take, the record stays as it is, too. That may happen now and then, not as a rule.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use cache_api::{
    BodyId, CacheKey, Committed, Epoch, Limits, Record, Refusal, Resource, TagDigest, Ticket, Variant,
    VariantId, Version,
};

use crate::{
    bench::{Bench, secs, tag, variant},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::{Pending, Store},
    suite::Ability,
};

/// Operations a case, each of a few calls.
const STEPS: u32 = 400;

/// How many tickets are kept for later commits: some are too old by then.
const OLD_TICKETS: usize = 40;

macro_rules! seeds {
    ($($name:ident: $seed:literal),+ $(,)?) => {
        cases!["parity"; $($name),+];
        $(async fn $name(bench: Bench) -> Outcome {
            compare(&bench, $seed).await
        })+
    };
}

seeds! {
    random_operations_1: 1, random_operations_2: 2, random_operations_3: 3, random_operations_4: 4,
    random_operations_5: 5, random_operations_6: 6, random_operations_7: 7, random_operations_8: 8,
}

async fn compare(bench: &Bench, seed: u64) -> Outcome {
    // Bodies shall reach their limit, too.
    let limits = Limits::default().with_max_retention(secs(1500));
    let mut both = Both {
        bench,
        store: bench.open_with("", limits).await?,
        limits,
        records: HashMap::new(),
        old: VecDeque::new(),
        purges: 0,
        purged: HashMap::new(),
        clears: 0,
        taken: 0,
        refused_beyond: 0,
        random: seed,
    };
    for number in 0..STEPS {
        both.step().await.context(format!("operation {number} of seed {seed}"))?;
    }
    let Both { taken, refused_beyond, .. } = both;
    ensure!(taken >= STEPS / 5, "expected {} commits at least to be taken, found {taken}", STEPS / 5);
    ensure!(
        refused_beyond <= taken / 10,
        "{refused_beyond} commits were refused as removed that nothing removed, and {taken} were taken"
    );
    Ok(())
}

/// Both sides of the comparison. Generations differ, so each has tickets of its own.
struct Both<'a> {
    bench: &'a Bench,
    store: Store,
    limits: Limits,
    records: HashMap<CacheKey, Record>,
    old: VecDeque<Tickets>,
    /// Purges and clears so far, and at which of them each tag was purged last.
    purges: u64,
    purged: HashMap<TagDigest, u64>,
    clears: u64,
    /// The commits that both took, and those that only the storage refused.
    taken: u32,
    refused_beyond: u32,
    random: u64,
}

#[derive(Clone)]
struct Tickets {
    theirs: Ticket,
    ours: Ticket,
    purges: u64,
    clears: u64,
}

impl Both<'_> {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn now(&self) -> SystemTime {
        self.store.now()
    }

    fn record(&mut self, key: CacheKey) -> &mut Record {
        self.records.entry(key).or_default()
    }

    async fn step(&mut self) -> Outcome {
        let number = self.roll(4);
        let key = self.bench.key(number);
        let tag = self.tag();
        let (tags, listing) = (self.bench.declares(Ability::Tags), self.bench.declares(Ability::Listing));
        match self.roll(12) {
            0 => {
                let passed = self.roll(400);
                self.bench.clock().advance(secs(passed));
            }
            1 => self.remove(key, None).await?,
            2 => {
                let version = self.version(key)?;
                self.remove(key, Some(version)).await?;
            }
            3 if tags => self.purge(tag).await?,
            4 if listing && self.roll(4) == 0 => self.clear().await?,
            5 if listing => {
                let now = self.now();
                self.records.values_mut().for_each(|record| drop(record.sweep(now)));
                self.store.listing()?.sweep(now).await.context("sweep")?;
            }
            _ => self.write(key, tag).await?,
        }
        self.lookup(key).await.map(drop)
    }

    async fn lookup(&mut self, key: CacheKey) -> Outcome<Tickets> {
        let now = self.now();
        let theirs = self.store.lookup(&key).await?;
        let ours = self.record(key).lookup(key, Epoch::NONE, now);
        same(&theirs, &ours)?;
        Ok(Tickets {
            theirs: theirs.ticket().clone(),
            ours: ours.ticket().clone(),
            purges: self.purges,
            clears: self.clears,
        })
    }

    async fn remove(&mut self, key: CacheKey, only: Option<Version>) -> Outcome {
        let (now, limits) = (self.now(), self.limits);
        let (ours, _) = self.record(key).remove(only, now, &limits)?;
        let theirs = self.store.storage.remove(&key, only, now).await.context("remove")?;
        ensure_eq!(theirs, ours, "the variants removed");
        Ok(())
    }

    async fn purge(&mut self, tag: TagDigest) -> Outcome {
        let (now, limits) = (self.now(), self.limits);
        let mut ours = 0;
        for record in self.records.values_mut() {
            // A store may have dropped what is dead, and then has nothing to purge there.
            record.sweep(now);
            ours += record.purge(&[tag], now, &limits)?.0;
        }
        self.purges += 1;
        self.purged.insert(tag, self.purges);
        ensure_eq!(self.store.tags()?.purge(&[tag], now).await.context("purge")?, ours, "the entries purged");
        Ok(())
    }

    async fn clear(&mut self) -> Outcome {
        let now = self.now();
        let variants = self.records.values().flat_map(Record::variants);
        let ours = variants.filter(|v| v.is_live(now)).count() as u64;
        self.records.clear();
        self.clears += 1;
        ensure_eq!(self.store.listing()?.clear(now).await.context("clear")?, ours, "the entries cleared");
        Ok(())
    }

    /// Commits with a fresh ticket, or with an old one.
    async fn write(&mut self, key: CacheKey, tag: TagDigest) -> Outcome {
        let fresh = self.lookup(key).await?;
        self.old.push_back(fresh.clone());
        if self.old.len() > OLD_TICKETS {
            self.old.pop_front();
        }
        let tickets = match self.roll(3) {
            0 => {
                let index = self.roll(self.old.len() as u64);
                usize::try_from(index).ok().and_then(|index| self.old.get(index)).cloned().unwrap_or(fresh)
            }
            _ => fresh,
        };
        let key = *tickets.ours.key();
        let id = self.variant();
        let life = self.roll(2000);
        let mut draft = self.bench.draft(key).variant(id).life(secs(life));
        if self.roll(2) == 0 {
            draft = draft.tags(&[tag]);
        }
        let kind = self.roll(4);
        if kind == 0 {
            let version = self.version(key)?;
            return self.commit(&tickets, self.store.freshen(&tickets.theirs, &draft, version)).await;
        }
        draft = if kind == 1 {
            draft.len(self.bench.seed(), 1000).stored()
        } else {
            draft.len(self.bench.seed(), self.roll(2000))
        };
        let pending = self.store.begin_with(tickets.theirs.clone(), &draft).await?;
        self.commit(&tickets, pending.clone()).await?;
        // The answer may have been lost.
        if kind != 1 && self.roll(4) == 0 {
            self.commit(&tickets, pending).await.context("the same commit again")?;
        }
        Ok(())
    }

    async fn commit(&mut self, tickets: &Tickets, pending: Pending) -> Outcome {
        let (now, limits) = (self.now(), self.limits);
        let theirs = self.store.commit(&pending).await?;
        let Pending { entry, change, .. } = pending;
        let purged = entry.tags.iter().any(|tag| self.purged.get(tag).is_some_and(|at| *at > tickets.purges));
        let removed = tickets.clears != self.clears || purged;
        let record = self.record(entry.key);
        let before = record.clone();
        let ours = if removed && !tickets.ours.is_expired(now, &limits) {
            Committed::Refused(Refusal::Removed)
        } else {
            record.commit(&tickets.ours, entry, change, now, &limits)?.committed
        };
        match (theirs, ours) {
            (Committed::Refused(Refusal::Removed), Committed::Stored { .. }) => {
                *record = before;
                self.refused_beyond += 1;
            }
            // Refused either way: only the reason is another.
            (Committed::Refused(Refusal::Removed), Committed::Refused(_)) => {}
            _ => ensure_eq!(theirs, ours, "what a commit came to"),
        }
        if let Committed::Stored { .. } = theirs {
            self.taken += 1;
        }
        Ok(())
    }

    /// A version that is there, or one that is not.
    fn version(&mut self, key: CacheKey) -> Outcome<Version> {
        let (old, head) = (self.roll(4) == 0, u32::try_from(self.roll(3)).unwrap_or_default());
        Ok(match self.record(key).variants().first().map(|variant| variant.version) {
            Some(version) if old => Version { head, ..version },
            Some(version) => version,
            None => Version { body: BodyId::random()?, head },
        })
    }

    fn tag(&mut self) -> TagDigest {
        match self.roll(3) {
            0 => tag("a"),
            1 => tag("b"),
            _ => tag("c"),
        }
    }

    fn variant(&mut self) -> VariantId {
        variant(u8::try_from(self.roll(3)).unwrap_or_default())
    }
}

/// Fails the case unless both lookups found the same variants.
fn same(theirs: &Resource, ours: &Resource) -> Outcome {
    let seen = |resource: &Resource| {
        let mut all: Vec<_> = resource.variants().iter().map(seen).collect();
        all.sort_by_key(|variant| variant.0);
        all
    };
    ensure_eq!(seen(theirs), seen(ours), "the variants found");
    for variant in theirs.variants() {
        let limit = ours.variants().iter().find(|v| v.id == variant.id).map(|v| v.limit);
        // A lookup that does not read the limit returns `dead_at`.
        let limits = [limit, Some(variant.dead_at)];
        ensure!(
            limits.contains(&Some(variant.limit)),
            "expected the limit {limit:?}, found {:?}",
            variant.limit
        );
    }
    Ok(())
}

type Seen = (VariantId, Version, u64, u32, Vec<TagDigest>, Duration, Duration);

fn seen(v: &Variant) -> Seen {
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (v.id, v.version, v.body.len(), v.body.frames(), v.tags.to_vec(), since(v.stored_at), since(v.dead_at))
}
