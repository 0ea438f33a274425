//! Processes that share one store, over an origin that counts: what the programs `stampede`, `checker` and `soak` and
//! the tests of many processes are made of.

#![allow(dead_code, reason = "each of them uses its part")]

pub(crate) mod checker;
pub(crate) mod process;
pub(crate) mod soak;
pub(crate) mod stampede;

use std::{
    error::Error,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use client_reqwest::{
    CachedClient, CachedClientBuilder, Clock as _, Mode, Storage, SystemClock, storage_from_url,
};

pub(crate) use process::{Process, READY, Role};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Runs a program that starts more of itself.
pub(crate) async fn run(parent: impl Future<Output = Result<ExitCode>>) -> ExitCode {
    let came = match Role::given() {
        Ok(Some(role)) => role.play().await.map(|()| ExitCode::SUCCESS),
        Ok(None) => parent.await,
        Err(error) => Err(error),
    };
    came.unwrap_or_else(|error| {
        eprintln!("{}", chain(&*error));
        ExitCode::FAILURE
    })
}

/// The store of a run, in a namespace of its own: all is cold, and nothing of it is left behind.
pub(crate) struct Store {
    pub(crate) url: String,
    storage: Arc<dyn Storage>,
}

impl Store {
    pub(crate) async fn open(storage: &str, prefix: &str) -> Result<Self> {
        let query = storage.split_once('?').map_or("", |(_, query)| query);
        if query.split('&').any(|pair| pair.starts_with("namespace=")) {
            return Err("--storage: leave `namespace` out, each run has one of its own".into());
        }
        let separator = if storage.contains('?') { '&' } else { '?' };
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let url = format!("{storage}{separator}namespace={prefix}-{:016x}", u64::from_le_bytes(id));
        let storage = storage_from_url(&url).await?;
        Ok(Self { url, storage })
    }

    /// Deletes what is in it.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(listing) = self.storage.abilities().listing
            && let Err(error) = listing.clear(SystemClock.now()).await
        {
            // What was judged stands all the same.
            eprintln!("the namespace is not cleared: {}", chain(&error));
        }
        Ok(self.storage.close().await?)
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.storage.fmt(f)
    }
}

/// The client of one process.
pub(crate) async fn client(storage: &str) -> Result<CachedClient> {
    Ok(builder().storage_url(storage).build().await?)
}

/// With more patience than a service has: what is judged is what holds over a store that answers, and here all of its
/// users and its server share one machine.
pub(crate) fn builder() -> CachedClientBuilder {
    CachedClient::builder()
        .mode(Mode::Shared)
        .wire(reqwest::ClientBuilder::no_proxy)
        .storage_read_deadline(Duration::from_secs(10))
        .storage_write_deadline(Duration::from_secs(20))
}

/// Serves an origin, for as long as the runtime is there.
pub(crate) async fn serve(origin: Router) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, origin).await });
    Ok(address)
}

/// An error and what caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What a loaded machine adds to any wait.
pub(crate) const SLACK: Duration = Duration::from_secs(15);
