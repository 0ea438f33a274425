//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the cache against floors and peers: JSON lines, then a table of ratios.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) case: Case,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// A hit, against the store's own read command and, in memory, against the least that a hit takes.
    Hit(Common),
    /// A hit, against other caches for reqwest and against no cache.
    HitPeers(Common),
    /// A miss that is stored: first byte and end, against no cache; also from an origin that drips.
    Store(Common),
    /// A stale answer that the origin confirms with 304.
    Revalidate(Common),
    /// Many callers at once for one resource that is not stored, or stale.
    Stampede(Stampede),
    /// A large body, stored as it comes and read back: memory, first byte, bandwidth.
    Stream(Common),
    /// Ten thousand resources, asked for by Zipf's law; one request in ten stores anew.
    Mixed(Common),
    /// A hit among more and more entries and variants.
    Scale(Scale),
    /// Draws what hits take, from the lines of `hit` and `hit-peers`.
    Chart(Chart),
    /// What `stream` does in processes of their own.
    #[command(hide = true)]
    StreamChild(StreamChild),
}

/// What each case is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// A storage URL; may be given several times. By default memory, and SQLite in a temporary file.
    #[arg(long, value_name = "URL")]
    pub(crate) storage: Vec<String>,
    /// The size of a body in bytes; may be given several times. 1024 by default, in `stream` 1 GiB.
    #[arg(long, value_name = "BYTES")]
    pub(crate) body: Vec<usize>,
    /// How many callers there are at once; may be given several times. One by default, in `stampede` 1000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Vec<u32>,
    /// For how long each subject is measured, all rounds together.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// In how many rounds, 9 by default, in `stream` 3. In each, all subjects take turns.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

impl Common {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(9)
    }

    /// Of a case whose rounds take long.
    pub(crate) fn few_rounds(&self) -> u32 {
        self.rounds.unwrap_or(3)
    }

    pub(crate) fn bodies(&self, default: usize) -> Vec<usize> {
        if self.body.is_empty() { vec![default] } else { self.body.clone() }
    }

    pub(crate) fn callers(&self, default: u32) -> Vec<u32> {
        if self.concurrency.is_empty() { vec![default] } else { self.concurrency.clone() }
    }
}

/// What `stampede` is told beside that.
#[derive(Args, Clone, Debug)]
pub(crate) struct Stampede {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How long the origin takes to answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub(crate) delay: u64,
}

/// What `scale` is told beside that.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scale {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Among how many entries; may be given several times, in rising order.
    #[arg(long, value_name = "N", default_values_t = [100, 1000, 10_000, 100_000, 1_000_000])]
    pub(crate) entries: Vec<u64>,
    /// Among how many variants; may be given several times.
    #[arg(long, value_name = "N", default_values_t = [1, 4, 16, 64])]
    pub(crate) variants: Vec<u32>,
}

/// What a child of `stream` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct StreamChild {
    /// A storage URL.
    #[arg(long)]
    pub(crate) storage: String,
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) body: usize,
    /// What it does, in this order.
    #[arg(long, value_enum)]
    pub(crate) pass: Vec<Pass>,
}

/// One way to get a large body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pass {
    /// Through a cache that stores it.
    Cold,
    /// Out of that cache.
    Hit,
    /// Its frames, by the store's own driver.
    Floor,
    /// From the origin, without a cache.
    Plain,
}

/// What `chart` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Chart {
    /// The lines of earlier runs, in one file.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// The SVG file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The size of the bodies whose lines are drawn.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) body: usize,
}
