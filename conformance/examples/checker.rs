//! Random requests, purges and crashes of several processes over one store, and whether each answer is what it may be.
//!
//! ```text
//! cargo run --release -p cache-conformance --example checker -- --storage redis://127.0.0.1/ --minutes 10 --seed 7
//! ```
//!
//! One JSON line has the totals. It ends with a failure where a promise was broken: a body that is torn or another's,
//! an entry that was purged before it was asked for, a variant that was lost, a request that failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod harness;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use harness::{Result, checker::Run};

/// Random requests, purges and crashes of several processes over one store.
#[derive(Parser)]
struct Args {
    /// The store that they share
    #[arg(long, value_name = "URL")]
    storage: String,
    /// For how long
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES")]
    minutes: f64,
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many processes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    processes: u8,
    /// How late a purge may be seen, in milliseconds, where a tier of memory is over the store: its bound, or what an
    /// event takes
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    bound: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    harness::run(check()).await
}

async fn check() -> Result<ExitCode> {
    let args = Args::parse();
    let run = Run {
        storage: args.storage,
        time: Duration::try_from_secs_f64(args.minutes * 60.0)?,
        seed: args.seed,
        processes: usize::from(args.processes),
        bound: Duration::from_millis(args.bound),
    };
    let totals = run.run().await?;
    println!("{}", serde_json::to_string(&totals)?);
    Ok(if totals.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
