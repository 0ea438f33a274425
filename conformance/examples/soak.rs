//! Mixed load for long, over a store that fails by chance: is each answer right, and does memory stay as it is?
//!
//! ```text
//! cargo run --release -p cache-conformance --example soak -- --storage redis://127.0.0.1/ --minutes 30 --seed 7
//! ```
//!
//! One JSON line has the totals. It ends with a failure where a promise was broken: a request that failed, a body that is
//! torn or another's or that the origin never sent, tasks that did not end, memory that grew.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod harness;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use harness::{Result, soak::Soak};

/// Mixed load over a store that fails by chance.
#[derive(Parser)]
struct Args {
    /// The store
    #[arg(long, value_name = "URL")]
    storage: String,
    /// For how long
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES")]
    minutes: f64,
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many operations of the storage in 1,000 fail
    #[arg(long, default_value_t = 20, value_name = "PER_MILLE", value_parser = clap::value_parser!(u16).range(..=1000))]
    faults: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    harness::run(soak()).await
}

async fn soak() -> Result<ExitCode> {
    let args = Args::parse();
    let time = Duration::try_from_secs_f64(args.minutes * 60.0)?;
    let soak = Soak { storage: args.storage, time, seed: args.seed, faults: args.faults };
    let totals = soak.run().await?;
    println!("{}", serde_json::to_string(&totals)?);
    let broken = totals.broken();
    broken.iter().for_each(|promise| eprintln!("{promise}"));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
