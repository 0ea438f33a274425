//! Fetches a few resources more than once, and shows where each answer came from and why.
//!
//! ```text
//! cargo run -p client-reqwest --example quickstart            # against an origin of its own, on loopback
//! cargo run -p client-reqwest --example quickstart -- URL…    # against these
//! ```
//!
//! The cache is a SQLite file, so that a second run shows what the first one stored.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod origin;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use client_reqwest::{CachedClient, RequestBuilder};
use support::chain;
use table::Row;

/// Under the user's cache directory, in a directory of this name.
const APP: &str = "client-reqwest-quickstart";

/// How often each resource is fetched.
const ROUNDS: usize = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(urls: Vec<String>) -> Result<(), Box<dyn Error>> {
    // The same as `CachedClient::for_app(APP).await?`, with a timeout and a name of its own.
    let mut builder =
        CachedClient::builder().app(APP).user_agent("quickstart/1.0").timeout(Duration::from_secs(30));
    let mut requests: Vec<_> = urls.into_iter().map(|url| (url, None)).collect();
    if requests.is_empty() {
        let addr = origin::start().await?;
        // A name of its own, so that the URLs (and with them the keys) are the same in each run.
        builder = builder.wire(|wire| wire.no_proxy().resolve(origin::HOST, addr));
        requests = origin::requests();
    }
    let client = builder.build().await?;
    if let Some(storage) = client.storage() {
        println!("cache: {storage}\n");
    }

    let mut rows = Vec::new();
    for (url, language) in requests {
        for _ in 0..ROUNDS {
            let mut request = client.get(&url);
            let mut shown = url.clone();
            if let Some(language) = language {
                request = request.header("accept-language", language);
                shown += &format!(" in {language}");
            }
            let row = fetch(request, &shown).await;
            rows.push(row.unwrap_or_else(|error| Row::failed(&shown, chain(&error))));
        }
    }
    println!("{}", table::of(&rows));
    println!("\nRun it again: what this run stored is still there.");
    client.close().await;
    Ok(())
}

async fn fetch(request: RequestBuilder, shown: &str) -> client_reqwest::Result<Row> {
    let response = request.send().await?;
    let row = Row::of(shown, &response);
    // An entry is stored when its body has been read to the end.
    response.bytes().await?;
    Ok(row)
}
