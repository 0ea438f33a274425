//! The command line.

use clap::{Args, Parser, Subcommand};

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
}

/// What each case is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// A storage URL; may be given several times. By default memory, and SQLite in a temporary file.
    #[arg(long, value_name = "URL")]
    pub(crate) storage: Vec<String>,
    /// The size of a body in bytes; may be given several times.
    #[arg(long, value_name = "BYTES", default_values_t = [1024])]
    pub(crate) body: Vec<usize>,
    /// How many callers there are at once; may be given several times.
    #[arg(long, value_name = "N", default_values_t = [1])]
    pub(crate) concurrency: Vec<usize>,
    /// For how long each subject is measured, all rounds together.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// In how many rounds. In each, all subjects take turns.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}
