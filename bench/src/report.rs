//! The lines of a run, and what the table is made of.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::measure::Measured;
use crate::subject::store::Store;

/// What one measurement was made with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) case: &'static str,
    pub(crate) storage: String,
    pub(crate) body: usize,
    pub(crate) concurrency: u32,
}

impl Setting {
    pub(crate) fn new(case: &'static str, storage: &Store, body: usize, concurrency: u32) -> Self {
        Self { case, storage: storage.to_string(), body, concurrency }
    }
}

/// One line: what was measured of one subject in one setting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub(crate) setting: Setting,
    pub(crate) subject: String,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// How many times as long one of ours typically takes; none where ours is not there.
    pub(crate) ours_time_over_this: Option<f64>,
    /// How many times as many operations a second ours does.
    pub(crate) ours_rate_over_this: Option<f64>,
    pub(crate) rounds: usize,
    pub(crate) timed_ops: u64,
    #[serde(flatten)]
    pub(crate) extra: BTreeMap<&'static str, f64>,
}

/// Collects lines, and prints each as it comes.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
}

impl Report {
    /// Adds what was measured in one setting.
    pub(crate) fn add(&mut self, setting: &Setting, measured: &[Measured]) -> Result<()> {
        let ours = measured.iter().find(|one| one.name == "ours");
        for one in measured {
            let line = Line {
                setting: setting.clone(),
                subject: one.name.clone(),
                ops_per_s: rounded(one.ops_per_s()),
                p50_us: micros(one.latencies.value_at_quantile(0.5)),
                p99_us: micros(one.latencies.value_at_quantile(0.99)),
                ours_time_over_this: ours.map(|ours| ours.time_over(one)).map(rounded),
                ours_rate_over_this: ours.map(|ours| ours.rate_over(one)).map(rounded),
                rounds: one.rates.len(),
                timed_ops: one.ops,
                extra: one.extra.clone(),
            };
            println!("{}", serde_json::to_string(&line)?);
            self.lines.push(line);
        }
        Ok(())
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// To three decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
