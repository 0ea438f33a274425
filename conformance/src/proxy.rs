//! A proxy on the way to a server, that stalls, cuts and throttles, and counts round trips.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use cache_conformance::proxy::{Direction, Proxy};
//!
//! let proxy = Proxy::to("127.0.0.1:6379").await?;
//! let url = format!("redis://{}/", proxy.address());
//! // … a storage is opened at that URL, and used …
//! assert_eq!(proxy.trips(), 1);
//! proxy.stall(&Direction::BOTH);
//! // … it waits for an answer …
//! proxy.resume();
//! # Ok(())
//! # }
//! ```

use std::{
    fmt, io,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A TCP proxy on a port of 127.0.0.1. Dropping it ends it and all that goes through it.
///
/// It works in the tokio runtime in which it was started.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];
}

#[derive(Debug)]
struct Shared {
    target: String,
    control: watch::Sender<Control>,
    to_server: Counter,
    to_client: Counter,
    accepted: AtomicU64,
    open: AtomicU64,
    trips: AtomicU64,
    passed_over: OnceLock<PassedOver>,
}

/// What begins no round trip, by the bytes that a client sends at a time.
struct PassedOver(Box<Rule>);

type Rule = dyn Fn(&[u8]) -> bool + Send + Sync;

impl fmt::Debug for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedOver").finish_non_exhaustive()
    }
}

/// What the connections are told while they run.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    stalls_to_server: bool,
    stalls_to_client: bool,
    refuses: bool,
    bytes_per_second: Option<NonZeroU32>,
    /// Moves with each cut: a connection of an older one ends.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Counter {
    passed: AtomicU64,
    /// How many bytes may pass until everything is cut.
    left: Mutex<Option<u64>>,
}

impl Proxy {
    /// A proxy to a server, `host:port`. What cannot connect to it is reset.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(target: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: target.into(),
            control: watch::Sender::new(Control::default()),
            to_server: Counter::default(),
            to_client: Counter::default(),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            passed_over: OnceLock::new(),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor })
    }

    /// Where clients find it: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of these directions stop until [`resume`](Self::resume). Connections stay open, and new ones are taken.
    pub fn stall(&self, directions: &[Direction]) {
        self.tell(|control| {
            control.stalls_to_server |= directions.contains(&Direction::ToServer);
            control.stalls_to_client |= directions.contains(&Direction::ToClient);
        });
    }

    /// What was stalled goes on; no byte is lost.
    pub fn resume(&self) {
        self.tell(|control| (control.stalls_to_server, control.stalls_to_client) = (false, false));
    }

    /// Resets all connections there are. New ones are taken.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Resets all connections there are as soon as that many more bytes went that way: in the middle of something.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        *self.shared.counter(direction).left.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuses: bool) {
        self.tell(|control| control.refuses = refuses);
    }

    /// How many bytes each connection passes on in a second of tokio's time, each way; `None` is as fast as they come.
    pub fn throttle(&self, bytes_per_second: Option<NonZeroU32>) {
        self.tell(|control| control.bytes_per_second = bytes_per_second);
    }

    /// How many connections were taken so far, refused ones not counted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections there are now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes went that way so far.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.counter(direction).passed.load(Ordering::SeqCst)
    }

    /// The round trips since the last call: how often a client spoke at first, or after the server did.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.shared.trips.swap(0, Ordering::SeqCst)
    }

    /// Counts no round trip for what a client says of which this holds: what a storage does beside what it was asked
    /// for. The first such rule counts, a later one does not.
    pub fn pass_over(&self, rule: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        let _ = self.shared.passed_over.set(PassedOver(Box::new(rule)));
    }

    fn tell(&self, change: impl FnOnce(&mut Control)) {
        self.shared.control.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Shared {
    fn counter(&self, direction: Direction) -> &Counter {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn cut(&self) {
        self.control.send_modify(|control| control.cuts = control.cuts.wrapping_add(1));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if shared.control.borrow().refuses {
            reset(&client);
            continue;
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let counted = Open(Arc::clone(&shared));
        connections.spawn(async move { connection(&counted.0, client).await });
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn reset(stream: &TcpStream) {
    // Without it the stream would end as if all had been said.
    let _ = stream.set_zero_linger();
}

async fn connection(shared: &Shared, mut client: TcpStream) {
    let mut control = shared.control.subscribe();
    let cuts = control.borrow().cuts;
    let Ok(mut server) = TcpStream::connect(&shared.target).await else {
        reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let answered = AtomicBool::new(true);
        let asks = |said: &[u8]| {
            let is_passed_over = shared.passed_over.get().is_some_and(|rule| rule.0(said));
            if !is_passed_over && answered.swap(false, Ordering::SeqCst) {
                shared.trips.fetch_add(1, Ordering::SeqCst);
            }
        };
        let answers = |_: &[u8]| answered.store(true, Ordering::SeqCst);
        let both = async {
            tokio::join!(
                pass(shared, Direction::ToServer, from_client, to_server, asks),
                pass(shared, Direction::ToClient, from_server, to_client, answers),
            )
        };
        tokio::select! {
            _ = control.wait_for(|control| control.cuts != cuts) => true,
            ends = both => ends.0.is_err() || ends.1.is_err(),
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

/// Passes on what is said until it ends.
async fn pass(
    shared: &Shared,
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    speaks: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut control = shared.control.subscribe();
    let counter = shared.counter(direction);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let rate = control.borrow().bytes_per_second;
        // A tenth of a second's worth at a time.
        let most = rate.map_or(buffer.len(), |rate| usize::try_from(rate.get() / 10).unwrap_or(1).max(1));
        let read = from.read(buffer.get_mut(..most).unwrap_or_default()).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let goes_on = |control: &Control| match direction {
            Direction::ToServer => !control.stalls_to_server,
            Direction::ToClient => !control.stalls_to_client,
        };
        control.wait_for(goes_on).await.map_err(io::Error::other)?;
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs(read as u64) / rate.get()).await;
        }
        speaks(buffer.get(..read).unwrap_or_default());
        let (passes, cuts) = counter.take(read);
        to.write_all(buffer.get(..passes).unwrap_or_default()).await?;
        counter.passed.fetch_add(passes as u64, Ordering::SeqCst);
        if cuts {
            shared.cut();
        }
    }
}

impl Counter {
    /// How many of these bytes may pass, and whether everything is to be cut thereafter.
    fn take(&self, bytes: usize) -> (usize, bool) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = *left else { return (bytes, false) };
        match limit.checked_sub(bytes as u64) {
            Some(rest @ 1..) => {
                *left = Some(rest);
                (bytes, false)
            }
            _ => {
                *left = None;
                (usize::try_from(limit).unwrap_or(bytes), true)
            }
        }
    }
}
