//! One program over any backend: which are compiled in, Cargo features say; which of them it uses, a URL.
//!
//! ```text
//! cargo run -p client-reqwest --example choose_backend                                  # memory
//! cargo run -p client-reqwest --example choose_backend -- sqlite://http.sqlite
//! cargo run -p client-reqwest --features redis --example choose_backend -- redis://127.0.0.1/
//! cargo run -p client-reqwest --example choose_backend -- redis://127.0.0.1/            # names the feature
//! ```
//!
//! It asks an origin on loopback twice: the second answer comes out of the store.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

use std::error::Error;
use std::process::ExitCode;

use axum::{Router, http::header::CACHE_CONTROL, routing::get};
use client_reqwest::{CachedClient, ResponseExt, Source};
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The backends of this crate, and whether this program has them.
const BACKENDS: [(&str, bool); 7] = [
    ("memory", cfg!(feature = "memory")),
    ("sqlite", cfg!(feature = "sqlite")),
    ("redis", cfg!(feature = "redis")),
    ("postgres", cfg!(feature = "postgres")),
    ("mongo", cfg!(feature = "mongo")),
    ("dynamodb", cfg!(feature = "dynamodb")),
    ("object-store", cfg!(feature = "object-store")),
];

#[tokio::main]
async fn main() -> ExitCode {
    for (feature, is_there) in BACKENDS {
        println!("{feature:<12} {}", if is_there { "compiled in" } else { "not here: its feature is off" });
    }
    let url = std::env::args().nth(1).unwrap_or_else(|| "memory://".to_owned());
    match run(&url).await {
        Ok(sources) => {
            println!("\nfirst from {:?}, then from {:?}", sources[0], sources[1]);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\n{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Where the answers to two equal requests come from, over the storage that this URL names.
pub(crate) async fn run(url: &str) -> Result<[Source; 2]> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let page = format!("http://{}/", listener.local_addr()?);
    let origin = Router::new().route("/", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "hello") }));
    tokio::spawn(async move { axum::serve(listener, origin).await });

    let client =
        CachedClient::builder().storage_url(url).wire(reqwest::ClientBuilder::no_proxy).build().await?;
    let mut sources = [Source::Nowhere; 2];
    for source in &mut sources {
        let response = client.get(&page).send().await?;
        *source = response.cache_info().map_or(Source::Origin, |info| info.source);
        response.bytes().await?; // what has been read to its end is stored
    }
    client.close().await;
    Ok(sources)
}
