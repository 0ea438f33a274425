//! Single flight within the process: one request to the origin for all who want the same.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cache_api::CacheKey;
use tokio::sync::{Notify, watch};

use crate::lease::Held;

/// What is wanted: a resource, and a digest of the request fields known to select among its variants.
pub(crate) type FlightKey = (CacheKey, [u8; 16]);

/// What a flight came to.
pub(crate) enum Landing<E> {
    /// Under way.
    Flying,
    /// Something was stored: look again.
    Stored,
    /// The answer is the leader's alone: fetch for yourself, all at once.
    Private,
    /// The same, since the policy says that such an answer is not to be stored.
    Uncacheable,
    /// The origin failed; a stale response may stand in. Without an error it answered 5xx.
    Failed(Option<Arc<E>>),
    /// The leader panicked or was cancelled: another takes its place.
    Lost,
}

impl<E> Clone for Landing<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Flying => Self::Flying,
            Self::Stored => Self::Stored,
            Self::Private => Self::Private,
            Self::Uncacheable => Self::Uncacheable,
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Lost => Self::Lost,
        }
    }
}

type Under<E> = (watch::Sender<Landing<E>>, Arc<Notify>);

/// All flights under way.
pub(crate) struct Flights<E>(Arc<Board<E>>);

struct Board<E> {
    under_way: Mutex<HashMap<FlightKey, Under<E>>>,
    /// How many flights have landed, by a few bits of their key.
    landings: [AtomicU64; 64],
}

/// A place in a flight.
pub(crate) enum Boarding<E> {
    /// Nobody was flying: the caller leads.
    Leader(Pilot<E>),
    /// Somebody leads already.
    Follower(Passenger<E>),
}

/// The leader's side. Dropped without landing, the flight is lost.
pub(crate) struct Pilot<E> {
    board: Arc<Board<E>>,
    key: FlightKey,
    sender: watch::Sender<Landing<E>>,
    boarded: Arc<Notify>,
    others: Others,
}

/// What was done about other processes.
enum Others {
    /// Nothing yet.
    Unasked,
    /// This flight need not wait for them, nor they for it.
    Apart,
    /// They wait until the lease is released.
    Wait(Box<Held>),
}

/// A follower's side.
pub(crate) struct Passenger<E>(watch::Receiver<Landing<E>>);

impl<E> Default for Flights<E> {
    fn default() -> Self {
        let landings = std::array::from_fn(|_| AtomicU64::new(0));
        Self(Arc::new(Board { under_way: Mutex::default(), landings }))
    }
}

impl<E> fmt::Debug for Flights<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.0.lock().len()).finish()
    }
}

impl<E> Flights<E> {
    /// A number that moves whenever a flight for that resource lands: who leads after a lookup and finds it moved
    /// looks again.
    pub(crate) fn landings(&self, key: &CacheKey) -> u64 {
        self.0.landings_of(key).load(Ordering::Acquire)
    }

    /// Leads a flight, or joins the one under way.
    pub(crate) fn board(&self, key: FlightKey) -> Boarding<E> {
        match self.0.lock().entry(key) {
            hash_map::Entry::Occupied(flight) => {
                let (sender, boarded) = flight.get();
                let passenger = Passenger(sender.subscribe());
                boarded.notify_one();
                Boarding::Follower(passenger)
            }
            hash_map::Entry::Vacant(free) => {
                let (sender, boarded) =
                    free.insert((watch::Sender::new(Landing::Flying), Arc::default())).clone();
                Boarding::Leader(Pilot {
                    board: Arc::clone(&self.0),
                    key,
                    sender,
                    boarded,
                    others: Others::Unasked,
                })
            }
        }
    }
}

impl<E> Pilot<E> {
    /// Whether anybody waits.
    pub(crate) fn has_passengers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Waits until somebody waits.
    pub(crate) async fn boarded(&self) {
        while !self.has_passengers() {
            self.boarded.notified().await;
        }
    }

    /// Waits until nobody waits.
    pub(crate) async fn alone(&self) {
        self.sender.closed().await;
    }

