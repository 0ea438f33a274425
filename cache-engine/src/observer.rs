//! Counts what happens, for [`Stats`] and the recorder of the `metrics` facade. Adding is one relaxed increment.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::StatusCode;
use tracing::Span;

use crate::{
    engine::{Answer, Answered},
    error::Error,
    info::{CacheInfo, Source},
    meters::{self, Began, Metric, Series, Unit},
    network::Network,
    policy::{Forward, Reason},
    stats::{
        Bypass, Counts, Ended, Failure, Flow, Label, Leader, NotStored, Operation, Outcome, Purpose, Refresh,
        Reply, Stats, StorageStats, Stored, Wait,
    },
};

/// All that an engine counts.
#[derive(Debug)]
pub(crate) struct Observer {
    /// The kind of storage; `None` without one.
    pub(crate) backend: Option<Arc<str>>,
    requests: Tally<Outcome>,
    negative_hits: Tally<()>,
    collapsed: Tally<()>,
    pub(crate) bypasses: Tally<Bypass>,
    forwards: Tally<Forward>,
    pub(crate) stored: Tally<Stored>,
    pub(crate) not_stored: Tally<NotStored>,
    pub(crate) body_bytes: Tally<Flow>,
    pub(crate) origin_requests: Times<(Purpose, Reply)>,
    pub(crate) in_flight: Level,
    pub(crate) refreshes: Tally<Refresh>,
    pub(crate) waits: Times<(Leader, Wait)>,
    pub(crate) operations: Times<(Operation, Ended)>,
    pub(crate) errors: Tally<(Operation, Failure)>,
    pub(crate) skipped: Tally<Operation>,
    pub(crate) breaker_open: Level,
    pub(crate) breaker_openings: Tally<()>,
}

/// The metrics, in the order of the [`Observer`]'s fields.
pub(crate) static METRICS: [Metric; 17] = [
    Metric::counter(
        "http_cache_requests_total",
        &["outcome"],
        Unit::Count,
        "Requests, by what they came to.",
    ),
    Metric::counter(
        "http_cache_negative_hits_total",
        &[],
        Unit::Count,
        "Requests that were served a stored error.",
    ),
    Metric::counter(
        "http_cache_collapsed_total",
        &[],
        Unit::Count,
        "Requests that were served what another's fetch brought.",
    ),
    Metric::counter(
        "http_cache_bypasses_total",
        &["reason"],
        Unit::Count,
        "Requests that went past the cache, by why.",
    ),
    Metric::counter(
        "http_cache_forwards_total",
        &["reason"],
        Unit::Count,
        "Requests for which the origin was asked, by why, in the words of RFC 9211.",
    ),
    Metric::counter(
        "http_cache_stored_total",
        &["what"],
        Unit::Count,
        "Commits to the store, by what they did.",
    ),
    Metric::counter(
        "http_cache_not_stored_total",
        &["reason"],
        Unit::Count,
        "Answers of the origin that were not stored, by why.",
    ),
    Metric::counter(
        "http_cache_body_bytes_total",
        &["source"],
        Unit::Bytes,
        "Bytes of bodies handed out of the store, and taken from the origin.",
    ),
    Metric::seconds(
        "http_cache_origin_request_duration_seconds",
        &["purpose", "reply"],
        "From a request to the origin to the head of its response.",
    ),
    Metric::gauge(
        "http_cache_origin_requests_in_flight",
        &[],
        "Requests to the origin that wait for the head of a response.",
    ),
    Metric::counter(
        "http_cache_refreshes_total",
        &["result"],
        Unit::Count,
        "Refreshes in the background, by what became of them.",
    ),
    Metric::seconds(
        "http_cache_leader_wait_duration_seconds",
        &["leader", "result"],
        "How long requests waited for another's fetch.",
    ),
    Metric::seconds(
        "http_cache_storage_operation_duration_seconds",
        &["operation", "result"],
        "How long operations of the storage took.",
    ),
    Metric::counter(
        "http_cache_storage_errors_total",
        &["operation", "kind"],
        Unit::Count,
        "Operations of the storage that failed, by how.",
    ),
    Metric::counter(
        "http_cache_storage_skipped_total",
        &["operation"],
        Unit::Count,
        "Operations that were not tried, since the storage was left alone.",
    ),
    Metric::gauge(
        "http_cache_storage_breaker_open",
        &[],
        "Caches of this process that leave their storage alone, after too many failures in a row.",
    ),
    Metric::counter(
        "http_cache_storage_breaker_openings_total",
        &[],
        Unit::Count,
        "How often a storage began to be left alone.",
    ),
];

