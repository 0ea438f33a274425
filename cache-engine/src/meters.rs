//! What is counted, told to the recorder of the `metrics` facade that is installed at the time.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use metrics::{Key, KeyName, Level, Metadata, Recorder, SharedString, with_recorder};
use tokio::time::Instant;

use crate::{observer, stats::Label};

/// A metric's name and what it says.
pub(crate) struct Metric {
    name: &'static str,
    /// The names of its labels, but for `backend`.
    labels: &'static [&'static str],
    kind: Kind,
    help: &'static str,
}

enum Kind {
    Counter(Unit),
    Gauge,
    /// A histogram.
    Seconds,
}

/// What a counter counts.
pub(crate) enum Unit {
    Count,
    Bytes,
}

/// The series of one metric, each under its key, which is made once.
pub(crate) struct Series {
    metric: &'static Metric,
    backend: Option<Arc<str>>,
    keys: Box<[OnceLock<Key>]>,
}

/// When something began.
pub(crate) struct Began(Instant);

const METADATA: Metadata<'static> = Metadata::new("cache_engine", Level::INFO, Some("cache_engine"));

impl Metric {
    pub(crate) const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        unit: Unit,
        help: &'static str,
    ) -> Self {
        Self { name, labels, kind: Kind::Counter(unit), help }
    }

    pub(crate) const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, labels, kind: Kind::Gauge, help }
    }

    pub(crate) const fn seconds(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, labels, kind: Kind::Seconds, help }
    }

    fn describe(&self, recorder: &dyn Recorder) {
        let (name, help) = (KeyName::from(self.name), SharedString::from(self.help));
        match self.kind {
            Kind::Counter(Unit::Count) => recorder.describe_counter(name, Some(metrics::Unit::Count), help),
            Kind::Counter(Unit::Bytes) => recorder.describe_counter(name, Some(metrics::Unit::Bytes), help),
            Kind::Gauge => recorder.describe_gauge(name, Some(metrics::Unit::Count), help),
            Kind::Seconds => recorder.describe_histogram(name, Some(metrics::Unit::Seconds), help),
        }
    }
}

/// Tells the recorder that is installed what each metric says, and its unit.
///
/// An engine does so when it is built. Where the recorder is installed later, call this afterwards.
pub fn describe_metrics() {
    with_recorder(|recorder| observer::METRICS.iter().for_each(|metric| metric.describe(recorder)));
}

pub(crate) use describe_metrics as describe;

impl Began {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }
}

impl Series {
    pub(crate) fn new(metric: &'static Metric, series: usize, backend: Option<&Arc<str>>) -> Self {
        let keys = std::iter::repeat_with(OnceLock::new).take(series).collect();
        Self { metric, backend: backend.cloned(), keys }
    }

    pub(crate) fn count<L: Label>(&self, label: L, by: u64) {
        self.with(label, |recorder, key| recorder.register_counter(key, &METADATA).increment(by));
    }

    pub(crate) fn raise<L: Label>(&self, label: L) {
        self.with(label, |recorder, key| recorder.register_gauge(key, &METADATA).increment(1));
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; what it counts is few")]
    pub(crate) fn lower<L: Label>(&self, label: L, by: u64) {
        self.with(label, |recorder, key| recorder.register_gauge(key, &METADATA).decrement(by as f64));
    }

    pub(crate) fn record<L: Label>(&self, label: L, began: &Began) {
        self.with(label, |recorder, key| {
            recorder.register_histogram(key, &METADATA).record(began.0.elapsed());
        });
    }

    fn with<L: Label>(&self, label: L, tell: impl FnOnce(&dyn Recorder, &Key)) {
        if let Some(key) = self.keys.get(label.index()) {
            with_recorder(|recorder| tell(recorder, key.get_or_init(|| self.key(label))));
        }
    }

    fn key<L: Label>(&self, label: L) -> Key {
        let backend = self.backend.iter().map(|backend| metrics::Label::new("backend", Arc::clone(backend)));
        let words = label.words();
        let labels = self.metric.labels.iter().zip(words.as_ref());
        let labels = labels.map(|(name, word)| metrics::Label::from_static_parts(name, word));
        Key::from_parts(self.metric.name, backend.chain(labels).collect::<Vec<_>>())
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Series").field(&self.metric.name).finish()
    }
}
