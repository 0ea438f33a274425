//! Resources whose last answer must not be stored ("hit for miss"): requests for them do not wait for each other.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use crate::flight::FlightKey;

/// How many are remembered; beyond, what is noted takes the place of others.
const MAX: usize = 1024;

/// Until when each is remembered.
#[derive(Debug, Default)]
pub(crate) struct Misses(Mutex<HashMap<FlightKey, SystemTime>>);

impl Misses {
    /// Whether the last answer was for its caller alone.
    pub(crate) fn has(&self, flight: &FlightKey, now: SystemTime) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(flight).is_some_and(|until| now < *until)
    }

    /// Remembers one until then.
    pub(crate) fn note(&self, flight: FlightKey, until: SystemTime, now: SystemTime) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= MAX
            && let Some(other) = known.keys().next().copied()
        {
            known.remove(&other);
        }
        known.insert(flight, until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_api::CacheKey;

    use super::*;

    fn flight(number: usize) -> FlightKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        (CacheKey::from_bytes(key), [0; 16])
    }

    #[test]
    fn they_are_forgotten_in_time_and_bounded() {
        let misses = Misses::default();
        let now = SystemTime::UNIX_EPOCH;
        let until = now + Duration::from_secs(5);
        assert!(!misses.has(&flight(0), now));
        misses.note(flight(0), until, now);
        assert!(misses.has(&flight(0), until - Duration::from_millis(1)));
        assert!(!misses.has(&flight(0), until));
        assert!(!misses.has(&(flight(0).0, [1; 16]), now), "another selection");
        for number in 0..3 * MAX {
            misses.note(flight(number), until, now);
        }
        assert!(misses.has(&flight(3 * MAX - 1), now));
        assert_eq!(misses.0.lock().unwrap().len(), MAX);
    }
}
