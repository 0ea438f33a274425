//! The origin that all replicas ask. It counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;
use reqwest::Url;

/// The body of `/large`: more than travels inside an entry, so that it is stored in frames.
const LARGE: usize = 3 << 20;

#[derive(Clone, Default)]
struct Resources(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    asked: BTreeMap<String, u64>,
    version: u64,
}

pub(crate) struct Origin {
    url: Url,
    resources: Resources,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let resources = Resources::default();
        let app = Router::new().fallback(answer).with_state(resources.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, resources })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// How many requests for that path came.
    pub(crate) fn asked(&self, path: &str) -> u64 {
        let state = self.resources.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.get(path).copied().unwrap_or_default()
    }

    /// How many requests came in all.
    pub(crate) fn total(&self) -> u64 {
        self.resources.0.lock().unwrap_or_else(PoisonError::into_inner).asked.values().sum()
    }
}

async fn answer(State(resources): State<Resources>, request: Request) -> Response {
    let path = request.uri().path();
    let mut state = resources.0.lock().unwrap_or_else(PoisonError::into_inner);
    *state.asked.entry(path.to_owned()).or_default() += 1;
    let response = Response::builder();
    let response = match (request.method(), path) {
        (&Method::PUT, _) => {
            state.version += 1;
            response.status(204).body(Body::empty())
        }
        (_, "/fresh") => response
            .header("cache-control", "public, max-age=60")
            .body(Body::from(format!("version {}", state.version))),
        (_, "/large") => {
            response.header("cache-control", "public, max-age=60").body(Body::from(vec![b'x'; LARGE]))
        }
        (_, "/validated") => {
            let known = request.headers().get("if-none-match").is_some_and(|etag| etag == "\"v1\"");
            let response = response.header("cache-control", "no-cache").header("etag", "\"v1\"");
            let response = response.status(if known { 304 } else { 200 });
            response.body(if known { Body::empty() } else { Body::from("validated each time") })
        }
        _ => response.status(404).body(Body::empty()),
    };
    response.unwrap_or_default()
}
