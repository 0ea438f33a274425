//! A streaming reverse proxy over the cache: what it serves is what the library serves.
//!
//! ```text
//! cargo run -p client-reqwest --example caching_proxy -- \
//!     --listen 127.0.0.1:8080 --upstream http://127.0.0.1:8000 --mode shared --storage 'memory://?max_capacity=1GiB'
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells where it listens, and why it does not"
)]

mod service;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use client_reqwest::{Mode, Options, SetCookie};
use http::HeaderName;
use reqwest::Url;
use service::Proxy;
use support::chain;

/// A caching reverse proxy.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The origin, `http://…` or `https://…`; a path is put before the request's
    #[arg(long)]
    upstream: Url,
    /// Whether one user or several are behind the cache
    #[arg(long, value_enum, default_value = "shared")]
    mode: Users,
    /// Where answers are kept
    #[arg(long, default_value = "memory://?max_capacity=256MiB")]
    storage: String,
    /// Serve what went stale at most this many seconds ago where the origin fails, unless it forbids that
    #[arg(long, value_name = "SECONDS")]
    stale_if_error: Option<u64>,
    /// Obey CDN-Cache-Control in place of Cache-Control (RFC 9213)
    #[arg(long)]
    targeted: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Users {
    Private,
    Shared,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let mut options = Options::new().mode(match args.mode {
        Users::Private => Mode::Private,
        Users::Shared => Mode::Shared,
    });
    options = options.stale_if_error(args.stale_if_error.map(Duration::from_secs));
    // RFC 9111 §7.3 leaves cookies to the origin, and this one knows that it stands behind a cache.
    options = options.set_cookie(SetCookie::Explicit);
    if args.targeted {
        options = options.targeted([HeaderName::from_static("cdn-cache-control")]);
    }
    let proxy = Proxy::new(&args.upstream, options, &args.storage).await?;
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    println!("http://{} caches {} in {}", listener.local_addr()?, args.upstream, proxy.storage());
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, proxy.router()).with_graceful_shutdown(stop).await?;
    proxy.close().await;
    Ok(())
}
