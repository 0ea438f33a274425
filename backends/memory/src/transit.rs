use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use cache_api::{BodyId, Error, ErrorKind, Frame, Result, StoredBody};

use crate::{error, frames::Frames, weight::OVERHEAD};

/// The bodies that no record holds: those being written, and those that were replaced or removed and may
/// still be read.
///
/// Their bytes are bounded: to make room for writing, replaced bodies are let go before their time, those
/// that are due first.
#[derive(Debug)]
pub(crate) struct Transit {
    room: u64,
    state: Mutex<State>,
    /// The first deadline in whole seconds, rounded down: asking it takes no lock.
    due: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    bodies: HashMap<BodyId, Held>,
    /// After which instant each is let go; of those due at once, the one that came first.
    deadlines: BTreeSet<(SystemTime, u64, BodyId)>,
    /// How many bodies came so far.
    arrivals: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Held {
    until: SystemTime,
    arrival: u64,
    bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Writing(Vec<Frame>),
    Finished(StoredBody, Frames),
    Retired(Frames),
}

/// A stored body that a record let go.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) id: BodyId,
    pub(crate) frames: Frames,
    pub(crate) bytes: u64,
    pub(crate) until: SystemTime,
}

impl Transit {
    pub(crate) fn new(room: u64) -> Self {
        Self { room, state: Mutex::default(), due: AtomicU64::new(u64::MAX) }
    }

    /// Begins a body; it is swept after `until` unless a commit takes it.
    pub(crate) fn begin(&self, id: BodyId, until: SystemTime) -> Result<()> {
        let mut state = self.lock();
        if state.bodies.contains_key(&id) {
            return Err(error(ErrorKind::Misuse, "writer").with_message("the body id was used before"));
        }
        state.make_room(self.room, OVERHEAD)?;
        state.insert(id, until, OVERHEAD, Stage::Writing(Vec::new()));
        self.publish_due(&state);
        Ok(())
    }

    /// Appends a frame of `bytes` bytes to a body that has at most `max` of them.
    pub(crate) fn append(&self, id: BodyId, frame: Frame, bytes: u64, max: u64) -> Result<()> {
        let mut state = self.lock();
        let held = state.bodies.get(&id).ok_or_else(swept)?;
        let added = bytes.saturating_add(FRAME_OVERHEAD);
        if held.bytes.saturating_add(added) > max {
            return Err(error(ErrorKind::Full, "write")
                .with_message(format!("the body is over the {max} bytes that an entry may have")));
        }
        state.make_room(self.room, added)?;
        let held = state.bodies.get_mut(&id).ok_or_else(swept)?;
        let Stage::Writing(frames) = &mut held.stage else { return Err(finished()) };
        frames.push(frame);
        held.bytes = held.bytes.saturating_add(added);
        state.bytes = state.bytes.saturating_add(added);
        Ok(())
    }

    /// Ends a body: no frame can be added. Who wrote it does so, and nobody else writes meanwhile.
    pub(crate) fn finish(&self, id: BodyId, len: u64, limit: SystemTime) -> Result<StoredBody> {
        let written = match &self.lock().bodies.get(&id).ok_or_else(swept)?.stage {
            Stage::Writing(frames) => frames.clone(),
            _ => return Err(finished()),
        };
        if written.is_empty() {
            return Err(error(ErrorKind::Misuse, "finish").with_message("a body has at least one frame"));
        }
        // Bytes are copied here: not under the lock.
        let frames = Frames::of(written);
        let count = u32::try_from(frames.count()).unwrap_or(u32::MAX);
        let body = StoredBody { id, frames: count, len, limit };
        let mut state = self.lock();
        state.bodies.get_mut(&id).ok_or_else(swept)?.stage = Stage::Finished(body.clone(), frames);
        Ok(body)
    }

    /// The frames and their bytes of a finished body that waits for its commit.
    pub(crate) fn finished(&self, body: &StoredBody) -> Option<(Frames, u64)> {
        match self.lock().bodies.get(&body.id) {
            Some(Held { bytes, stage: Stage::Finished(stored, frames), .. }) if stored == body => {
                Some((frames.clone(), *bytes))
            }
            _ => None,
        }
    }

