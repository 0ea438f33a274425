//! The origin: a server on loopback that counts what it is asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG, HeaderMap, IF_NONE_MATCH, VARY};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use crate::request::answered;
use crate::{Error, Result};

/// How much of a body is sent at once.
const PIECE: usize = 64 * 1024;

static PIECES: LazyLock<Bytes> =
    LazyLock::new(|| (0u8..=255).cycle().take(PIECE).collect::<Vec<u8>>().into());

/// A running origin.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    not_modified: AtomicU64,
}

/// What the query of a URL asks for.
#[derive(Debug, Deserialize)]
struct Wanted {
    body: usize,
    #[serde(default = "an_hour")]
    max_age: u32,
    /// How long it takes until it answers, in milliseconds.
    #[serde(default)]
    delay: u64,
    /// How long it waits before each tenth of the body, in milliseconds.
    #[serde(default)]
    drip: u64,
    /// A field that selects.
    vary: Option<String>,
}

fn an_hour() -> u32 {
    3600
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        let counts = Arc::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&counts));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Else a body that comes in pieces waits 40 ms for the client's acknowledgement.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, counts })
    }

    /// The URL of a resource: its path, and what the origin shall do.
    pub(crate) fn url(&self, path: &str, query: &str) -> String {
        format!("http://{}/{path}?{query}", self.address)
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// How often it answered 304.
    pub(crate) fn not_modified(&self) -> u64 {
        self.counts.not_modified.load(Ordering::SeqCst)
    }

    /// Fails where it was asked since it had been asked `before` times: a hit that asks the origin is none.
    pub(crate) fn unasked_since(&self, before: u64) -> Result<()> {
        match self.asked() - before {
            0 => Ok(()),
            times => Err(format!("not all were hits: the origin was asked {times} times").into()),
        }
    }
}

async fn answer(
    State(counts): State<Arc<Counts>>,
    Query(wanted): Query<Wanted>,
    asked: HeaderMap,
) -> Response {
    counts.asked.fetch_add(1, Ordering::SeqCst);
    if wanted.delay > 0 {
        tokio::time::sleep(Duration::from_millis(wanted.delay)).await;
    }
    let mut headers = answered();
    let cache_control = HeaderValue::try_from(format!("public, max-age={}", wanted.max_age));
    headers.extend(cache_control.ok().map(|value| (CACHE_CONTROL, value)));
    if let Some(name) = &wanted.vary {
        // With one tag for all they would be one variant, which a 304 renews.
        let selected = asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        for (field, value) in
            [(VARY, HeaderValue::try_from(name)), (ETAG, format!("\"{selected}\"").try_into())]
        {
            if let Ok(value) = value {
                headers.insert(field, value);
            }
        }
    }
    let mut response = Response::default();
    if asked.get(IF_NONE_MATCH).is_some_and(|tag| Some(tag) == headers.get(ETAG)) {
        counts.not_modified.fetch_add(1, Ordering::SeqCst);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(wanted.body));
        *response.body_mut() = answer_body(&wanted);
    }
    *response.headers_mut() = headers;
    response
}

fn answer_body(wanted: &Wanted) -> Body {
    if wanted.drip == 0 && wanted.body <= PIECE {
        return Body::from(PIECES.slice(..wanted.body));
    }
    let drip = Duration::from_millis(wanted.drip);
    let most = if drip.is_zero() { PIECE } else { (wanted.body / 10).clamp(1, PIECE) };
    let pieces = stream::unfold(wanted.body, move |left| async move {
        let size = left.min(most);
        (size > 0).then(|| (PIECES.slice(..size), left - size))
    });
    Body::from_stream(pieces.then(move |piece| async move {
        if !drip.is_zero() {
            tokio::time::sleep(drip).await;
        }
        Ok::<_, std::convert::Infallible>(piece)
    }))
}

/// A body of so many bytes.
pub(crate) fn body(len: usize) -> Bytes {
    PIECES.iter().copied().cycle().take(len).collect::<Vec<u8>>().into()
}

/// Fails where a body has not the length that was asked for.
pub(crate) fn check(got: usize, wanted: usize) -> Result<()> {
    if got == wanted { Ok(()) } else { Err(Error::from(format!("{got} bytes instead of {wanted}"))) }
}
