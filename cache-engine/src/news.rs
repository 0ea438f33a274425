//! What other processes change, told to those of this one who wait for it, over a store that has events.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use cache_api::{CacheKey, Error, ErrorKind, Event, HEARTBEAT, Storage};
use futures_util::StreamExt as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// A channel that was silent for longer than that is taken for lost.
const SILENCE: Duration = HEARTBEAT.saturating_mul(2);

/// How long a subscription is kept after the last wait.
const LINGER: Duration = Duration::from_secs(60);

/// The pause before another attempt to subscribe.
const REST: Duration = Duration::from_secs(5);

/// Who waits, and the subscription that they share: there is none before somebody does.
#[derive(Clone, Debug, Default)]
pub(crate) struct News(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    waits: HashMap<CacheKey, Waits>,
    last_wait: Option<Instant>,
    listener: Option<AbortOnDropHandle<()>>,
}

/// Those who wait for one resource.
#[derive(Debug, Default)]
struct Waits {
    count: usize,
    bell: watch::Sender<()>,
}

/// One who waits for news of a resource.
#[derive(Debug)]
pub(crate) struct Wait {
    news: News,
    key: CacheKey,
    bell: watch::Receiver<()>,
}

impl News {
    /// Waits for news of a resource from now on; `None` where the storage has no events.
    ///
    /// What happened before the subscription stood is not told: that it stands is news to all.
    pub(crate) fn of(&self, key: CacheKey, storage: &Arc<dyn Storage>) -> Option<Wait> {
        storage.abilities().events?;
        let mut board = self.lock();
        if board.listener.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            let listening = listen(Arc::downgrade(&self.0), Arc::clone(storage));
            // In no request's span: it outlives them.
            board.listener = Some(AbortOnDropHandle::new(tokio::spawn(listening)));
        }
        let waits = board.waits.entry(key).or_default();
        waits.count += 1;
        let bell = waits.bell.subscribe();
        Some(Wait { news: self.clone(), key, bell })
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        lock(&self.0)
    }
}

impl Wait {
    /// Resolves when something happened to the resource since this was last asked.
    pub(crate) async fn news(&mut self) {
        // The other end is there as long as this is.
        let _ = self.bell.changed().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut board = self.news.lock();
        board.last_wait = Some(Instant::now());
        if let hash_map::Entry::Occupied(mut waits) = board.waits.entry(self.key) {
            waits.get_mut().count -= 1;
            if waits.get().count == 0 {
                waits.remove();
            }
        }
    }
}

impl Board {
    /// Tells those whom it concerns, and says whether nobody needs to be told any more.
    fn tell(&mut self, event: &Event) -> bool {
        match event {
            Event::Changed(key) => {
                if let Some(waits) = self.waits.get(key) {
                    waits.bell.send_replace(());
                }
            }
            // It stands for events that were lost, too.
            Event::Cleared => self.waits.values().for_each(|waits| {
                waits.bell.send_replace(());
            }),
            // Nobody waits for a removal.
            _ => {}
        }
        self.retire()
    }

    /// Whether nobody waited for a while. There is no listener then: who waits next begins another.
    fn retire(&mut self) -> bool {
        let is_over = self.waits.is_empty() && self.last_wait.is_none_or(|last| last.elapsed() > LINGER);
        if is_over {
            self.listener = None;
        }
        is_over
    }
}

/// Keeps a subscription, and tells of what comes by it, until nobody needs it any more.
async fn listen(board: Weak<Mutex<Board>>, storage: Arc<dyn Storage>) {
    loop {
        match follow(&board, &*storage).await {
            Ended::Unneeded => return,
            Ended::Lost(cause) if cause.kind() == ErrorKind::Closed => return,
            Ended::Lost(cause) => report(&*storage, &cause),
        }
        sleep(REST).await;
        if board.upgrade().is_none_or(|board| lock(&board).retire()) {
            return;
        }
    }
}

/// How a subscription ended.
enum Ended {
    Unneeded,
    Lost(Error),
}

async fn follow(board: &Weak<Mutex<Board>>, storage: &dyn Storage) -> Ended {
    let lost = |kind| Ended::Lost(Error::new(kind, "events"));
    let Some(events) = storage.abilities().events else { return Ended::Unneeded };
    let mut stream = match timeout(SILENCE, events.subscribe()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(cause)) => return Ended::Lost(cause),
        Err(_) => return lost(ErrorKind::Timeout),
    };
    // What happened before it stood was not told.
    let mut event = Event::Cleared;
    loop {
        let Some(board) = board.upgrade() else { return Ended::Unneeded };
        if lock(&board).tell(&event) {
            return Ended::Unneeded;
        }
        drop(board);
        event = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(cause))) => return Ended::Lost(cause),
            Ok(None) => return lost(ErrorKind::Unavailable),
            Err(_) => return lost(ErrorKind::Timeout),
        };
    }
}

fn report(storage: &dyn Storage, cause: &(dyn std::error::Error + 'static)) {
    tracing::debug!(%storage, error = cause, "the store's events are lost: its leases are asked for time and again");
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
