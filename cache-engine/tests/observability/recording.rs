//! What a scenario emits: metrics by a recorder, spans and events by a subscriber.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it fails"
)]
#![allow(unreachable_pub, reason = "one module of a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use metrics::Unit;
use metrics_util::{
    CompositeKey, MetricKind,
    debugging::{DebugValue, DebuggingRecorder},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::{LookupSpan, Scope},
};

/// Fields with what they hold.
pub type Fields = BTreeMap<&'static str, String>;

/// One series of a metric.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub kind: MetricKind,
    pub unit: Option<&'static str>,
    pub labels: BTreeMap<String, String>,
    /// How much was counted, how often it was recorded, or where the gauge is.
    pub value: f64,
    pub is_described: bool,
}

#[derive(Clone, Debug)]
pub struct Span {
    pub name: &'static str,
    pub level: String,
    /// All that it may have.
    pub declared: Vec<&'static str>,
    pub fields: Fields,
    /// The spans around it, the outermost first.
    pub within: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Said {
    pub level: String,
    pub message: String,
    pub declared: Vec<&'static str>,
    pub within: Vec<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub series: Vec<Series>,
    pub spans: Vec<Span>,
    pub events: Vec<Said>,
}

/// Runs a scenario, in paused time and on this thread, and tells what it emitted beside what it returned.
pub fn seen<T>(scenario: impl Future<Output = T>) -> (T, Seen) {
    let recorder = DebuggingRecorder::new();
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let output = tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || runtime.unwrap().block_on(scenario))
    });
    let mut seen = std::mem::take(&mut *log.0.lock().unwrap());
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    seen.series = snapshot
        .into_iter()
        .map(|(key, unit, text, value)| series(&key, unit, text.is_some(), value))
        .collect();
    (output, seen)
}

fn series(key: &CompositeKey, unit: Option<Unit>, is_described: bool, value: DebugValue) -> Series {
    let labels = key.key().labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = match value {
        DebugValue::Counter(count) => count as f64,
        DebugValue::Gauge(level) => level.0,
        DebugValue::Histogram(records) => records.len() as f64,
    };
    let unit = unit.map(|unit| unit.as_str());
    Series { name: key.key().name().to_owned(), kind: key.kind(), unit, labels, value, is_described }
}

impl Seen {
    /// The number of one series; labels that are not named may be any.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |series: &&Series| {
            series.name == name && labels.iter().all(|(label, value)| series.labels[*label] == *value)
        };
        self.series.iter().filter(fits).map(|series| series.value).sum()
    }

    /// The spans of that name.
    pub fn spans(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    pub fn said(&self, message: &str) -> usize {
        self.events.iter().filter(|event| event.message == message).count()
    }

    /// Takes in what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        self.series.extend(other.series);
        self.spans.extend(other.spans);
        self.events.extend(other.events);
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Seen>>);

/// Where a span is in the log.
struct At(usize);

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("cache_engine")
}

fn declared(metadata: &'static Metadata<'static>) -> Vec<&'static str> {
    metadata.fields().iter().map(|field| field.name()).filter(|name| *name != "message").collect()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !is_ours(metadata) {
            return;
        }
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        let span = context.span(id).unwrap();
        let within = span.scope().from_root().map(|span| span.name()).filter(|name| *name != metadata.name());
        let within = within.collect();
        let level = metadata.level().to_string().to_lowercase();
        let mut log = self.0.lock().unwrap();
        span.extensions_mut().insert(At(log.spans.len()));
        log.spans.push(Span { name: metadata.name(), level, declared: declared(metadata), fields, within });
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        if let Some(At(at)) = span.extensions().get::<At>() {
            values.record(&mut Reader(&mut self.0.lock().unwrap().spans[*at].fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if !is_ours(metadata) {
            return;
        }
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        let scope = context.event_scope(event).into_iter().flat_map(Scope::from_root);
        let within = scope.map(|span| span.name()).collect();
        let level = metadata.level().to_string().to_lowercase();
        let message = fields.remove("message").unwrap();
        self.0.lock().unwrap().events.push(Said { level, message, declared: declared(metadata), within });
    }
}

/// The rows of the table under a heading, without the row of its headings.
pub fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap().1;
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in backquotes, but for remarks in parentheses.
pub fn quoted(cell: &str) -> BTreeSet<String> {
    let remarks = |part: &str| part.split_once(')').map_or(part, |(_, rest)| rest).to_owned();
    let cell: String = cell.split('(').map(remarks).collect();
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
