//! A caching reverse proxy in its smallest form. `cachectl serve` is the same with settings.
//!
//! ```text
//! cargo run -p client-reqwest --example caching_proxy -- http://127.0.0.1:8000 ['sqlite://cache.sqlite']
//! ```

#![allow(clippy::print_stdout, reason = "it tells where it listens")]

use cache_proxy::Proxy;
use client_reqwest::{Mode, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let upstream = args.next().ok_or("name the origin, as http://127.0.0.1:8000")?.parse()?;
    let storage = args.next().unwrap_or_else(|| "memory://?max_capacity=256MiB".to_owned());

    let options = Options::new().mode(Mode::Shared);
    let client = Proxy::client(options).storage_url(&storage).build().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { _ = tokio::signal::ctrl_c().await };
    axum::serve(listener, Proxy::new(client.clone(), &upstream).router())
        .with_graceful_shutdown(stop)
        .await?;
    client.close().await; // waits for what is still being stored
    Ok(())
}
