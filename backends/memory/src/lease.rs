use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cache_api::{Acquired, CacheKey, Lease, Leases, Limits, Outcome, Result};

use crate::MemoryStorage;

/// How many leases there may be before ended ones are first looked for.
const FIRST_SWEEP: usize = 1024;

/// The leases of a storage.
#[derive(Debug)]
pub(crate) struct LeaseTable(Mutex<Table>);

#[derive(Debug)]
struct Table {
    held: HashMap<CacheKey, State>,
    issued: u128,
    /// At how many entries to sweep again: twice what the last sweep left, so that a sweep costs little.
    sweep_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Who holds it; `None` when the resource was found uncacheable.
    token: Option<[u8; 16]>,
    until: SystemTime,
}

impl LeaseTable {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Table { held: HashMap::new(), issued: 0, sweep_at: FIRST_SWEEP }))
    }

    /// Forgets what ended.
    pub(crate) fn sweep(&self, now: SystemTime) {
        self.lock().sweep(now);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn sweep(&mut self, now: SystemTime) {
        self.held.retain(|_, state| now < state.until);
        self.sweep_at = self.held.len().saturating_mul(2).max(FIRST_SWEEP);
        self.held.shrink_to(self.sweep_at);
    }

    /// The state of `lease` if its holder has not lost it.
    fn of(&mut self, lease: &Lease, now: SystemTime) -> Option<&mut State> {
        let ours = |state: &&mut State| state.token == Some(lease.token) && now < state.until;
        self.held.get_mut(&lease.key).filter(ours)
    }
}

#[async_trait]
impl Leases for MemoryStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let mut table = self.shared.leases.lock();
        match table.held.get(key) {
            Some(&State { token: Some(_), until }) if now < until => return Ok(Acquired::Busy { until }),
            Some(&State { token: None, until }) if now < until => {
                return Ok(Acquired::Uncacheable { until });
            }
            _ => {}
        }
        if table.held.len() >= table.sweep_at {
            table.sweep(now);
        }
        table.issued = table.issued.wrapping_add(1);
        let token = table.issued.to_be_bytes();
        let until = after(now, ttl, &self.shared.limits);
        table.held.insert(*key, State { token: Some(token), until });
        Ok(Acquired::Held(Lease { key: *key, token }))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let until = after(now, ttl, &self.shared.limits);
        Ok(self.shared.leases.lock().of(lease, now).map(|state| state.until = until).is_some())
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let mut table = self.shared.leases.lock();
        let Some(state) = table.of(lease, now) else { return Ok(()) };
        match outcome {
            Outcome::Uncacheable(period) => {
                *state = State { token: None, until: after(now, period, &self.shared.limits) };
            }
            _ => {
                table.held.remove(&lease.key);
            }
        }
        Ok(())
    }
}

fn after(now: SystemTime, period: Duration, limits: &Limits) -> SystemTime {
    now.checked_add(period).unwrap_or_else(|| limits.retention_from(now))
}