    /// Forgets a body that was given up, or that a record holds now; not one that a record let go already.
    pub(crate) fn forget(&self, id: BodyId) {
        let mut state = self.lock();
        if !state.is_retired(&id) {
            state.remove(id);
        }
    }

    /// Keeps bodies readable that a record lets go.
    pub(crate) fn retire(&self, retired: Vec<Retired>) {
        if retired.is_empty() {
            return;
        }
        let mut state = self.lock();
        for Retired { id, frames, bytes, until } in retired {
            state.remove(id);
            if state.make_room(self.room, bytes).is_ok() {
                state.insert(id, until, bytes, Stage::Retired(frames));
            }
        }
        self.publish_due(&state);
    }

    /// These frames of a body, where it is here and has them all.
    pub(crate) fn read(&self, id: BodyId, range: Range<usize>) -> Option<Vec<Frame>> {
        match &self.lock().bodies.get(&id)?.stage {
            Stage::Writing(frames) => frames.get(range).map(<[Frame]>::to_vec),
            Stage::Finished(_, frames) | Stage::Retired(frames) => frames.get(range),
        }
    }

    /// A whole body, where it is here in one piece.
    pub(crate) fn whole(&self, id: BodyId) -> Option<Bytes> {
        match &self.lock().bodies.get(&id)?.stage {
            Stage::Writing(_) => None,
            Stage::Finished(_, frames) | Stage::Retired(frames) => frames.whole(),
        }
    }

    /// Lets go what is due at `now`; returns how many bodies that were.
    pub(crate) fn sweep(&self, now: SystemTime) -> u64 {
        if seconds(now) < self.due.load(Ordering::Relaxed) {
            return 0;
        }
        let mut state = self.lock();
        let mut swept = 0;
        while let Some((_, _, id)) = state.deadlines.first().copied().filter(|(until, ..)| *until < now) {
            state.remove(id);
            swept += 1;
        }
        self.publish_due(&state);
        swept
    }

    /// The bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn publish_due(&self, state: &State) {
        let due = state.deadlines.first().map_or(u64::MAX, |(until, ..)| seconds(*until));
        self.due.store(due, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, id: BodyId, until: SystemTime, bytes: u64, stage: Stage) {
        let arrival = self.arrivals;
        self.arrivals = arrival.wrapping_add(1);
        self.deadlines.insert((until, arrival, id));
        self.bytes = self.bytes.saturating_add(bytes);
        self.bodies.insert(id, Held { until, arrival, bytes, stage });
    }

    fn remove(&mut self, id: BodyId) {
        if let Some(held) = self.bodies.remove(&id) {
            self.deadlines.remove(&(held.until, held.arrival, id));
            self.bytes = self.bytes.saturating_sub(held.bytes);
        }
    }

    fn is_retired(&self, id: &BodyId) -> bool {
        matches!(self.bodies.get(id), Some(Held { stage: Stage::Retired(_), .. }))
    }

    /// Makes room for `bytes` more, at the cost of retired bodies.
    fn make_room(&mut self, room: u64, bytes: u64) -> Result<()> {
        let free = |state: &Self| state.bytes.saturating_add(bytes) <= room;
        if free(self) {
            return Ok(());
        }
        let retired = self.deadlines.iter().map(|(.., id)| *id).filter(|id| self.is_retired(id));
        let retired: Vec<_> = retired.collect();
        for id in retired {
            self.remove(id);
            if free(self) {
                return Ok(());
            }
        }
        Err(error(ErrorKind::Full, "write").with_message("too many bytes are being written at once"))
    }
}

/// What a frame costs beside its bytes.
const FRAME_OVERHEAD: u64 = 256;

/// Whole seconds, rounded down: a deadline is swept in the second after it at the latest.
fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn swept() -> Error {
    error(ErrorKind::Gone, "write").with_message("the body was swept: writing it took longer than max_write")
}

fn finished() -> Error {
    error(ErrorKind::Misuse, "write").with_message("the body was finished before")
}
