use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use cache_api::{BodyId, CacheKey, ErrorKind, Result};
use object_store::UpdateVersion;

use crate::{
    error::error,
    objects::Found,
    state::{RESOURCE_MAX, State, WriteId},
    storage::Inner,
};

/// How often a change is tried anew after others were faster.
const ATTEMPTS: u32 = 40;

/// The most resources, and the most bytes of them, of which this process remembers what it read last.
const RECENT: usize = 1024;
const RECENT_BYTES: usize = 8 * 1024 * 1024;

/// A resource as it was read, or as it was written.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) state: State,
    pub(crate) version: UpdateVersion,
    /// The length of the object.
    len: usize,
}

/// What there is of a resource.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    Absent,
    /// Something of that version that is not ours, or damaged.
    Garbage(UpdateVersion),
    There(Arc<Held>),
}

/// A resource as a listing names it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) key: CacheKey,
    pub(crate) e_tag: Option<String>,
}

/// What came of writing a resource.
#[derive(Debug)]
pub(crate) enum Saved {
    Done(Arc<Held>),
    /// Another was faster: this is there now.
    Lost(Loaded),
}

/// What a change makes of a resource.
pub(crate) enum Edit<T> {
    Leave(T),
    Write(T),
}

impl Loaded {
    pub(crate) fn state(&self) -> Option<&State> {
        match self {
            Self::There(held) => Some(&held.state),
            _ => None,
        }
    }

    fn version(&self) -> Option<&UpdateVersion> {
        match self {
            Self::Absent => None,
            Self::Garbage(version) => Some(version),
            Self::There(held) => Some(&held.version),
        }
    }
}

impl Inner {
    pub(crate) async fn load(&self, key: &CacheKey, operation: &'static str) -> Result<Loaded> {
        let found = self.objects.get(&self.names.resource(key), RESOURCE_MAX, operation).await?;
        let (version, bytes) = match found {
            Found::Nothing => return Ok(Loaded::Absent),
            Found::Object(version, bytes) => (version, bytes),
        };
        let len = bytes.as_ref().map_or(0, bytes::Bytes::len);
        match bytes.and_then(|bytes| State::decode(key, bytes)) {
            Some(state) => {
                let held = Arc::new(Held { state, version, len });
                self.recent.put(*key, Arc::clone(&held));
                Ok(Loaded::There(held))
            }
            None => {
                self.report_garbage(operation, &self.names.resource(key));
                Ok(Loaded::Garbage(version))
            }
        }
    }

    /// The resource of which a listing says that its object has that ETag: it is not read where it is remembered.
    pub(crate) async fn load_listed(&self, listed: &Listed, operation: &'static str) -> Result<Loaded> {
        match self.recent.listed(listed) {
            Some(held) => Ok(Loaded::There(held)),
            None => self.load(&listed.key, operation).await,
        }
    }

    /// Writes a resource over what was read of it. With `now`, it stays at least as long as tickets of now do.
    pub(crate) async fn save(
        &self,
        key: &CacheKey,
        mut state: State,
        over: &Loaded,
        now: Option<SystemTime>,
        operation: &'static str,
    ) -> Result<Saved> {
        state.write = *BodyId::random()?.as_bytes();
        if let Some(until) = now.and_then(|now| now.checked_add(self.hold())) {
            state.keep_until = state.keep_until.max(until);
        }
        let bytes = state.encode(key).await?;
        let (path, len) = (self.names.resource(key), bytes.len());
        let written = match over.version() {
            None => self.objects.create(&path, bytes, operation).await?,
            Some(version) => self.objects.update(&path, bytes, version, operation).await?,
        };
        if let Some(version) = written {
            let held = Arc::new(Held { state, version, len });
            self.recent.put(*key, Arc::clone(&held));
            return Ok(Saved::Done(held));
        }
        // The client may have sent it twice, and the first have come through: then what is there is ours.
        Ok(match self.load(key, operation).await? {
            Loaded::There(held) if held.state.write == state.write => Saved::Done(held),
            there => Saved::Lost(there),
        })
    }

    /// Reads a resource, changes it, and writes it, until nobody else did in between.
    pub(crate) async fn change<T>(
        &self,
        key: &CacheKey,
        now: SystemTime,
        operation: &'static str,
        edit: impl FnMut(&mut State) -> Result<Edit<T>>,
    ) -> Result<T> {
        let loaded = self.load(key, operation).await?;
        self.change_loaded(key, loaded, now, operation, edit).await
    }

    /// The same of a resource that was read.
    pub(crate) async fn change_loaded<T>(
        &self,
        key: &CacheKey,
        mut loaded: Loaded,
        now: SystemTime,
        operation: &'static str,
        mut edit: impl FnMut(&mut State) -> Result<Edit<T>>,
    ) -> Result<T> {
        for attempt in 0..ATTEMPTS {
            let mut state = self.state_of(&loaded, now)?;
            let value = match edit(&mut state)? {
                Edit::Leave(value) => return Ok(value),
                Edit::Write(value) => value,
            };
            match self.save(key, state, &loaded, Some(now), operation).await? {
                Saved::Done(_) => return Ok(value),
                Saved::Lost(there) => loaded = there,
            }
            pause(attempt).await?;
        }
        Err(crowded(operation))
    }

