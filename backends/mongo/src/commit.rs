//! Making an entry visible.
//!
//! Whoever knows the whole document from its lookup, and brings no tag that was not there, replaces what it saw:
//! one step, if nobody changed it since. Everyone else registers the tags first, then looks for purges, and then
//! changes what it registered in. A purge leaves its mark first and then looks for what is registered: one of the
//! two sees the other.

use std::time::SystemTime;

use bytes::Bytes;
use cache_api::{
    Body, CacheKey, Change, Committed, Entry, ErrorKind, INLINE_MAX, InlineBody, Refusal, Result, StoredBody,
    TagDigest, Ticket, Variant,
};
use mongodb::{bson::doc, options::ReturnDocument};

use crate::{
    bodies,
    document::{Found, HEAD_MAX, INLINE_ENCODED_MAX, Part, Seen},
    edit::{TRIES, Written, back_off},
    error::{error, is_duplicate, is_misfit},
    marks::ticket_parts,
    schema::{nanos, tag_array, time},
    storage::Inner,
};

/// The most tags of an entry.
const TAGS_MAX: usize = 1024;

/// The most bytes of heads and inline bodies in one document, before inline bodies are put beside it.
const DOCUMENT: usize = 1024 * 1024;

/// The most bytes of heads in one document: well below the server's 16 MB.
const HEADS: usize = 8 * 1024 * 1024;

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
    if ticket.is_expired(now, &inner.times.limits) {
        return Ok(Committed::Refused(Refusal::TicketExpired));
    }
    let head = entry.head.bytes().await?.clone();
    let (inline, len) = match &change {
        Change::Put(Body::Inline(body)) if body.len > INLINE_MAX as u64 => {
            return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
        }
        Change::Put(Body::Inline(body)) => (Some(body.frame.bytes().await?.clone()), body.len),
        Change::Put(Body::Stored(body)) => (None, body.len),
        Change::Keep(_) => (None, 0),
    };
    let oversized = inner.max_entry_size.is_some_and(|max| len > max)
        || inline.as_ref().is_some_and(|inline| inline.len() > INLINE_ENCODED_MAX)
        || head.len() > HEAD_MAX;
    if oversized || entry.tags.len() > TAGS_MAX {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    let begun = match &change {
        Change::Put(Body::Stored(body)) => Some(body.id),
        _ => None,
    };
    let written = Written { variant: entry.variant, head, inline, begun };
    Commit { inner, ticket, entry, change, now, written, covered: false }.run().await
}

struct Commit<'a> {
    inner: &'a Inner,
    ticket: &'a Ticket,
    entry: Entry,
    change: Change,
    now: SystemTime,
    written: Written,
    /// Whether the frames of a new body outlive the entry.
    covered: bool,
}

/// What an attempt came to.
enum Attempt {
    Done(Committed),
    /// Others changed the document meanwhile.
    Lost,
    /// The inline body finds no room in the document.
    NoRoom,
}

