//! Several processes of one small service over one Redis: what one fetched the others serve, and what one changed
//! none of them serves any more.
//!
//! ```text
//! cargo run -p client-reqwest --features redis --example shared_redis                   # starts a redis-server
//! cargo run -p client-reqwest --features redis --example shared_redis -- --storage redis://cache.internal/
//! ```
//!
//! Each replica is a process of its own. It ends with a failure where a replica asked the origin for what another
//! had stored, or served what another had changed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod origin;
mod replica;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::process::ExitCode;

use cache_conformance::services;
use clap::Parser;
use client_reqwest::{Clock as _, SystemClock, storage_from_url};
use origin::Origin;
use replica::Replica;
use reqwest::{Client, Method, Url};
use support::{Result, chain, with_own_namespace};
use table::Row;

/// Replicas of one small service that share a Redis.
#[derive(Parser)]
struct Args {
    /// How many replicas
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    replicas: u8,
    /// The store that they share; without it a redis-server of this machine is started for them
    #[arg(long, value_name = "URL")]
    storage: Option<String>,
    /// Makes this process a replica that asks the origin at this URL
    #[arg(long, hide = true, requires = "storage")]
    origin: Option<Url>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match (args.origin, args.storage) {
        (Some(origin), Some(storage)) => replica::serve(origin, &storage).await,
        (_, storage) => show(args.replicas, storage).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// What is asked, in turn: the method, the path, and how often the origin may be asked for it.
const REQUESTS: [(Method, &str, u64); 5] = [
    (Method::GET, "/fresh", 1),
    (Method::GET, "/large", 1),
    // Once in full; then the origin confirms what is stored.
    (Method::GET, "/validated", u64::MAX),
    (Method::PUT, "/fresh", u64::MAX),
    (Method::GET, "/fresh", 1),
];

async fn show(count: u8, storage: Option<String>) -> Result<()> {
    let (service, storage) = match storage {
        Some(url) => (None, url),
        None => {
            let service = services::redis::single();
            let url = service.url().ok_or_else(|| {
                format!("there is no Redis to share: {:?}; or name one with --storage", service.presence())
            })?;
            let url = url.to_owned();
            (Some(service), url)
        }
    };
    // A namespace of this run's own, which is cleared at its end.
    let storage = with_own_namespace(&storage, "shared-redis")?;
    let store = storage_from_url(&storage).await?;
    println!("shared by all: {store}\n");

    let origin = Origin::start().await?;
    let mut replicas = Vec::new();
    for number in 1..=count {
        replicas.push(Replica::start(number, origin.url(), &storage).await?);
    }
    let client = Client::builder().no_proxy().build()?;
    let mut rows = Vec::new();
    for (method, path, allowed) in REQUESTS {
        let before = origin.asked(path);
        // A change is made by one of them, and read by all.
        let asked = if method == Method::PUT { replicas.get(1..2) } else { replicas.get(..) };
        for replica in asked.unwrap_or_default() {
            let answer = replica.ask(&client, method.clone(), path).await?;
            rows.push(Row {
                replica: replica.to_string(),
                method: method.clone(),
                path,
                answer,
                asked: origin.asked(path),
            });
        }
        if origin.asked(path) - before > allowed {
            println!("{}", table::of(&rows));
            return Err(format!("the origin was asked more than {allowed} times for {method} {path}").into());
        }
    }
    println!("{}", table::of(&rows));
    let contents: Vec<_> =
        rows.iter().filter(|row| row.path == "/fresh").map(|row| &*row.answer.content).collect();
    if contents.first() == contents.last() {
        return Err("a replica serves what another changed".into());
    }
    println!("\n{} answers of {count} processes took {} requests to the origin.", rows.len(), origin.total());

    for replica in replicas {
        replica.stop().await?;
    }
    if let Some(listing) = store.abilities().listing {
        listing.clear(SystemClock.now()).await?;
    }
    store.close().await?;
    drop(service);
    Ok(())
}
