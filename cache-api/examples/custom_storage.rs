//! A complete storage of one's own: a map behind a mutex, in this process.
//!
//! [`Record`] holds the rules of a resource; what is left to a storage is where records and frames lie.

use std::collections::HashMap;
use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use cache_api::*;
use tokio::sync::Mutex;

/// One namespace of a map; clones share it.
#[derive(Clone, Debug)]
pub struct MapStorage {
    namespace: Namespace,
    limits: Limits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: HashMap<CacheKey, Record>,
    /// The frames of each stored body, and when they go.
    bodies: HashMap<BodyId, (Vec<Frame>, SystemTime)>,
}

impl MapStorage {
    /// An empty map.
    #[must_use]
    pub fn new(namespace: Namespace, limits: Limits) -> Self {
        Self { namespace, limits, state: Arc::default() }
    }

    /// Lets these bodies go when who reads them has had time to end.
    fn keep(&self, state: &mut State, bodies: &[BodyId], until: SystemTime) {
        for body in bodies {
            state.bodies.entry(*body).and_modify(|(_, drop_at)| *drop_at = until + self.limits.read_grace);
        }
    }
}

impl fmt::Display for MapStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map (namespace {})", self.namespace)
    }
}

#[async_trait]
impl Storage for MapStorage {
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn lookup(&self, key: &CacheKey, now: SystemTime) -> Result<Resource> {
        let record = self.state.lock().await.records.get(key).cloned().unwrap_or_default();
        Ok(record.lookup(*key, Epoch::NONE, now))
    }

    async fn read(&self, key: &CacheKey, body: BodyId, frames: Range<u32>) -> Result<Vec<Frame>> {
        let state = self.state.lock().await;
        let inline = state.records.get(key).and_then(|record| record.inline(body)).map(std::slice::from_ref);
        let all = inline.or_else(|| state.bodies.get(&body).map(|(frames, _)| &**frames));
        let some = all.and_then(|all| all.get(frames.start as usize..frames.end as usize));
        some.map(<[_]>::to_vec).ok_or_else(|| Error::new(ErrorKind::Gone, "read"))
    }

    async fn writer(&self, _ticket: &Ticket, body: BodyId, now: SystemTime) -> Result<Box<dyn BodyWriter>> {
        self.state.lock().await.bodies.insert(body, (Vec::new(), now + self.limits.max_write));
        let state = Arc::clone(&self.state);
        Ok(frame_writer(body, self.limits.retention_from(now), move |_, frame| {
            let state = Arc::clone(&state);
            async move {
                let pending = state.lock().await.bodies.get_mut(&body).map(|(frames, _)| frames.push(frame));
                pending.ok_or_else(|| Error::new(ErrorKind::Gone, "write"))
            }
        }))
    }

    async fn commit(
        &self,
        seen: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
    ) -> Result<Committed> {
        let state = &mut *self.state.lock().await;
        // A walk over everything at each commit: short to read, and slow on a large map.
        state.records.retain(|_, record| record.dead_at().is_some_and(|dead_at| now < dead_at));
        state.bodies.retain(|_, (_, drop_at)| now < *drop_at);
        if matches!(&change, Change::Put(Body::Stored(body)) if !state.bodies.contains_key(&body.id)) {
            return Ok(Committed::Refused(Refusal::BodyGone));
        }
        let record = state.records.entry(entry.key).or_default();
        let applied = record.commit(seen, entry, change, now, &self.limits)?;
        if let Committed::Stored { version, dead_at } = applied.committed {
            self.keep(state, &[version.body], dead_at);
        }
        self.keep(state, &applied.retired, now);
        Ok(applied.committed)
    }

    async fn remove(&self, key: &CacheKey, only: Option<Version>, now: SystemTime) -> Result<u64> {
        let state = &mut *self.state.lock().await;
        let (count, bodies) = state.records.entry(*key).or_default().remove(only, now, &self.limits)?;
        self.keep(state, &bodies, now);
        Ok(count)
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn main() -> Result<()> {
    eprintln!("{}", MapStorage::new(Namespace::new("demo")?, Limits::default()));
    Ok(())
}