    /// What to go on from. In the place of garbage a resource begins anew, with a generation that nobody knows.
    pub(crate) fn state_of(&self, loaded: &Loaded, now: SystemTime) -> Result<State> {
        Ok(match loaded {
            Loaded::Absent => State::absent(),
            Loaded::There(held) => held.state.clone(),
            Loaded::Garbage(_) => {
                let mut state = State::absent();
                state.record.remove(None, now, &self.limits)?;
                state
            }
        })
    }

    /// How long an object of a resource stays after it was written: longer than any ticket that it has to refuse,
    /// and than any body is readable that it retired.
    fn hold(&self) -> Duration {
        let graces = self.limits.read_grace.saturating_add(self.limits.max_write);
        self.limits.tombstone().max(graces).saturating_add(self.skew)
    }

    /// Whether the resource's object was deleted lately: see [`schema`](crate::schema).
    pub(crate) async fn is_guarded(
        &self,
        key: &CacheKey,
        now: SystemTime,
        operation: &'static str,
    ) -> Result<bool> {
        let names = self.objects.names(&self.names.guards(key), operation).await?;
        let times = names.iter().filter_map(|path| crate::schema::named_at(path.filename()?));
        Ok(times.into_iter().any(|time| !self.is_past(time, now)))
    }

    /// Whether what was left at that time for the sake of tickets is needed no more.
    pub(crate) fn is_past(&self, time: SystemTime, now: SystemTime) -> bool {
        time.checked_add(self.hold()).is_some_and(|end| end < now)
    }
}

/// Lets others finish: a random while, longer each time.
pub(crate) async fn pause(attempt: u32) -> Result<()> {
    let random = xxhash_rust::xxh3::xxh3_64(BodyId::random()?.as_bytes());
    let most = 4_u64 << attempt.min(6);
    tokio::time::sleep(Duration::from_millis(random % most)).await;
    Ok(())
}

pub(crate) fn crowded(operation: &'static str) -> cache_api::Error {
    error(ErrorKind::Unavailable, operation)
        .with_message("too many write this resource at once: each was faster than this one")
}

/// What this process read or wrote last: with it, who has looked up need not read again before writing.
///
/// It is never trusted: the store compares versions.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    held: HashMap<CacheKey, Arc<Held>>,
    order: VecDeque<CacheKey>,
    bytes: usize,
}

impl Recent {
    /// The resource as that writing left it.
    pub(crate) fn get(&self, key: &CacheKey, write: [u8; 8]) -> Option<Arc<Held>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.held.get(key).filter(|held| begins(&held.state.write, write)).cloned()
    }

    fn listed(&self, listed: &Listed) -> Option<Arc<Held>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |held: &&Arc<Held>| listed.e_tag.is_some() && held.version.e_tag == listed.e_tag;
        memory.held.get(&listed.key).filter(same).cloned()
    }

    fn put(&self, key: CacheKey, held: Arc<Held>) {
        if held.len > RECENT_BYTES / 8 {
            return;
        }
        let memory = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.bytes += held.len;
        match memory.held.insert(key, held) {
            Some(old) => memory.bytes -= old.len,
            None => memory.order.push_back(key),
        }
        while memory.order.len() > RECENT || memory.bytes > RECENT_BYTES {
            let Some(oldest) = memory.order.pop_front() else { break };
            if let Some(old) = memory.held.remove(&oldest) {
                memory.bytes -= old.len;
            }
        }
    }
}

/// Whether that is the writing that a ticket names with its first half.
pub(crate) fn begins(write: &WriteId, first: [u8; 8]) -> bool {
    write.starts_with(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(write: u8, len: usize) -> Arc<Held> {
        let mut state = State::absent();
        state.write = [write; 16];
        Arc::new(Held { state, version: UpdateVersion { e_tag: None, version: None }, len })
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let recent = Recent::default();
        let key = |number: u64| cache_conformance::sample::key(number);
        for number in 0..3000 {
            recent.put(key(number), held(1, 100));
        }
        assert!(recent.get(&key(0), [1; 8]).is_none());
        assert!(recent.get(&key(2999), [1; 8]).is_some());
        assert!(recent.get(&key(2999), [2; 8]).is_none(), "another writing");
        recent.put(key(2999), held(2, RECENT_BYTES));
        assert!(recent.get(&key(2999), [1; 8]).is_some(), "what is too large is not remembered");
        for number in 0..20 {
            recent.put(key(number), held(3, RECENT_BYTES / 8));
        }
        let memory = recent.0.lock().unwrap();
        assert!(memory.bytes <= RECENT_BYTES && memory.held.len() == memory.order.len());
        assert_eq!(memory.bytes, memory.held.values().map(|held| held.len).sum::<usize>());
    }
}
