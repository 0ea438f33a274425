//! An origin that takes its time, and counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::Response};

/// How long an answer takes, and how long it is fresh.
const TAKES: Duration = Duration::from_millis(50);
const FRESH: &str = "public, max-age=2";

#[derive(Clone)]
pub(crate) struct Origin(Arc<AtomicU64>);

impl Origin {
    pub(crate) async fn start() -> std::io::Result<(Self, SocketAddr)> {
        let origin = Self(Arc::default());
        let app = Router::new().fallback(answer).with_state(origin.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok((origin, address))
    }

    pub(crate) fn asked(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

async fn answer(State(origin): State<Origin>) -> Response {
    let nth = origin.0.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(TAKES).await;
    let response = Response::builder().header("cache-control", FRESH);
    response.body(Body::from(format!("answer {nth}"))).unwrap_or_default()
}