impl Observer {
    /// For an engine over a storage with that `Display`.
    pub(crate) fn new(storage: Option<&str>) -> Self {
        meters::describe();
        let [
            requests,
            negative_hits,
            collapsed,
            bypasses,
            forwards,
            stored,
            not_stored,
            body_bytes,
            origin_requests,
            in_flight,
            refreshes,
            waits,
            operations,
            errors,
            skipped,
            breaker_open,
            breaker_openings,
        ] = &METRICS;
        let backend: Option<Arc<str>> = storage.map(|storage| kind(storage).into());
        let of = backend.as_ref();
        let observer = Self {
            requests: Tally::new(requests, None),
            negative_hits: Tally::new(negative_hits, None),
            collapsed: Tally::new(collapsed, None),
            bypasses: Tally::new(bypasses, None),
            forwards: Tally::new(forwards, None),
            stored: Tally::new(stored, None),
            not_stored: Tally::new(not_stored, None),
            body_bytes: Tally::new(body_bytes, None),
            origin_requests: Times::new(origin_requests, None),
            in_flight: Level::new(in_flight, None),
            refreshes: Tally::new(refreshes, None),
            waits: Times::new(waits, None),
            operations: Times::new(operations, of),
            errors: Tally::new(errors, of),
            skipped: Tally::new(skipped, of),
            breaker_open: Level::new(breaker_open, of),
            breaker_openings: Tally::new(breaker_openings, of),
            backend,
        };
        observer.in_flight.show();
        if observer.backend.is_some() {
            observer.breaker_open.show();
        }
        observer
    }

    /// What was counted so far.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            requests: self.requests.counts(),
            negative_hits: self.negative_hits.get(()),
            collapsed: self.collapsed.get(()),
            bypasses: self.bypasses.counts(),
            forwards: self.forwards.counts(),
            stored: self.stored.counts(),
            not_stored: self.not_stored.counts(),
            body_bytes: self.body_bytes.counts(),
            origin_requests: self.origin_requests.tally.counts(),
            in_flight: self.in_flight.value(),
            refreshes: self.refreshes.counts(),
            waits: self.waits.tally.counts(),
            storage: self.backend.clone().map(|backend| StorageStats {
                backend,
                operations: self.operations.tally.counts(),
                errors: self.errors.counts(),
                skipped: self.skipped.counts(),
                breaker_open: self.breaker_open.value() > 0,
                breaker_openings: self.breaker_openings.get(()),
            }),
        }
    }
}

/// A request under way, counted when it ends: dropped before, it was abandoned.
pub(crate) struct Watch<'a> {
    observer: &'a Observer,
    span: &'a Span,
    has_ended: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a Observer, span: &'a Span) -> Self {
        Self { observer, span, has_ended: false }
    }

    /// Counts what the request came to, and writes it on its span.
    pub(crate) fn end<N: Network>(mut self, result: &Result<Answered<N::Response>, Error<N::Error>>) {
        self.has_ended = true;
        let Ok(Answered { answer, info }) = result else { return self.came_to(Outcome::Error) };
        let outcome = outcome(info);
        self.came_to(outcome);
        let status = match answer {
            Answer::Wire(response) => N::head(response).status,
            Answer::Cached(response) => response.status(),
        };
        if info.collapsed {
            self.observer.collapsed.add((), 1);
        }
        if let Some(forward) = info.forward {
            self.observer.forwards.add(forward, 1);
        } else if status.as_u16() >= 400 && outcome != Outcome::Unsatisfiable {
            self.observer.negative_hits.add((), 1);
        }
        if !self.span.is_disabled() {
            self.describe(status, info);
        }
    }

    fn came_to(&self, outcome: Outcome) {
        self.observer.requests.add(outcome, 1);
        self.span.record("outcome", outcome.as_str());
    }

    #[cold]
    fn describe(&self, status: StatusCode, info: &CacheInfo) {
        self.span.record("reason", tracing::field::display(&info.reasons));
        if let Some(key) = &info.key {
            self.span.record("key", tracing::field::display(key));
        }
        self.span.record("status", status.as_u16());
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.came_to(Outcome::Abandoned);
        }
    }
}

