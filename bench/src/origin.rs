//! The origin: a server on loopback that counts what it is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use serde::Deserialize;

use crate::request::answered;
use crate::{Error, Result};

/// A running origin.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

/// What the query of a URL asks for.
#[derive(Debug, Deserialize)]
struct Wanted {
    body: usize,
    #[serde(default = "an_hour")]
    max_age: u32,
}

fn an_hour() -> u32 {
    3600
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        let asked = Arc::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, asked })
    }

    /// The URL of a resource: its path, and what the origin shall do.
    pub(crate) fn url(&self, path: &str, query: &str) -> String {
        format!("http://{}/{path}?{query}", self.address)
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Fails where it was asked since it had been asked `before` times: a hit that asks the origin is none.
    pub(crate) fn unasked_since(&self, before: u64) -> Result<()> {
        match self.asked() - before {
            0 => Ok(()),
            times => Err(format!("not all were hits: the origin was asked {times} times").into()),
        }
    }
}

async fn answer(State(asked): State<Arc<AtomicU64>>, Query(wanted): Query<Wanted>) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let mut response = Response::new(Body::from(body(wanted.body)));
    *response.headers_mut() = answered();
    if let Ok(value) = format!("public, max-age={}", wanted.max_age).try_into() {
        response.headers_mut().insert(CACHE_CONTROL, value);
    }
    response
}

/// A body of so many bytes.
pub(crate) fn body(len: usize) -> Bytes {
    Bytes::from((0u8..=255).cycle().take(len).collect::<Vec<u8>>())
}

/// Fails where a body has not the length that was asked for.
pub(crate) fn check(got: usize, wanted: usize) -> Result<()> {
    if got == wanted { Ok(()) } else { Err(Error::from(format!("{got} bytes instead of {wanted}"))) }
}
