//! Replicas that share one Redis, in one file: each is a process of its own, and all of them together ask the origin once.
//!
//! ```text
//! cargo run -p client-reqwest --features redis --example one_redis                            # starts a redis-server
//! cargo run -p client-reqwest --features redis --example one_redis -- redis://cache.internal/
//! ```
//!
//! `shared_redis` beside it shows more: changes, validation, large bodies.

#![allow(clippy::print_stdout, reason = "it is made to be read")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, http::header::CACHE_CONTROL, routing::get};
use cache_conformance::services;
use client_reqwest::{CachedClient, Mode, ResponseExt};
use tokio::{net::TcpListener, process::Command};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const REPLICAS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => {
            let redis = services::redis::single();
            let url =
                redis.url().ok_or_else(|| format!("no Redis here: {:?}; name one", redis.presence()))?;
            run(url).await
        }
        [storage] => run(storage).await,
        [storage, page, ..] => replica(storage, page).await,
    }
}

/// What each replica of a service does: nothing but naming the store tells it that there are others.
async fn replica(storage: &str, page: &str) -> Result<()> {
    let client = CachedClient::builder()
        .storage_url(storage)
        .mode(Mode::Shared)
        .wire(reqwest::ClientBuilder::no_proxy)
        .build()
        .await?;
    let response = client.get(page).send().await?;
    let source = response.cache_info().map(|info| info.source);
    println!("process {}: {:?} from {source:?}", std::process::id(), response.text().await?);
    client.close().await;
    Ok(())
}

async fn run(storage: &str) -> Result<()> {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let page = format!("http://{}/", listener.local_addr()?);
    let count = Arc::clone(&asked);
    let answer = move || {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move { ([(CACHE_CONTROL, "public, max-age=60")], format!("answer {n}")) }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(answer))).await });

    // At the same time: the lease in Redis says which of them asks.
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Command::new(std::env::current_exe()?).args([storage, &page]).spawn()?);
    }
    for mut replica in replicas {
        if !replica.wait().await?.success() {
            return Err("a replica failed".into());
        }
    }
    match asked.load(Ordering::Relaxed) {
        1 => println!("{REPLICAS} replicas, one request to the origin"),
        n => return Err(format!("the origin was asked {n} times").into()),
    }
    Ok(())
}
