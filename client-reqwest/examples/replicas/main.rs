//! Several processes of one service, each with memory of its own in front of one Redis: a table, live, of where their
//! answers come from.
//!
//! ```text
//! cargo run -p client-reqwest --features redis,tiered --example replicas                # starts a redis-server
//! cargo run -p client-reqwest --features redis,tiered --example replicas -- --storage redis://cache.internal/ --replicas 8
//! ```
//!
//! `examples/README.md` explains the picture. It ends with a failure where a request failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod origin;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod worker;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use cache_conformance::services;
use clap::Parser;
use client_reqwest::{Clock as _, SystemClock, storage_from_url};
use origin::Origin;
use support::{Process, Result, chain, with_own_namespace};
use worker::Counts;

/// Several processes, each with memory in front of one Redis.
#[derive(Parser)]
struct Args {
    /// How many processes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    replicas: u8,
    /// For how long
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,
    /// How many callers there are in each process
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    callers: u16,
    /// The store that they share; without it a redis-server of this machine is started for them
    #[arg(long, value_name = "URL")]
    storage: Option<String>,
    /// Makes this process one of them, which asks the origin at this URL
    #[arg(long, hide = true, requires = "storage")]
    origin: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match (&args.origin, &args.storage) {
        (Some(origin), Some(storage)) => worker::work(storage, origin, args.callers).await,
        _ => show(args).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn show(args: Args) -> Result<()> {
    let service = args.storage.is_none().then(services::redis::single);
    let storage = match (&service, args.storage) {
        (_, Some(url)) => url,
        (Some(service), None) => match service.url() {
            Some(url) => url.to_owned(),
            None => {
                return Err(format!(
                    "there is no Redis to share: {:?}; or name one with --storage",
                    service.presence()
                )
                .into());
            }
        },
        (None, None) => return Err("no storage".into()),
    };
    let storage = with_own_namespace(&storage, "replicas")?;
    let store = storage_from_url(&storage).await?;
    println!("{} processes, each with memory over {store}\n", args.replicas);

    let (origin, address) = Origin::start().await?;
    let (address, callers) = (format!("http://{address}"), args.callers.to_string());
    let mut processes = Vec::new();
    for _ in 0..args.replicas {
        let args = ["--storage", &storage, "--origin", &address, "--callers", &callers];
        processes.push((Process::start(&args)?, Counts::default()));
    }
    let live = std::io::stdout().is_terminal();
    let (began, lasts) = (now(), Duration::from_secs(args.seconds));
    while began.elapsed() < lasts {
        for (process, counts) in &mut processes {
            let line = process.output.next_line().await?.ok_or("a process ended before its time")?;
            *counts = serde_json::from_str(&line)?;
        }
        if live {
            table::show(&processes, origin.asked(), began.elapsed(), true);
        }
    }
    if !live {
        table::show(&processes, origin.asked(), began.elapsed(), false);
    }
    let requests: u64 = processes.iter().map(|(_, counts)| counts.requests).sum();
    let failed: u64 = processes.iter().map(|(_, counts)| counts.failed).sum();
    println!("\n{requests} requests of {} processes took {} to the origin.", args.replicas, origin.asked());
    drop(processes);
    if let Some(listing) = store.abilities().listing {
        listing.clear(SystemClock.now()).await?;
    }
    store.close().await?;
    drop(service);
    if failed > 0 { Err(format!("{failed} requests failed").into()) } else { Ok(()) }
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn now() -> Instant {
    Instant::now()
}
