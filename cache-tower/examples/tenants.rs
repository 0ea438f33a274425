//! An axum service over an upstream, with a cache for each tenant: `cargo run -p cache-tower --example tenants`.
//!
//! Two tenants ask for the same report of the upstream, each with a key of its own. Their answers differ and are kept apart;
//! what one tenant asks for again comes out of the store.

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use cache_backend_memory::MemoryStorage;
use cache_tower::{Cache, CacheLayer, EngineBuilder, Mode, Options, Tags, Tenant};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
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

/// What each request to the service came to.
pub(crate) async fn run() -> Result<Vec<String>> {
    let upstream = serve(Router::new().route("/report", get(report))).await?;

    // Several users: what an answer to `Authorization` may be used for is for the upstream to say, and the tenant opens
    // what RFC 9111 §3.5 closes.
    let engine = EngineBuilder::new()
        .storage(Arc::new(MemoryStorage::new()))
        .options(Options::new().mode(Mode::Shared));
    let wire = Client::builder(TokioExecutor::new()).build_http();
    let service = Service { upstream, cached: CacheLayer::new(engine).layer(wire) };

    let router =
        Router::new().route("/{tenant}/report", get(pass).delete(forget)).with_state(service.clone());
    let own = serve(router).await?;

    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut lines = Vec::new();
    for (method, tenant) in [
        ("GET", "acme"),
        ("GET", "umbrella"),
        ("GET", "acme"),
        ("DELETE", "acme"),
        ("GET", "acme"),
        ("GET", "umbrella"),
    ] {
        let uri = format!("{own}/{tenant}/report");
        let response =
            client.request(Request::builder().method(method).uri(uri).body(Body::empty())?).await?;
        let status = response.headers().get("cache-status").and_then(|field| field.to_str().ok());
        let status = status.unwrap_or("-").to_owned();
        let body = to_bytes(Body::new(response.into_body()), 1 << 20).await?;
        lines.push(format!("{method} {tenant}: {} [{status}]", String::from_utf8_lossy(&body)));
    }
    service.cached.close().await?;
    Ok(lines)
}

#[derive(Clone)]
struct Service {
    upstream: String,
    cached: Cache<Body, hyper::body::Incoming>,
}

/// The tenant's report, streamed as the upstream sends it.
async fn pass(State(service): State<Service>, Path(tenant): Path<String>) -> Response {
    let request = Request::get(format!("{}/report", service.upstream))
        .header(header::AUTHORIZATION, format!("Bearer key-of-{tenant}"))
        .extension(Tags::new([tenant.as_str()]))
        .extension(Tenant::new(tenant))
        .body(Body::empty());
    let Ok(request) = request else { return StatusCode::BAD_REQUEST.into_response() };
    match service.cached.oneshot(request).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Removes all that is stored for a tenant.
async fn forget(State(service): State<Service>, Path(tenant): Path<String>) -> Response {
    match service.cached.purge_tags([tenant]).await {
        Ok(entries) => format!("{entries} removed").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The upstream, which answers each key differently.
async fn report(headers: HeaderMap) -> Response {
    let key = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let body = format!("report for {}", String::from_utf8_lossy(key));
    ([(header::CACHE_CONTROL, "max-age=60")], body).into_response()
}

async fn serve(router: Router) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}