fn outcome(info: &CacheInfo) -> Outcome {
    match info.source {
        Source::Store => Outcome::Hit,
        Source::Stale if info.forward.is_some() || info.reasons.contains(Reason::StaleIfError) => {
            Outcome::StaleIfError
        }
        Source::Stale => Outcome::Stale,
        Source::Revalidated => Outcome::Revalidated,
        Source::Nowhere => Outcome::Unsatisfiable,
        Source::Origin if matches!(info.forward, Some(Forward::Bypass | Forward::Method)) => Outcome::Bypass,
        Source::Origin => Outcome::Miss,
    }
}

/// The kind of storage: the plain words with which its `Display` begins. What follows names a place, which is no label.
fn kind(storage: &str) -> String {
    let is_plain = |word: &&str| {
        word.len() <= 32
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let words: Vec<_> = storage.split_whitespace().take_while(is_plain).take(4).collect();
    if words.is_empty() { "other".into() } else { words.join("-") }
}

/// A counter for each value of a label.
pub(crate) struct Tally<L> {
    counts: Box<[AtomicU64]>,
    series: Option<Series>,
    label: PhantomData<L>,
}

impl<L: Label> Tally<L> {
    fn new(metric: &'static Metric, backend: Option<&Arc<str>>) -> Self {
        Self { series: Some(Series::new(metric, L::COUNT, backend)), ..Self::silent() }
    }

    /// One that no recorder is told of.
    fn silent() -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(L::COUNT).collect();
        Self { counts, series: None, label: PhantomData }
    }

    pub(crate) fn add(&self, label: L, by: u64) {
        if let Some(count) = self.counts.get(label.index()) {
            count.fetch_add(by, Ordering::Relaxed);
        }
        if let Some(series) = &self.series {
            series.count(label, by);
        }
    }

    fn get(&self, label: L) -> u64 {
        self.counts.get(label.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn counts(&self) -> Counts<L> {
        Counts::new(self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect())
    }
}

impl<L: Label> fmt::Debug for Tally<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}

/// How often and, for the recorder, how long, for each value of a label.
#[derive(Debug)]
pub(crate) struct Times<L: Label> {
    tally: Tally<L>,
    series: Series,
}

impl<L: Label> Times<L> {
    fn new(metric: &'static Metric, backend: Option<&Arc<str>>) -> Self {
        Self { tally: Tally::silent(), series: Series::new(metric, L::COUNT, backend) }
    }

    pub(crate) fn ended(&self, label: L, began: &Began) {
        self.tally.add(label, 1);
        self.series.record(label, began);
    }
}

/// How many there are now. What is left when it is dropped is taken from the recorder's gauge, which others may share.
#[derive(Debug)]
pub(crate) struct Level {
    value: AtomicU64,
    series: Series,
}

impl Level {
    fn new(metric: &'static Metric, backend: Option<&Arc<str>>) -> Self {
        Self { value: AtomicU64::new(0), series: Series::new(metric, 1, backend) }
    }

    /// Lets the recorder have a zero before there is anything else.
    fn show(&self) {
        self.series.lower((), 0);
    }

    pub(crate) fn raise(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
        self.series.raise(());
    }

    pub(crate) fn lower(&self) {
        self.value.fetch_sub(1, Ordering::Relaxed);
        self.series.lower((), 1);
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        let left = *self.value.get_mut();
        if left > 0 {
            self.series.lower((), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_storage_names_no_place() {
        for (display, name) in [
            ("memory (namespace http)", "memory"),
            ("object-store (s3://bucket/secret, namespace http)", "object-store"),
            ("memory over redis (cache.internal:6379, namespace http)", "memory-over-redis"),
            ("mine cache.internal:6379", "mine"),
            ("https://user:secret@cache.internal", "other"),
            ("(nameless)", "other"),
            ("", "other"),
            ("a b c d e f", "a-b-c-d"),
        ] {
            assert_eq!(kind(display), name, "{display}");
        }
    }
}
