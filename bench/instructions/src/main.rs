//! `hit-instructions K [BYTES]` does K memory hits through the client, on one thread, and little else.
//!
//! Two runs with different K under `valgrind --tool=callgrind` differ by the hits alone: `scripts/hit_instructions`
//! does that. Each hit is what a caller does: a URL out of text, a request with three fields, a response, its bytes.

use std::error::Error;
use std::net::SocketAddr;

use client_reqwest::{CachedClient, ResponseExt, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The head of what the origin answers: twelve fields.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    content-type: application/json; charset=utf-8\r\n\
    cache-control: public, max-age=2147483647\r\n\
    expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n\
    etag: \"5f3c6d7e8a9b0c1d\"\r\n\
    last-modified: Wed, 31 Dec 2025 00:00:00 GMT\r\n\
    server: origin/1.0\r\n\
    vary: accept-encoding\r\n\
    x-request-id: 0b7c3f6e-5d1a-4f0e-9a52-3f1d2c4b5a69\r\n\
    x-content-type-options: nosniff\r\n\
    access-control-allow-origin: *\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let hits: u32 = arguments.next().ok_or("usage: hit-instructions K [BYTES]")?.parse()?;
    let bytes: usize = arguments.next().map_or(Ok(1024), |bytes| bytes.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(hits, bytes))
}

async fn run(hits: u32, bytes: usize) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/items/42?page=1", listener.local_addr()?);
    let origin = tokio::spawn(answer_once(listener, bytes));
    #[expect(clippy::redundant_closure_for_method_calls, reason = "reqwest itself is no dependency")]
    let client = CachedClient::builder().storage_url("memory:").wire(|wire| wire.no_proxy()).build().await?;
    if get(&client, &url).await? != (bytes, Source::Origin) {
        return Err("the first answer did not come from the origin".into());
    }
    origin.await??;
    for _ in 0..hits {
        if get(&client, &url).await? != (bytes, Source::Store) {
            return Err("an answer was no hit".into());
        }
    }
    Ok(())
}

async fn get(client: &CachedClient, url: &str) -> Result<(usize, Source), Box<dyn Error>> {
    let request = client
        .get(url)
        .header("accept", "application/json")
        .header("accept-language", "en")
        .header("user-agent", "hit-instructions/0.1");
    let response = request.send().await?;
    let source = response.cache_info().ok_or("no cache info")?.source;
    Ok((response.bytes().await?.len(), source))
}

/// The origin: one answer, and the connection closes.
async fn answer_once(listener: TcpListener, bytes: usize) -> std::io::Result<SocketAddr> {
    let (mut stream, peer) = listener.accept().await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(format!("{HEAD}content-length: {bytes}\r\n\r\n").as_bytes()).await?;
    stream.write_all(&vec![b'x'; bytes]).await?;
    Ok(peer)
}
