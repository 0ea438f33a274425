//! Lookups of one resource at the same time: who comes while one is under way shares the next with all who do.
//!
//! A lookup begins after each request that it answers, so that nobody is told of a state from before his request.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use cache_api::{CacheKey, Error, Result};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::sync::oneshot;

/// What several requests share; an error is told to each.
type Outcome<T> = std::result::Result<T, Arc<Error>>;

/// The lookups under way.
pub(crate) struct Lookups<T: Clone>(Arc<Board<T>>);

struct Board<T: Clone> {
    /// Whether a lookup was ever waited for. Where none was, sharing them costs more than it spares.
    waits: AtomicBool,
    numbers: AtomicU64,
    under_way: Mutex<HashMap<CacheKey, UnderWay<T>>>,
}

struct UnderWay<T: Clone> {
    number: u64,
    next: Option<Next<T>>,
}

struct Next<T: Clone> {
    number: u64,
    begin: oneshot::Sender<()>,
    lookup: WeakShared<BoxFuture<'static, Outcome<T>>>,
}

/// How a request gets its lookup.
pub(crate) enum Entered<T: Clone> {
    /// Nobody else is looking: it does so itself, and then drops this.
    First(Turn<T>),
    /// It shares the next one.
    Next(Shared<BoxFuture<'static, Outcome<T>>>),
}

/// A lookup's place on the board, from before it begins to its end, however it ends.
pub(crate) struct Turn<T: Clone> {
    board: Arc<Board<T>>,
    key: CacheKey,
    number: u64,
}

impl<T: Clone + Send + Sync + 'static> Lookups<T> {
    /// Whether the storage ever took its time.
    pub(crate) fn waits(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed)
    }

    /// Notes that it did.
    pub(crate) fn waited(&self) {
        self.0.waits.store(true, Ordering::Relaxed);
    }

    /// Takes a place: the first, or one in the next lookup, which is made here if this request is the first to want it.
    pub(crate) fn enter(
        &self,
        key: CacheKey,
        lookup: impl FnOnce() -> BoxFuture<'static, Result<T>>,
    ) -> Entered<T> {
        let mut under_way = self.0.lock();
        let current = match under_way.entry(key) {
            hash_map::Entry::Vacant(free) => {
                let turn = self.turn(key);
                free.insert(UnderWay { number: turn.number, next: None });
                return Entered::First(turn);
            }
            hash_map::Entry::Occupied(current) => current.into_mut(),
        };
        // It has not begun: what begins is not the next any more.
        if let Some(shared) = current.next.as_ref().and_then(|next| next.lookup.upgrade()) {
            return Entered::Next(shared);
        }
        let turn = self.turn(key);
        let number = turn.number;
        let (begin, begun) = oneshot::channel();
        let lookup = lookup();
        let shared = async move {
            // It is told to, or whoever would have told it is gone.
            let _ = begun.await;
            let found = lookup.await.map_err(Arc::new);
            drop(turn);
            found
        };
        let shared = shared.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            current.next = Some(Next { number, begin, lookup: weak });
        }
        Entered::Next(shared)
    }

    fn turn(&self, key: CacheKey) -> Turn<T> {
        Turn { board: Arc::clone(&self.0), key, number: self.0.numbers.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<T: Clone> Board<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, UnderWay<T>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Drop for Turn<T> {
    fn drop(&mut self) {
        let mut board = self.board.lock();
        let hash_map::Entry::Occupied(mut current) = board.entry(self.key) else { return };
        if current.get().number == self.number {
            // Whoever waits for the next one begins it. It is no longer the next: who comes now shares another.
            match current.get_mut().next.take() {
                Some(next) => {
                    current.get_mut().number = next.number;
                    let _ = next.begin.send(());
                }
                None => drop(current.remove()),
            }
        } else if current.get().next.as_ref().is_some_and(|next| next.number == self.number) {
            // All who waited for it are gone.
            current.get_mut().next = None;
        }
    }
}

impl<T: Clone> Default for Lookups<T> {
    fn default() -> Self {
        Self(Arc::new(Board {
            waits: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            under_way: Mutex::default(),
        }))
    }
}

impl<T: Clone> fmt::Debug for Lookups<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").field("under_way", &self.0.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use cache_api::ErrorKind;
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    const KEY: CacheKey = CacheKey::from_bytes([1; 32]);

    fn first(entered: Entered<u32>) -> Turn<u32> {
        match entered {
            Entered::First(turn) => turn,
            Entered::Next(_) => panic!("somebody is looking"),
        }
    }

    fn next(entered: Entered<u32>) -> Shared<BoxFuture<'static, Outcome<u32>>> {
        match entered {
            Entered::Next(shared) => shared,
            Entered::First(_) => panic!("nobody is looking"),
        }
    }

    fn finds(number: u32) -> BoxFuture<'static, Result<u32>> {
        async move { Ok(number) }.boxed()
    }

    fn none() -> BoxFuture<'static, Result<u32>> {
        panic!("there is one that can be shared")
    }

    #[tokio::test]
    async fn who_comes_while_one_is_under_way_shares_the_next() {
        let lookups = Lookups::default();
        let turn = first(lookups.enter(KEY, none));
        let shared: Vec<_> = (0..100)
            .map(|number| next(lookups.enter(KEY, if number == 0 { || finds(7) } else { none })))
            .collect();
        assert!(shared[0].clone().now_or_never().is_none(), "it does not begin before the first ends");
        drop(turn);
        assert!(join_all(shared).await.into_iter().all(|found| matches!(found, Ok(7))));
        drop(first(lookups.enter(KEY, none)));
        assert!(lookups.0.lock().is_empty());
    }

    #[tokio::test]
    async fn who_comes_after_a_shared_one_began_is_told_of_a_later_one() {
        let lookups = Lookups::default();
        let turn = first(lookups.enter(KEY, none));
        let (found, is_found) = oneshot::channel();
        let second = next(lookups.enter(KEY, || async move { Ok(is_found.await.unwrap()) }.boxed()));
        drop(turn);
        assert!(second.clone().now_or_never().is_none());
        let third = next(lookups.enter(KEY, || finds(3)));
        assert!(third.clone().now_or_never().is_none());
        found.send(2).unwrap();
        assert!(matches!((second.await, third.await), (Ok(2), Ok(3))));
        assert!(lookups.0.lock().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_holds_up_nobody() {
        let lookups = Lookups::default();
        // The next one is wanted by nobody any more, then again, and the one under way is given up.
        let turn = first(lookups.enter(KEY, none));
        drop(next(lookups.enter(KEY, none_yet)));
        let again = next(lookups.enter(KEY, || finds(1)));
        drop(turn);
        assert!(matches!(again.await, Ok(1)));
        // A shared one that has begun is given up.
        let turn = first(lookups.enter(KEY, none));
        let given_up = next(lookups.enter(KEY, || pending().boxed()));
        drop(turn);
        assert!(given_up.clone().now_or_never().is_none());
        let after = next(lookups.enter(KEY, || finds(2)));
        drop(given_up);
        assert!(matches!(after.await, Ok(2)));
        assert!(lookups.0.lock().is_empty());
    }

    fn none_yet() -> BoxFuture<'static, Result<u32>> {
        pending().boxed()
    }

    #[tokio::test]
    async fn a_failure_is_everybodys() {
        let lookups = Lookups::default();
        let turn = first(lookups.enter(KEY, none));
        let fails = || async { Err(Error::new(ErrorKind::Unavailable, "lookup")) }.boxed();
        let (one, other) = (next(lookups.enter(KEY, fails)), next(lookups.enter(KEY, none)));
        drop(turn);
        for failed in [one.await, other.await] {
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
}
