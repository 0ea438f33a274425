//! Many requests of several processes for one cold key, over one store: how often is the origin asked?
//!
//! ```text
//! cargo run --release -p cache-conformance --example stampede -- --storage sqlite:///tmp/cache.sqlite --processes 4 --requests 250
//! cargo run --release -p cache-conformance --example stampede -- --storage redis://127.0.0.1/ --kill-leader
//! ```
//!
//! One JSON line tells. It ends with a failure where a request failed, or the origin was asked more than once: twice,
//! where the process that asked first was killed meanwhile.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod harness;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use harness::{Result, stampede::Stampede};

/// Requests of several processes for one cold key.
#[derive(Parser)]
struct Args {
    /// The store that they share
    #[arg(long, value_name = "URL")]
    storage: String,
    /// How many processes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
    /// How many requests each of them makes, all at once
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    requests: u32,
    /// How long the origin takes for an answer, in milliseconds
    #[arg(long, default_value_t = 200, value_name = "MILLISECONDS")]
    delay: u64,
    /// Kills the process that asks the origin first, with its request under way
    #[arg(long)]
    kill_leader: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    harness::run(stampede()).await
}

async fn stampede() -> Result<ExitCode> {
    let args = Args::parse();
    let stampede = Stampede {
        storage: args.storage,
        processes: args.processes,
        requests: args.requests,
        delay: Duration::from_millis(args.delay),
        kill_leader: args.kill_leader,
    };
    let report = stampede.run().await?;
    println!("{}", serde_json::to_string(&report)?);
    let broken = report.broken();
    broken.iter().for_each(|promise| eprintln!("{promise}"));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
