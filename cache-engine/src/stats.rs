#![doc = include_str!("../OBSERVABILITY.md")]

mod label;

use std::{fmt, marker::PhantomData, sync::Arc};

pub use label::{
    Bypass, Ended, Failure, Flow, Label, Leader, NotStored, Operation, Outcome, Purpose, Refresh, Reply,
    Stored, Wait,
};

use crate::policy::Forward;

/// What an [`Engine`](crate::Engine) counted since it was built. `Display` writes what is not zero, a line each.
///
/// Each number is exact; numbers that are taken while requests are under way need not fit together.
///
/// ```
/// # async fn example<N: cache_engine::Network>(engine: cache_engine::Engine<N>) {
/// use cache_engine::stats::Outcome;
///
/// let stats = engine.stats();
/// println!("{} hits, {:?} of all", stats.requests.get(Outcome::Hit), stats.hit_ratio());
/// if let Some(storage) = stats.storage.filter(|storage| storage.breaker_open) {
///     println!("{} is left alone for now", storage.backend);
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Requests, by what they came to.
    pub requests: Counts<Outcome>,
    /// Those that were served a stored error: a status of 400 or more, out of the store and without waiting for the origin.
    pub negative_hits: u64,
    /// Those that were served what another's fetch brought.
    pub collapsed: u64,
    /// Those that went past the cache, by why.
    pub bypasses: Counts<Bypass>,
    /// Those for which the origin was asked, by why, in the words of RFC 9211.
    pub forwards: Counts<Forward>,
    /// Commits to the store, by what they did.
    pub stored: Counts<Stored>,
    /// Answers of the origin that were not stored, by why. What went past the cache is not among them.
    pub not_stored: Counts<NotStored>,
    /// Bytes of bodies: handed out of the store, and taken from the origin on the way to store and caller. The body of an answer
    /// that the cache has no part in ([`Answer::Wire`](crate::Answer::Wire)) passes uncounted.
    pub body_bytes: Counts<Flow>,
    /// Requests to the origin, by what they were for and what came of them.
    pub origin_requests: Counts<(Purpose, Reply)>,
    /// Requests to the origin that wait for the head of a response now.
    pub in_flight: u64,
    /// Refreshes in the background, by what became of them.
    pub refreshes: Counts<Refresh>,
    /// Waits for another's fetch, by whose it was and how they ended.
    pub waits: Counts<(Leader, Wait)>,
    /// What the storage did; `None` for an engine without one.
    pub storage: Option<StorageStats>,
}

/// What an engine counted of its storage.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StorageStats {
    /// The kind of storage, such as `memory` or `memory-over-redis`: the words with which its `Display` begins.
    pub backend: Arc<str>,
    /// Operations that were begun and ended, by how they did.
    pub operations: Counts<(Operation, Ended)>,
    /// Those that failed, by how.
    pub errors: Counts<(Operation, Failure)>,
    /// Operations that were not tried, since the storage was left alone.
    pub skipped: Counts<Operation>,
    /// Whether the storage is left alone now, after too many failures in a row.
    pub breaker_open: bool,
    /// How often that began.
    pub breaker_openings: u64,
}

/// Numbers by a [`Label`].
#[derive(Clone)]
pub struct Counts<L> {
    values: Box<[u64]>,
    label: PhantomData<L>,
}

impl Stats {
    /// The share of requests that were answered without waiting for the origin, among those that came to an answer of store or
    /// origin and did not go past the cache; `None` where there were none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio, for people")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let hits = self.requests.get(Outcome::Hit) + self.requests.get(Outcome::Stale);
        let others = [Outcome::StaleIfError, Outcome::Revalidated, Outcome::Miss];
        let all = hits + others.iter().map(|outcome| self.requests.get(*outcome)).sum::<u64>();
        (all > 0).then(|| hits as f64 / all as f64)
    }
}

impl<L: Label> Counts<L> {
    pub(crate) fn new(values: Box<[u64]>) -> Self {
        Self { values, label: PhantomData }
    }

    /// The number for that label.
    #[must_use]
    pub fn get(&self, label: L) -> u64 {
        self.values.get(label.index()).copied().unwrap_or_default()
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.values.iter().fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// Each label with its number, zero or not.
    pub fn iter(&self) -> impl Iterator<Item = (L, u64)> + '_ {
        L::all().map(|label| (label, self.get(label)))
    }

    fn seen(&self) -> impl Iterator<Item = (L, u64)> + '_ {
        self.iter().filter(|(_, value)| *value > 0)
    }
}

impl<A: Label, B: Label> Counts<(A, B)> {
    /// The numbers of all pairs with that first label together.
    #[must_use]
    pub fn of(&self, first: A) -> u64 {
        B::all().map(|second| self.get((first, second))).sum()
    }
}

impl<L: Label> Default for Counts<L> {
    fn default() -> Self {
        Self::new(Box::default())
    }
}

impl<L: Label> fmt::Debug for Counts<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.seen()).finish()
    }
}

/// What is not zero: `hit 3, miss 1`.
impl<L: Label> fmt::Display for Counts<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (label, value)) in self.seen().enumerate() {
            let comma = if nth > 0 { ", " } else { "" };
            write!(f, "{comma}{} {value}", label.words().as_ref().join(" "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: [(&str, &dyn fmt::Display, u64); 11] = [
            ("requests", &self.requests, self.requests.total()),
            ("negative hits", &self.negative_hits, self.negative_hits),
            ("collapsed", &self.collapsed, self.collapsed),
            ("bypasses", &self.bypasses, self.bypasses.total()),
            ("forwards", &self.forwards, self.forwards.total()),
            ("stored", &self.stored, self.stored.total()),
            ("not stored", &self.not_stored, self.not_stored.total()),
            ("body bytes", &self.body_bytes, self.body_bytes.total()),
            ("origin requests", &self.origin_requests, self.origin_requests.total()),
            ("refreshes", &self.refreshes, self.refreshes.total()),
            ("waits", &self.waits, self.waits.total()),
        ];
        for (name, counts, _) in lines.iter().filter(|(_, _, total)| *total > 0) {
            writeln!(f, "{name}: {counts}")?;
        }
        match &self.storage {
            Some(storage) => storage.fmt(f),
            None => Ok(()),
        }
    }
}

impl fmt::Display for StorageStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.breaker_open { "left alone" } else { "in use" };
        write!(f, "storage {} ({state}): {}", self.backend, self.operations)?;
        if self.errors.total() > 0 {
            write!(f, "; errors: {}", self.errors)?;
        }
        if self.breaker_openings > 0 {
            write!(f, "; left alone {} times, skipped: {}", self.breaker_openings, self.skipped)?;
        }
        Ok(())
    }
}
