//! A commit: the resource is registered, the marks are read where they must be, and it is replaced if it is still
//! what was read before the marks. Why that is enough stands in [`schema`](crate::schema).

use std::time::{Duration, SystemTime};

use cache_api::{
    Body, Change, Committed, Entry, ErrorKind, Generation, INLINE_MAX, INLINE_TOTAL, Refusal, Result,
    StoredBody, Ticket, Version,
};
use futures_util::try_join;

use crate::{
    bodies,
    error::error,
    marks::Seen,
    resources::{Loaded, Saved, begins, crowded, pause},
    state::{HEAD_MAX, INLINE_ENCODED_MAX, RESOURCE_MAX, State, TAGS_MAX},
    storage::Inner,
    tags::register,
};

const ATTEMPTS: u32 = 40;

/// How long a resource that waits for its deletion refuses commits: the deletion comes by then.
const DYING: Duration = Duration::from_secs(60);

pub(crate) async fn commit(
    inner: &Inner,
    ticket: &Ticket,
    entry: Entry,
    change: Change,
    now: SystemTime,
) -> Result<Committed> {
    if *ticket.key() != entry.key {
        return Err(error(ErrorKind::Misuse, "commit").with_message("the ticket is another resource's"));
    }
    if ticket.is_expired(now, &inner.limits) {
        return Ok(Committed::Refused(Refusal::TicketExpired));
    }
    if is_too_large(inner, &entry, &change).await? {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    if let Change::Put(Body::Stored(stored)) = &change
        && !bodies::is_written(inner, &entry.key, stored, "commit").await?
    {
        return Ok(Committed::Refused(Refusal::BodyGone));
    }
    Commit {
        inner,
        ticket,
        entry,
        change,
        now,
        seen: Seen::of(ticket.epoch()),
        registered: false,
        spilt: false,
    }
    .run()
    .await
}

async fn is_too_large(inner: &Inner, entry: &Entry, change: &Change) -> Result<bool> {
    let (len, encoded) = match change {
        Change::Put(Body::Inline(inline)) => {
            if inline.len > INLINE_MAX as u64 {
                return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
            }
            (inline.len, inline.frame.bytes().await?.len())
        }
        Change::Put(body) => (body.len(), 0),
        Change::Keep(_) => (0, 0),
    };
    let head = entry.head.bytes().await?.len();
    Ok(inner.max_entry_size.is_some_and(|max| len > max)
        || encoded > INLINE_ENCODED_MAX
        || head > HEAD_MAX
        || entry.tags.len() > TAGS_MAX)
}

struct Commit<'a> {
    inner: &'a Inner,
    ticket: &'a Ticket,
    entry: Entry,
    change: Change,
    now: SystemTime,
    seen: Seen,
    /// The tags are registered.
    registered: bool,
    /// The inline body was written as a stored one.
    spilt: bool,
}

