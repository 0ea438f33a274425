//! A cache over hyper's client, without reqwest: `cargo run -p cache-tower --example hyper_client`.
//!
//! An origin on loopback counts what it is asked, and the client asks it again and again.

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header},
    routing::get,
};
use cache_backend_memory::MemoryStorage;
use cache_tower::{CacheInfo, CacheLayer, Controls, EngineBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    for line in run().await? {
        println!("{line}");
    }
    Ok(())
}

/// What each request came to.
pub(crate) async fn run() -> Result<Vec<String>> {
    let origin = origin().await?;

    let storage = MemoryStorage::builder().max_capacity(64 << 20).build()?;
    let wire = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build_http();
    // Redirects, decompression and authentication would be layers above this one.
    let client = CacheLayer::new(EngineBuilder::new().storage(Arc::new(storage))).layer(wire);

    let mut lines = Vec::new();
    let mut ask = async |path: &str, controls: Controls| {
        let request = Request::get(format!("{origin}{path}")).extension(controls).body(Body::empty())?;
        lines.push(tell(path, client.clone().oneshot(request).await?).await?);
        Result::Ok(())
    };
    ask("/fresh", Controls::new()).await?;
    ask("/fresh", Controls::new()).await?;
    let mut revalidate = Controls::new();
    revalidate.revalidate = true;
    ask("/fresh", revalidate).await?;
    ask("/private", Controls::new()).await?;
    let mut offline = Controls::new();
    offline.only_if_cached = true;
    ask("/never-asked-for", offline).await?;

    client.close().await?;
    Ok(lines)
}

async fn tell<B>(path: &str, response: Response<B>) -> Result<String>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let info =
        response.extensions().get::<CacheInfo>().cloned().ok_or("it did not pass through the cache")?;
    let (status, body) = (response.status(), to_bytes(Body::new(response.into_body()), 1 << 20).await?);
    let body = String::from_utf8_lossy(&body);
    Ok(format!("{path}: {} {body:?} from {:?}: {}", status.as_u16(), info.source, info.reasons))
}

async fn origin() -> Result<String> {
    let asked = Arc::new(AtomicU32::new(0));
    let fresh = async move |headers: HeaderMap| {
        let nth = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let fields = [(header::CACHE_CONTROL, "max-age=60"), (header::ETAG, "\"a\"")];
        match headers.get(header::IF_NONE_MATCH) {
            Some(_) => (StatusCode::NOT_MODIFIED, fields, String::new()),
            None => (StatusCode::OK, fields, format!("answer {nth}")),
        }
    };
    let router = Router::new()
        .route("/fresh", get(fresh))
        .route("/private", get(async || ([(header::CACHE_CONTROL, "no-store")], "for you alone")));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}