impl Commit<'_> {
    async fn run(mut self) -> Result<Committed> {
        let (revision, _) = ticket_parts(self.ticket.epoch());
        if revision != 0 && registered(self.ticket, &self.entry.tags) {
            let seen = Seen::of_ticket(self.ticket, revision);
            // A refusal for what was there then might be none for what is there now.
            if let Attempt::Done(stored @ Committed::Stored { .. }) = self.attempt(&seen, true).await? {
                return Ok(stored);
            }
        }
        for tried in 0..TRIES {
            if let Some(seen) = self.register().await? {
                if self.inner.purged_since(self.ticket, &self.entry.tags).await? {
                    return Ok(Committed::Refused(Refusal::Removed));
                }
                match self.attempt(&seen, false).await? {
                    Attempt::Done(committed) => {
                        self.abandon_refused(&committed).await;
                        return Ok(committed);
                    }
                    Attempt::NoRoom => {
                        self.spill().await?;
                        continue;
                    }
                    Attempt::Lost => {}
                }
            } else {
                // The place has a new generation, which is not this ticket's.
                return Ok(Committed::Refused(Refusal::Removed));
            }
            back_off(tried).await?;
        }
        Err(self.inner.contended("commit"))
    }

    /// Makes sure that the resource can be found by the entry's tags, and reads it in the same step; `None` where
    /// something else was in its place.
    async fn register(&self) -> Result<Option<Seen>> {
        let Self { inner, entry, now, .. } = self;
        let key = &entry.key;
        let store = inner.store().await?;
        let mut new = inner.empty(key, cache_api::Generation::NONE, *now)?;
        for field in ["_id", "t", "gone"] {
            new.remove(field);
        }
        let update = doc! {
            "$addToSet": { "t": { "$each": tag_array(entry.tags.iter()) } },
            "$setOnInsert": new,
            "$max": { "gone": inner.times.gone(inner.times.remembered(*now)) },
        };
        for tried in 0..TRIES {
            let filter = doc! { "_id": inner.names.resource(key) };
            let register = store.resources.find_one_and_update(filter, update.clone()).upsert(true);
            let register = register.return_document(ReturnDocument::After);
            let found = match inner.run("commit", register).await {
                Err(lost) if is_duplicate(&lost) => {
                    back_off(tried).await?;
                    continue;
                }
                Err(misfit) if is_misfit(&misfit) => match inner.find(key, Part::All, "commit").await? {
                    found @ Found::Garbage(_) => found,
                    _ => return Err(misfit),
                },
                found => Found::of(found?, Part::All),
            };
            match found {
                Found::Sane(seen) => return Ok(Some(seen)),
                Found::Garbage(found) => {
                    inner.mend(key, found, *now).await?;
                    return Ok(None);
                }
                Found::Absent => {}
            }
        }
        Err(inner.contended("commit"))
    }

    /// Decides by what was seen, and changes it unless it was changed since.
    async fn attempt(&mut self, seen: &Seen, by_ticket: bool) -> Result<Attempt> {
        let Self { inner, ticket, entry, change, now, .. } = self;
        let (inner, now) = (*inner, *now);
        let before = seen.record.variants().iter().find(|v| v.id == entry.variant && v.is_live(now)).cloned();
        let mut record = seen.record.clone();
        let applied = record.commit(ticket, entry.clone(), change.clone(), now, &inner.times.limits)?;
        let Committed::Stored { version, dead_at } = applied.committed else {
            return Ok(Attempt::Done(applied.committed));
        };
        let stored = Committed::Stored { version, dead_at: time(nanos(dead_at)) };
        if before.as_ref().is_some_and(|v| v.version == version) {
            // It came through before; whether it is there still, no ticket knows.
            return Ok(if by_ticket { Attempt::Lost } else { Attempt::Done(stored) });
        }
        let begun = self.written.begun;
        let swept =
            begun.is_some_and(|begun| !by_ticket && !seen.pending.iter().any(|(body, _)| *body == begun));
        if swept || seen.retired.iter().any(|(body, _)| *body == version.body) {
            return Ok(Attempt::Done(Committed::Refused(Refusal::BodyGone)));
        }
        match size(record.variants(), &self.written).await? {
            (heads, _) if heads > HEADS => return Ok(Attempt::Done(Committed::Refused(Refusal::TooLarge))),
            (heads, inline) if heads + inline > DOCUMENT && self.written.inline.is_some() => {
                return Ok(Attempt::NoRoom);
            }
            _ => {}
        }
        if let Some(variant) = record.variants().iter().find(|v| v.id == entry.variant)
            && !self.outlives(variant, before.as_ref()).await?
        {
            return Ok(Attempt::Done(Committed::Refused(Refusal::BodyGone)));
        }
        let key: CacheKey = self.entry.key;
        if inner.replace(&key, seen, &record, Some(&self.written), now).await? {
            return Ok(Attempt::Done(stored));
        }
        Ok(Attempt::Lost)
    }

    /// Sees to it that a stored body is there for as long as its entry will be.
    async fn outlives(&mut self, variant: &Variant, before: Option<&Variant>) -> Result<bool> {
        let kept = before.filter(|before| before.version.body == variant.version.body);
        let Body::Stored(_) = &variant.body else { return Ok(true) };
        match kept {
            Some(before) if bodies::covers(before.dead_at, variant.dead_at) => Ok(true),
            Some(_) => bodies::cover(self.inner, &variant.body, variant.dead_at).await,
            None if self.covered => Ok(true),
            None => {
                self.covered = bodies::cover(self.inner, &variant.body, variant.dead_at).await?;
                Ok(self.covered)
            }
        }
    }

    /// Lets the frames of a body go for which it came to nothing.
    async fn abandon_refused(&self, committed: &Committed) {
        if let (Committed::Refused(_), true, Change::Put(body)) = (committed, self.covered, &self.change) {
            bodies::abandon(self.inner, body.id(), self.now).await;
        }
    }

    /// Puts the inline body beside the document, as a stored one of one frame.
    async fn spill(&mut self) -> Result<()> {
        let Change::Put(Body::Inline(InlineBody { id, len, .. })) = self.change else { return Ok(()) };
        let Some(frame) = self.written.inline.take() else { return Ok(()) };
        let limit = self.inner.times.limits.retention_from(self.now);
        let body = Body::Stored(StoredBody { id, frames: 1, len, limit });
        bodies::spill(self.inner, &body, &frame, self.entry.dead_at).await?;
        self.change = Change::Put(body);
        self.covered = true;
        Ok(())
    }
}

/// Whether the resource was registered for all these tags before the ticket was issued.
fn registered(ticket: &Ticket, tags: &[TagDigest]) -> bool {
    tags.iter().all(|tag| ticket.variants().iter().any(|v| v.tags.contains(tag)))
}

/// The bytes of all heads, and of all inline bodies.
async fn size(variants: &[Variant], written: &Written) -> Result<(usize, usize)> {
    let (mut heads, mut inline) = (0, 0);
    for variant in variants {
        heads += variant.head.bytes().await.map_or(0, Bytes::len);
        match &variant.body {
            Body::Inline(_) if variant.id == written.variant && written.inline.is_some() => {
                inline += written.inline.as_ref().map_or(0, Bytes::len);
            }
            Body::Inline(body) => inline += body.frame.bytes().await.map_or(0, Bytes::len),
            Body::Stored(_) => {}
        }
    }
    Ok((heads, inline))
}
