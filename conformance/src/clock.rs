use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// The clock of a case: it starts at real time and moves forward only when the case says so.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: SystemTime,
    passed: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that stands at the next whole second: a store may keep times more coarsely than the system.
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where the suite reads the clock")]
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let whole = Duration::from_secs(since.as_secs().saturating_add(1));
        Self { start: later(SystemTime::UNIX_EPOCH, whole), passed: Arc::default() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        later(self.start, Duration::from_millis(self.passed.load(Ordering::SeqCst)))
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }
}

/// `time + by`, or `time` where no such instant exists.
pub(crate) fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

/// `time - by`, or `time` where no such instant exists.
pub(crate) fn earlier(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(time)
}