    /// What the flight is for.
    pub(crate) fn key(&self) -> &FlightKey {
        &self.key
    }

    /// Whether it is settled that this flight need not wait for another process.
    pub(crate) fn has_crossed(&self) -> bool {
        !matches!(self.others, Others::Unasked)
    }

    /// Settles that, with the lease that was taken for it.
    pub(crate) fn cross(&mut self, lease: Option<Box<Held>>) {
        self.others = lease.map_or(Others::Apart, Others::Wait);
    }

    /// Whether other processes wait for the end of this flight.
    pub(crate) fn has_lease(&self) -> bool {
        matches!(self.others, Others::Wait(_))
    }

    /// Lets other processes fetch for themselves.
    pub(crate) fn yield_lease(&mut self) {
        self.others = Others::Apart;
    }

    /// Ends the flight: who waits goes on, who comes later starts another.
    pub(crate) fn land(mut self, landing: Landing<E>) {
        if let Others::Wait(lease) = std::mem::replace(&mut self.others, Others::Apart) {
            lease.release(!matches!(landing, Landing::Uncacheable));
        }
        self.sender.send_replace(landing);
    }
}

impl<E> Drop for Pilot<E> {
    fn drop(&mut self) {
        let mut under_way = self.board.lock();
        under_way.remove(&self.key);
        self.board.landings_of(&self.key.0).fetch_add(1, Ordering::Release);
        drop(under_way);
        self.sender.send_if_modified(|landing| {
            let lost = matches!(landing, Landing::Flying);
            if lost {
                *landing = Landing::Lost;
            }
            lost
        });
    }
}

impl<E> Passenger<E> {
    /// Waits for the flight's end.
    pub(crate) async fn landed(mut self) -> Landing<E> {
        match self.0.wait_for(|landing| !matches!(landing, Landing::Flying)).await {
            Ok(landing) => landing.clone(),
            Err(_) => Landing::Lost,
        }
    }
}

impl<E> Board<E> {
    fn lock(&self) -> MutexGuard<'_, HashMap<FlightKey, Under<E>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn landings_of(&self, key: &CacheKey) -> &AtomicU64 {
        let [first, ..] = key.as_bytes();
        let [stripe0, stripes @ ..] = &self.landings;
        stripes.get(usize::from(first % 64).wrapping_sub(1)).unwrap_or(stripe0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FlightKey = (CacheKey::from_bytes([1; 32]), [0; 16]);

    fn leader(flights: &Flights<()>) -> Pilot<()> {
        match flights.board(KEY) {
            Boarding::Leader(pilot) => pilot,
            Boarding::Follower(_) => panic!("somebody leads already"),
        }
    }

    fn follower(flights: &Flights<()>) -> Passenger<()> {
        match flights.board(KEY) {
            Boarding::Follower(passenger) => passenger,
            Boarding::Leader(_) => panic!("nobody leads"),
        }
    }

    #[tokio::test]
    async fn followers_learn_how_it_ended() {
        let flights = Flights::default();
        let pilot = leader(&flights);
        assert!(!pilot.has_passengers());
        let (first, second) = (follower(&flights), follower(&flights));
        assert!(pilot.has_passengers());
        pilot.land(Landing::Stored);
        assert!(matches!(first.landed().await, Landing::Stored));
        assert!(matches!(second.landed().await, Landing::Stored));
        leader(&flights);
    }

    #[tokio::test]
    async fn a_leader_that_panics_is_replaced() {
        let flights = Arc::new(Flights::default());
        let (boarded, ready) = tokio::sync::oneshot::channel();
        let task = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move {
                let _pilot = leader(&flights);
                let _ = boarded.send(());
                tokio::task::yield_now().await;
                panic!("the leader's own");
            }
        });
        ready.await.unwrap();
        let passenger = follower(&flights);
        assert!(task.await.unwrap_err().is_panic());
        assert!(matches!(passenger.landed().await, Landing::Lost));
        leader(&flights);
    }
}
