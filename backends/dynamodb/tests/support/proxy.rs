//! Counts round trips: how often a request goes off while no other is under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How long an answer is on its way: requests that go off together are to meet.
const DISTANCE: Duration = Duration::from_millis(100);

pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    under_way: AtomicU64,
    trips: AtomicU64,
    requests: AtomicU64,
}

impl Proxy {
    /// A proxy to the server at that address.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let all = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let asking = Arc::new(AtomicBool::new(false));
                tokio::spawn(ask(from_client, to_server, Arc::clone(&asking), Arc::clone(&all)));
                tokio::spawn(answer(from_server, to_client, asking, Arc::clone(&all)));
            }
        });
        Self { endpoint, counts }
    }

    /// The round trips since the last call.
    pub(crate) fn trips(&self) -> u64 {
        self.counts.requests.store(0, Ordering::SeqCst);
        self.counts.trips.swap(0, Ordering::SeqCst)
    }

    /// The requests since then.
    pub(crate) fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }
}

async fn ask(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    asking: Arc<AtomicBool>,
    counts: Arc<Counts>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !asking.swap(true, Ordering::SeqCst) {
            counts.requests.fetch_add(1, Ordering::SeqCst);
            if counts.under_way.fetch_add(1, Ordering::SeqCst) == 0 {
                counts.trips.fetch_add(1, Ordering::SeqCst);
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn answer(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    asking: Arc<AtomicBool>,
    counts: Arc<Counts>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if asking.load(Ordering::SeqCst) {
            tokio::time::sleep(DISTANCE).await;
            // Before the client can ask again.
            counts.under_way.fetch_sub(1, Ordering::SeqCst);
            asking.store(false, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
