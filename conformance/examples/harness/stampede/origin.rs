//! An origin that is slow, and counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use tokio::sync::watch;

use crate::harness::serve;

/// Which worker asks.
pub(crate) const WORKER: &str = "x-worker";

#[derive(Clone)]
pub(crate) struct Origin {
    asked: Arc<AtomicU64>,
    /// The worker that asked first.
    leader: watch::Sender<Option<u32>>,
    delay: Duration,
}

impl Origin {
    pub(crate) async fn start(delay: Duration) -> std::io::Result<(Self, SocketAddr)> {
        let origin = Self { asked: Arc::default(), leader: watch::Sender::new(None), delay };
        let app = Router::new().fallback(answer).with_state(origin.clone());
        Ok((origin, serve(app).await?))
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it is asked, and tells by whom.
    pub(crate) async fn leader(&self) -> Option<u32> {
        let mut leader = self.leader.subscribe();
        leader.wait_for(Option::is_some).await.ok().and_then(|leader| *leader)
    }
}

async fn answer(State(origin): State<Origin>, request: Request) -> Response {
    let nth = origin.asked.fetch_add(1, Ordering::SeqCst);
    let worker = request.headers().get(WORKER).and_then(|value| value.to_str().ok()?.parse().ok());
    origin.leader.send_if_modified(|leader| {
        let first = leader.is_none();
        if first {
            *leader = worker;
        }
        first
    });
    tokio::time::sleep(origin.delay).await;
    let response = Response::builder().header("cache-control", "public, max-age=600");
    response.body(Body::from(format!("answer {nth}"))).unwrap_or_default()
}
