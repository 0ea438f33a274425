//! Commits are told of together: one notification a commit would make them wait for each other, since the server
//! lets one transaction with notifications end at a time.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cache_api::{CacheKey, Event, EventOrigin, Result};
use sqlx::query;
use tokio::{runtime::Handle, time::sleep};

use crate::connections::{Connections, Repeat};

/// For how long changes are gathered.
const GATHER: Duration = Duration::from_millis(10);

/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many keys are gathered; beyond, everything may have changed.
const KEYS_MAX: usize = 16 * 1024;

/// The longest payload that PostgreSQL takes.
pub(crate) const PAYLOAD_MAX: usize = 7999;

/// Whose changes they are, and the channel that tells of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sender {
    pub(crate) channel: Arc<str>,
    pub(crate) origin: EventOrigin,
}

impl Sender {
    /// The payloads that tell of these events.
    pub(crate) fn payloads(&self, event: Event) -> Vec<String> {
        self.origin.messages(&[event], PAYLOAD_MAX)
    }
}

/// What was committed over these connections, and is to be told.
#[derive(Debug)]
pub(crate) struct Notices {
    connections: Arc<Connections>,
    waiting: Mutex<Waiting>,
    /// Held while something is being told: who flushes knows thereafter what came of it.
    telling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: HashMap<Sender, Changes>,
    /// Whether a task is at it.
    gathering: bool,
}

#[derive(Debug)]
enum Changes {
    Keys(Vec<CacheKey>),
    /// More than can be told one by one, or some that may not have been told.
    All,
}

impl Notices {
    pub(crate) fn new(connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { connections, waiting: Mutex::default(), telling: tokio::sync::Mutex::default() })
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a change within some milliseconds.
    pub(crate) fn changed(self: &Arc<Self>, sender: &Sender, key: CacheKey) {
        let mut waiting = self.lock();
        let changes = waiting.changes.entry(sender.clone()).or_insert_with(|| Changes::Keys(Vec::new()));
        match changes {
            Changes::Keys(keys) if keys.len() < KEYS_MAX => keys.push(key),
            changes => *changes = Changes::All,
        }
        // A future may be dropped outside of any runtime: then the next change tells of this one too.
        if !waiting.gathering
            && let Ok(runtime) = Handle::try_current()
        {
            waiting.gathering = true;
            runtime.spawn(gather(Gathering { notices: Arc::clone(self), ended: false }));
        }
    }

    /// Tells of all that waits.
    pub(crate) async fn flush(&self) -> Result<()> {
        let _telling = self.telling.lock().await;
        let mut taken = Taken { notices: self, changes: mem::take(&mut self.lock().changes) };
        let (mut channels, mut payloads) = (Vec::new(), Vec::new());
        for (sender, changes) in &taken.changes {
            let events = match changes {
                Changes::Keys(keys) => keys.iter().copied().map(Event::Changed).collect(),
                Changes::All => vec![Event::Cleared],
            };
            for payload in sender.origin.messages(&events, PAYLOAD_MAX) {
                channels.push(&*sender.channel);
                payloads.push(payload);
            }
        }
        if !payloads.is_empty() {
            let notify = || {
                query("SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n (c, p)")
                    .bind(&channels[..])
                    .bind(&payloads[..])
            };
            self.connections.run("notify", Repeat::Safe, notify).await?;
        }
        taken.changes.clear();
        Ok(())
    }
}

/// What is being told. Where that fails or is cut off, it waits again, as one.
struct Taken<'a> {
    notices: &'a Notices,
    changes: HashMap<Sender, Changes>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.changes.is_empty() {
            let mut waiting = self.notices.lock();
            for sender in mem::take(&mut self.changes).into_keys() {
                waiting.changes.insert(sender, Changes::All);
            }
        }
    }
}

/// The task that gathers. It may end at any time, with the runtime that it runs in.
struct Gathering {
    notices: Arc<Notices>,
    ended: bool,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if !self.ended {
            self.notices.lock().gathering = false;
        }
    }
}

async fn gather(mut task: Gathering) {
    let mut pause = GATHER;
    loop {
        sleep(pause).await;
        if task.notices.connections.is_closed() {
            return;
        }
        if let Err(cause) = task.notices.flush().await {
            let cause: &dyn std::error::Error = &cause;
            tracing::warn!(backend = "postgres", error = cause, "telling others of changes failed");
            if Arc::strong_count(&task.notices) == 1 {
                return;
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
            continue;
        }
        pause = GATHER;
        // Under the lock: what comes later begins another task.
        let mut waiting = task.notices.lock();
        if waiting.changes.is_empty() {
            waiting.gathering = false;
            task.ended = true;
            return;
        }
    }
}
