//! The client without an async runtime: `cargo run -p client-reqwest --features blocking --example blocking -- URL`

#![allow(clippy::print_stdout, reason = "it is made to be read")]

use std::error::Error;
use std::time::Duration;

use client_reqwest::blocking::CachedClient;
use client_reqwest::{Fallback, ResponseExt};

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "https://example.com/".to_owned());
    let client = CachedClient::builder()
        .fallback(Fallback::ten_minutes())
        .user_agent("blocking-example/0.1")
        .timeout(Duration::from_secs(10))
        .build()?;
    for attempt in 1..=3 {
        let mut response = client.get(&url).send()?.error_for_status()?;
        let source = response.cache_info().map(|info| info.source);
        let bytes = response.copy_to(&mut std::io::sink())?;
        println!("{attempt}: {bytes} bytes from {source:?}");
    }
    client.close();
    Ok(())
}