impl Commit<'_> {
    async fn run(mut self) -> Result<Committed> {
        let inner = self.inner;
        let key = self.entry.key;
        let mut loaded = match self.seen.write {
            None => Loaded::Absent,
            Some(write) => match inner.recent.get(&key, write) {
                Some(held) => Loaded::There(held),
                None => inner.load(&key, "commit").await?,
            },
        };
        for attempt in 0..ATTEMPTS {
            if let Loaded::Absent = loaded {
                loaded = self.place().await?;
                if let Loaded::Absent = loaded {
                    continue;
                }
            }
            if let Loaded::Garbage(_) = loaded {
                self.begin_anew(&loaded).await?;
                return Ok(Committed::Refused(Refusal::Removed));
            }
            if self.is_removed(&loaded).await? {
                return Ok(Committed::Refused(Refusal::Removed));
            }
            let mut state = inner.state_of(&loaded, self.now)?;
            self.spill(&state).await?;
            let committed = match self.decide(&mut state)? {
                Decision::Over(committed) => return Ok(committed),
                Decision::Write(committed) => committed,
            };
            let Some(state) = self.fit(state).await? else {
                return Ok(Committed::Refused(Refusal::TooLarge));
            };
            match inner.save(&key, state, &loaded, Some(self.now), "commit").await? {
                Saved::Done(_) => return Ok(committed),
                Saved::Lost(there) => loaded = there,
            }
            // Who rewrote the resource may have purged it, and deleted what was registered before.
            self.registered = false;
            pause(attempt).await?;
        }
        Err(crowded("commit"))
    }

    /// Makes the resource one that a `clear` finds, and registers the tags meanwhile.
    async fn place(&mut self) -> Result<Loaded> {
        let key = self.entry.key;
        let absent = Loaded::Absent;
        let create = self.inner.save(&key, State::absent(), &absent, Some(self.now), "commit");
        let (saved, ()) = if self.registered {
            (create.await?, ())
        } else {
            try_join!(create, register(self.inner, &self.entry.tags, &key, self.now))?
        };
        Ok(match saved {
            Saved::Done(held) => {
                self.registered = true;
                Loaded::There(held)
            }
            // What was registered before that was read may be gone with a purge.
            Saved::Lost(there) => there,
        })
    }

    /// Gives the resource a generation that no ticket has.
    async fn begin_anew(&self, loaded: &Loaded) -> Result<()> {
        let (inner, now) = (self.inner, self.now);
        let mut state = inner.state_of(loaded, now)?;
        if state.record.generation() == Generation::NONE {
            state.apply(now, &inner.limits, |record| record.remove(None, now, &inner.limits))?;
        }
        inner.save(&self.entry.key, state, loaded, Some(now), "commit").await.map(drop)
    }

    /// Whether something was removed that the resource's generation does not tell.
    async fn is_removed(&mut self, loaded: &Loaded) -> Result<bool> {
        let (inner, key, tags) = (self.inner, self.entry.key, &*self.entry.tags);
        let write = loaded.state().map(|state| state.write).unwrap_or_default();
        let as_seen = self.seen.write.is_some_and(|seen| begins(&write, seen));
        let has = |tag| self.ticket.variants().iter().any(|variant| variant.tags.contains(tag));
        if as_seen && tags.iter().all(has) {
            return Ok(false);
        }
        if !self.registered {
            register(inner, tags, &key, self.now).await?;
            self.registered = true;
        }
        let nameless = self.ticket.generation() == Generation::NONE && !as_seen;
        let purged = inner.is_purged(self.seen.knowledge, tags, "commit");
        let guarded = async { Ok(nameless && inner.is_guarded(&key, self.now, "commit").await?) };
        let (purged, guarded) = try_join!(purged, guarded)?;
        if guarded {
            self.begin_anew(loaded).await?;
        }
        Ok(purged || guarded)
    }

    /// Writes the inline body as a stored one where the resource has too many of them.
    async fn spill(&mut self, state: &State) -> Result<()> {
        let Change::Put(Body::Inline(inline)) = &self.change else { return Ok(()) };
        let others = state.record.variants().iter().filter(|variant| variant.id != self.entry.variant);
        let others = others.filter(|variant| matches!(variant.body, Body::Inline(_)));
        let total: u64 = others.map(|variant| variant.body.len()).fold(0, u64::saturating_add);
        if self.spilt || total.saturating_add(inline.len) <= INLINE_TOTAL as u64 {
            return Ok(());
        }
        let bytes = inline.frame.bytes().await?;
        bodies::write_frame(self.inner, &self.entry.key, inline.id, 0, bytes, self.now, "commit").await?;
        let limit = self.inner.limits.retention_from(self.now);
        let stored = StoredBody { id: inline.id, frames: 1, len: inline.len, limit };
        self.change = Change::Put(Body::Stored(stored));
        self.spilt = true;
        Ok(())
    }

    fn decide(&self, state: &mut State) -> Result<Decision> {
        let refused = |refusal| Ok(Decision::Over(Committed::Refused(refusal)));
        let (now, limits) = (self.now, &self.inner.limits);
        if let Some(since) = state.dying.take()
            && since.checked_add(DYING).is_some_and(|end| now < end)
        {
            return refused(Refusal::Removed);
        }
        if self.ticket.issued_at() < state.floor {
            return refused(Refusal::TicketExpired);
        }
        let body = match &self.change {
            Change::Put(Body::Stored(stored)) => Some(stored.id),
            _ => None,
        };
        if state.retired.iter().any(|retired| Some(retired.body) == body && retired.gone) {
            return refused(Refusal::BodyGone);
        }
        let before = state.record.clone();
        let committed = state.apply(now, limits, |record| {
            let applied = record.commit(self.ticket, self.entry.clone(), self.change.clone(), now, limits)?;
            Ok((applied.committed, applied.retired))
        })?;
        if std::ptr::eq(before.variants(), state.record.variants()) {
            return Ok(Decision::Over(committed));
        }
        // One that was removed by its version, and is committed again.
        state.retired.retain(|retired| Some(retired.body) != body);
        Ok(Decision::Write(committed))
    }

    /// Evicts the oldest other variants until the resource fits; `None` where it never does.
    async fn fit(&self, mut state: State) -> Result<Option<State>> {
        while state.encode(&self.entry.key).await?.len() > RESOURCE_MAX {
            let others = state.record.variants().iter().filter(|variant| variant.id != self.entry.variant);
            let oldest: Option<Version> =
                others.min_by_key(|variant| variant.stored_at).map(|variant| variant.version);
            if oldest.is_none() {
                return Ok(None);
            }
            let (now, limits) = (self.now, &self.inner.limits);
            state.apply(now, limits, |record| record.remove(oldest, now, limits))?;
        }
        Ok(Some(state))
    }
}

enum Decision {
    /// Nothing is to be written.
    Over(Committed),
    Write(Committed),
}
