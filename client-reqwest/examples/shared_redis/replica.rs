//! One process of the service: whatever it is asked for it asks of the origin, through the cache.

use std::fmt;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use client_reqwest::{CachedClient, Mode, ResponseExt as _, Source};
use http::StatusCode;
use reqwest::{Client, Method, Url};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{Process, Result};

/// Says where an answer came from.
const CAME_FROM: &str = "x-came-from";

/// Serves until its standard input ends, and tells on its standard output where.
pub(crate) async fn serve(origin: Url, storage: &str) -> Result<()> {
    let client = CachedClient::builder()
        .storage_url(storage)
        .mode(Mode::Shared)
        .wire(reqwest::ClientBuilder::no_proxy)
        .build()
        .await?;
    let app = Router::new().fallback(pass).with_state((client.clone(), origin));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/", listener.local_addr()?);
    let stop = async {
        let mut line = String::new();
        let _ = BufReader::new(tokio::io::stdin()).read_line(&mut line).await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    client.close().await;
    Ok(())
}

async fn pass(State((client, origin)): State<(CachedClient, Url)>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = async {
        let response = client.request(method, origin.join(&path)?).send().await?;
        let came_from = match response.cache_info().map(|info| info.source) {
            Some(Source::Origin) => "the origin",
            Some(Source::Store) => "the cache",
            Some(Source::Revalidated) => "the cache, after a 304",
            Some(_) => "elsewhere",
            None => "the wire",
        };
        let mut answer = Response::builder().status(response.status()).header(CAME_FROM, came_from);
        if let Some(status) = response.headers().get("cache-status") {
            answer = answer.header("cache-status", status);
        }
        // Streamed: a large body is held neither here nor on its way to Redis.
        Result::Ok(answer.body(Body::from_stream(response.bytes_stream()))?)
    };
    match answered.await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// A replica as its parent has it.
pub(crate) struct Replica {
    number: u8,
    url: Url,
    process: Process,
}

/// What a replica answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) came_from: String,
    pub(crate) cache_status: String,
    pub(crate) content: String,
}

impl Replica {
    pub(crate) async fn start(number: u8, origin: &Url, storage: &str) -> Result<Self> {
        let mut process = Process::start(&["--origin", origin.as_str(), "--storage", storage])?;
        let line = process.output.next_line().await?;
        let url = Url::parse(&line.ok_or("a replica ended before it served")?)?;
        Ok(Self { number, url, process })
    }

    pub(crate) async fn ask(&self, client: &Client, method: Method, path: &str) -> Result<Answer> {
        let response = client.request(method, self.url.join(path)?).send().await?;
        let field = |name: &str| {
            let value = response.headers().get(name).map(http::HeaderValue::as_bytes);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let (status, came_from, cache_status) = (response.status(), field(CAME_FROM), field("cache-status"));
        if !status.is_success() {
            return Err(format!("{self} answers {path} with {status}: {}", response.text().await?).into());
        }
        let content = response.text().await?;
        Ok(Answer { status, came_from, cache_status, content })
    }

    /// Lets it end by itself.
    pub(crate) async fn stop(self) -> Result<()> {
        let name = self.to_string();
        let Process { mut child, input, .. } = self.process;
        drop(input);
        let status = child.wait().await?;
        if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}").into()) }
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {} (process {})", self.number, self.process.child.id().unwrap_or_default())
    }
}
