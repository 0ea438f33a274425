//! Who waits for whom before the origin is asked: for another request of this process, then for another process.

use std::sync::Arc;

use crate::{
    engine::{Answered, Inner},
    error::Error,
    flight::{Boarding, FlightKey, Landing, Passenger, Pilot},
    found::Found,
    lease::Crossing,
    meters::Began,
    network::{Network, Request},
    policy::Ask,
    sets::Sets,
    stats::{Leader, Wait},
    store::Store,
};

/// How often a request waits for another's fetch before it fetches for itself.
const ROUNDS: u32 = 2;

/// A request's place among those that want the same.
pub(crate) struct Queue<E> {
    rounds: u32,
    /// Whether another's fetch ended while this request waited for it.
    pub(crate) collapsed: bool,
    /// The flight that this request leads, while it looks whether that is still needed.
    pub(crate) held: Option<Pilot<E>>,
}

/// What a request is to do next.
pub(crate) enum Turn<N: Network> {
    /// Ask the origin; with the flight that it leads, if others may wait for it.
    Go(Option<Pilot<N::Error>>),
    /// Look again: something landed.
    Look,
    /// Take this.
    Take(Result<Answered<N::Response>, Error<N::Error>>),
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { rounds: 0, collapsed: false, held: None }
    }
}

impl<E> Queue<E> {
    /// Ends the flight that this request leads: what it was for is there.
    pub(crate) fn step_back(&mut self) {
        if let Some(pilot) = self.held.take() {
            self.collapsed = true;
            pilot.land(Landing::Stored);
        }
    }
}

/// What a request wants that found nothing to be served with.
pub(crate) struct Wanted<'a, N: Network> {
    pub(crate) sets: &'a Arc<Sets>,
    pub(crate) store: &'a Store,
    pub(crate) request: &'a Request<N::Body>,
    pub(crate) flight: FlightKey,
    pub(crate) found: Option<&'a Found>,
    pub(crate) ask: &'a Ask,
    /// What the landings were before the lookup.
    pub(crate) landings: u64,
}

impl<N: Network> Inner<N> {
    /// Waits until it is this request's turn to ask the origin, or somebody else did.
    pub(crate) async fn queue(
        self: &Arc<Self>,
        queue: &mut Queue<N::Error>,
        wanted: Wanted<'_, N>,
    ) -> Turn<N> {
        let Wanted { flight, found, ask, landings, .. } = wanted;
        let pilot = match queue.held.take() {
            Some(pilot) => pilot,
            None if !ask.coalesce || queue.rounds >= ROUNDS => return Turn::Go(None),
            None if self.misses.has(&flight, self.clock.now()) => return Turn::Go(None),
            None => match self.flights.board(flight) {
                Boarding::Leader(pilot) if self.flights.landings(&flight.0) != landings => {
                    // Somebody landed between the lookup and now.
                    queue.held = Some(pilot);
                    return Turn::Look;
                }
                Boarding::Leader(pilot) => pilot,
                Boarding::Follower(passenger) => return self.follow(queue, passenger, wanted).await,
            },
        };
        // A store that cannot be read is not asked for leases either.
        if pilot.has_crossed() || found.is_none() {
            return Turn::Go(Some(pilot));
        }
        self.cross(queue, pilot, wanted.store).await
    }

    /// Ends a flight, and remembers where nobody need wait for the next.
    pub(crate) fn land(&self, pilot: Pilot<N::Error>, landing: Landing<N::Error>) {
        if matches!(landing, Landing::Uncacheable) {
            let now = self.clock.now();
            if let Some(until) = now.checked_add(self.settings.hit_for_miss) {
                self.misses.note(*pilot.key(), until, now);
            }
        }
        pilot.land(landing);
    }

    /// Waits for the request of this process that leads.
    async fn follow(
        self: &Arc<Self>,
        queue: &mut Queue<N::Error>,
        passenger: Passenger<N::Error>,
        wanted: Wanted<'_, N>,
    ) -> Turn<N> {
        let Wanted { sets, store, request, flight, found, ask, .. } = wanted;
        queue.rounds += 1;
        queue.collapsed = true;
        let began = Began::now();
        let landed = tokio::time::timeout(self.settings.wait_for_leader, passenger.landed()).await;
        let wait = if landed.is_ok() { Wait::Over } else { Wait::GaveUp };
        self.observer.waits.ended((Leader::Process, wait), &began);
        let failure = match landed {
            Ok(Landing::Stored | Landing::Flying) => return Turn::Look,
            // A store that could not be read would only be waited for once more.
            Ok(Landing::Lost | Landing::Private | Landing::Uncacheable) | Err(_) if found.is_none() => {
                return Turn::Go(None);
            }
            Ok(Landing::Lost) => return Turn::Look,
            Ok(Landing::Private | Landing::Uncacheable) | Err(_) => {
                // No flight will bring what this request needs.
                queue.rounds = ROUNDS;
                return Turn::Look;
            }
            Ok(Landing::Failed(error)) => error,
        };
        if let Some(stale) = self.stale_instead(sets, store, request, &flight.0, found, ask).await {
            return Turn::Take(Ok(stale));
        }
        match failure {
            Some(error) if queue.rounds == ROUNDS => Turn::Take(Err(Error::Network(error))),
            _ => Turn::Look,
        }
    }

    /// Waits for the process that leads, if the store has leases.
    async fn cross(&self, queue: &mut Queue<N::Error>, mut pilot: Pilot<N::Error>, store: &Store) -> Turn<N> {
        match self.leasing.wait(store, pilot.key(), &self.settings).await {
            Crossing::Held(lease) => {
                pilot.cross(Some(lease));
                queue.held = Some(pilot);
                Turn::Look
            }
            Crossing::Uncacheable(until) => {
                self.misses.note(*pilot.key(), until, self.clock.now());
                // Who waits for this request already goes, too.
                pilot.land(Landing::Uncacheable);
                Turn::Go(None)
            }
            Crossing::Busy | Crossing::Open => {
                pilot.cross(None);
                Turn::Go(Some(pilot))
            }
        }
    }
}
