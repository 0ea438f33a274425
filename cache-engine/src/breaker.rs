//! Whether the storage is asked at all: after a run of failures it is left alone, and tried again beside the requests.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How many failures without a success between them are too many, and how long the storage is left alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// 0: it is asked whatever happens.
    pub(crate) failures: u32,
    pub(crate) probe_interval: Duration,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    patience: Patience,
    /// Failures since the last success.
    failures: AtomicU32,
    /// When it is tried again, if it is left alone.
    probe_at: Mutex<Option<Instant>>,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Ask the storage.
    Ask,
    /// Leave it alone.
    Leave,
    /// Leave it alone, and try it beside the request.
    Probe,
}

impl Breaker {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, failures: AtomicU32::new(0), probe_at: Mutex::new(None) }
    }

    pub(crate) fn permit(&self) -> Permit {
        if !self.is_open() {
            return Permit::Ask;
        }
        let now = Instant::now();
        let mut probe_at = self.probe_at.lock().unwrap_or_else(PoisonError::into_inner);
        match *probe_at {
            Some(at) if now < at => Permit::Leave,
            // The one who is told to try it is the only one for that time.
            _ => {
                *probe_at = now.checked_add(self.patience.probe_interval);
                Permit::Probe
            }
        }
    }

    /// It answered. `true` when it was left alone before.
    pub(crate) fn succeeded(&self) -> bool {
        // Read first: a store that works shares the line with all who ask it.
        self.failures.load(Ordering::Relaxed) != 0
            && self.is_too_many(self.failures.swap(0, Ordering::Relaxed))
    }

    /// It did not answer. `true` when that was one time too many: it is left alone from now on.
    pub(crate) fn failed(&self) -> bool {
        let count = |failures: u32| Some(failures.saturating_add(1));
        let before =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).unwrap_or_else(|now| now);
        let opens = self.is_too_many(before.saturating_add(1)) && !self.is_too_many(before);
        if opens {
            let probe_at = Instant::now().checked_add(self.patience.probe_interval);
            *self.probe_at.lock().unwrap_or_else(PoisonError::into_inner) = probe_at;
        }
        opens
    }

    fn is_open(&self) -> bool {
        self.is_too_many(self.failures.load(Ordering::Relaxed))
    }

    fn is_too_many(&self, failures: u32) -> bool {
        self.patience.failures > 0 && failures >= self.patience.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(Patience { failures, probe_interval: INTERVAL })
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_a_run_of_failures_and_lets_one_try() {
        let breaker = breaker(3);
        assert!(!breaker.failed() && !breaker.failed() && !breaker.succeeded(), "a success ends the run");
        assert!(!breaker.failed() && !breaker.failed());
        assert_eq!(breaker.permit(), Permit::Ask);
        assert!(breaker.failed());
        assert!(!breaker.failed(), "it opens once");
        assert_eq!(breaker.permit(), Permit::Leave);
        tokio::time::advance(INTERVAL).await;
        assert_eq!([breaker.permit(), breaker.permit()], [Permit::Probe, Permit::Leave]);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(breaker.permit(), Permit::Probe);
        assert!(breaker.succeeded());
        assert_eq!(breaker.permit(), Permit::Ask);
    }

    #[tokio::test(start_paused = true)]
    async fn none_never_opens() {
        let breaker = breaker(0);
        assert!((0..1000).all(|_| !breaker.failed()));
        assert_eq!(breaker.permit(), Permit::Ask);
    }
}
