//! Commits: at once where the ticket knows enough, else with the record read, and purges looked for.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use cache_api::{
    Body, Change, Committed, Entry, ErrorKind, Generation, INLINE_MAX, INLINE_TOTAL, InlineBody, Refusal,
    Result, StoredBody, TagDigest, Ticket,
};
use futures_util::future::try_join;

use crate::{
    attribute::{binary, duration_millis, millis, whole},
    error::{contended, error},
    fast,
    request::{CONTENDED, pause},
    row::{Form, Kept, RECORD_MAX, Row, WITHIN_MAX},
    storage::Inner,
    write::{Effects, RecordWrite, Wrote},
};

/// The largest encoded inline body: plaintext, and as much again for its encoding.
const INLINE_ENCODED_MAX: usize = 2 * INLINE_MAX + 4096;

/// The most tags of an entry.
const TAGS_MAX: usize = 1024;

/// How much longer than it must an entry is registered, at least: what makes it live longer within that time needs no
/// new registration.
const REGISTER_AHEAD: Duration = Duration::from_secs(3600);

/// The latest instant that is kept.
pub(crate) const FOREVER: u64 = u64::MAX >> 11;

/// A commit that may be tried more than once.
pub(crate) struct Attempt<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) ticket: &'a Ticket,
    pub(crate) entry: Entry,
    pub(crate) change: Change,
    pub(crate) now: SystemTime,
    /// The encoded bytes of an inline body; none for the others.
    pub(crate) inline: Bytes,
    /// What this commit leaves as the record's stamp: where it is found, this commit came through.
    pub(crate) stamp: AttributeValue,
}

pub(crate) async fn commit(
    inner: &Inner,
    ticket: &Ticket,
    mut entry: Entry,
    change: Change,
    now: SystemTime,
) -> Result<Committed> {
    inner.open("commit")?;
    if *ticket.key() != entry.key {
        return Err(error(ErrorKind::Misuse, "commit").with_message("the ticket is another resource's"));
    }
    if ticket.is_expired(now, &inner.limits) {
        return Ok(Committed::Refused(Refusal::TicketExpired));
    }
    let (mut len, mut inline) = (0, Bytes::new());
    match &change {
        Change::Put(Body::Inline(body)) if body.len > INLINE_MAX as u64 => {
            return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
        }
        Change::Put(Body::Inline(body)) => (len, inline) = (body.len, body.frame.bytes().await?.clone()),
        Change::Put(Body::Stored(body)) => len = body.len,
        Change::Keep(_) => {}
    }
    let head = entry.head.bytes().await?.len();
    if inner.max_entry_size.is_some_and(|max| len > max)
        || inline.len() > INLINE_ENCODED_MAX
        || entry.tags.len() > TAGS_MAX
        || head + 16 * entry.tags.len() + WITHIN_MAX + 1024 > RECORD_MAX
    {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    (entry.stored_at, entry.dead_at) = (whole(entry.stored_at), whole(entry.dead_at));
    let stamp = binary(*Generation::random()?.as_bytes());
    let attempt = Attempt { inner, ticket, entry, change, now: whole(now), inline, stamp };
    let row = match fast::attempt(&attempt).await? {
        fast::Fast::Decided(committed) => return Ok(committed),
        fast::Fast::Lost(row) => Some(row),
        fast::Fast::NotTried => None,
    };
    attempt.thorough(row).await
}

/// What is to be done about a record as it is.
enum Plan {
    Decided(Committed),
    Write { new: Box<Row>, effects: Effects, committed: Committed },
}

impl Attempt<'_> {
    /// Registers, looks for purges, and replaces the record: in that order, for a purge is announced before it looks at
    /// what is registered.
    ///
    /// The record is read before the purges, and replaced only if nobody wrote it since: a purge writes each that is
    /// registered.
    async fn thorough(mut self, row: Option<Row>) -> Result<Committed> {
        let inner = self.inner;
        let until = self.register_until();
        let tags: &[TagDigest] = &self.entry.tags.clone();
        let register = inner.register(&self.entry.key, tags, until);
        let mut row = match row {
            Some(row) => {
                if let Some(Plan::Decided(committed)) = self.seen(&row).await? {
                    let refused = matches!(committed, Committed::Refused(_));
                    // A purge is the better reason.
                    let purged = refused && inner.purged_since(self.ticket, tags).await?;
                    return Ok(if purged { Committed::Refused(Refusal::Removed) } else { committed });
                }
                register.await?;
                row
            }
            None => try_join(register, self.current()).await?.1,
        };
        for attempt in 1..=CONTENDED {
            if row.generation.is_none() {
                return self.mend(&row).await;
            }
            if inner.purged_since(self.ticket, tags).await? {
                return Ok(Committed::Refused(Refusal::Removed));
            }
            self.spill(&row).await?;
            let (new, effects, committed) = match self.plan(&row).await? {
                Plan::Decided(committed) => return Ok(committed),
                Plan::Write { new, effects, committed } => (new, effects, committed),
            };
            let item = new.item(inner, &self.entry.key, &self.stamp, self.now).await?;
            let record = RecordWrite::whole(inner, &self.entry.key, &row, item);
            row = match inner.write("commit", &self.entry.key, record, effects).await? {
                Wrote::Done => return Ok(committed),
                Wrote::BodyGone => return self.body_gone().await,
                Wrote::Lost(Some(item)) => Row::read(Some(item)),
                Wrote::Lost(None) => self.current().await?,
            };
            if row.stamp.as_ref() == Some(&self.stamp) {
                return Ok(committed);
            }
            pause(attempt, 3).await;
        }
        Err(contended("commit"))
    }

    /// The body is not pending: it was swept, unless it was this commit that made it so.
    pub(crate) async fn body_gone(&self) -> Result<Committed> {
        match self.seen(&self.current().await?).await? {
            Some(Plan::Decided(committed)) => Ok(committed),
            _ => Ok(Committed::Refused(Refusal::BodyGone)),
        }
    }

    async fn current(&self) -> Result<Row> {
        let record = self.inner.keys.record(&self.entry.key);
        Ok(Row::read(self.inner.get("commit", record).await?))
    }

    /// What a record decides by itself, before anything is written.
    async fn seen(&self, row: &Row) -> Result<Option<Plan>> {
        if row.generation.is_none() {
            return Ok(None);
        }
        self.plan(row).await.map(Some)
    }

    /// Until when to register the entry, in milliseconds.
    pub(crate) fn register_until(&self) -> u64 {
        let (now, dead_at) = (millis(self.now), millis(self.entry.dead_at));
        let ahead = dead_at.saturating_sub(now).max(duration_millis(REGISTER_AHEAD));
        let longest = now.saturating_add(duration_millis(self.inner.limits.max_retention));
        dead_at.saturating_add(ahead).min(longest).max(dead_at).max(now.saturating_add(self.inner.memory()))
    }

    /// Applies the rules to the record.
    async fn plan(&self, row: &Row) -> Result<Plan> {
        let Self { inner, ticket, entry, change, now, .. } = self;
        if let Change::Put(body) = change
            && let Some(kept) = row.find(&body.id()).filter(|kept| kept.variant.id == entry.variant)
            && kept.variant.is_live(*now)
            && row.generation == Some(ticket.generation())
        {
            // The same commit again, after an answer that was lost.
            let (version, dead_at) = (kept.variant.version, kept.variant.dead_at);
            return Ok(Plan::Decided(Committed::Stored { version, dead_at }));
        }
        let mut record = row.record()?;
        let applied = record.commit(ticket, entry.clone(), change.clone(), *now, &inner.limits)?;
        let committed = applied.committed;
        let Committed::Stored { version, dead_at } = committed else { return Ok(Plan::Decided(committed)) };
        let mut gone = applied.retired;
        let mut effects = Effects::default();
        let registered_until = self.register_until();
        let Some(variant) = record.variants().iter().find(|v| v.id == entry.variant).cloned() else {
            return Err(error(ErrorKind::Other, "commit").with_message("the variant is not in its record"));
        };
        let dead = millis(dead_at);
        let new = match (change, row.find(&version.body)) {
            (Change::Keep(_), Some(kept)) => {
                let mut kept = Kept { variant, registered_until, ..kept.clone() };
                if kept.body_until < dead {
                    kept.body_until = registered_until.max(dead);
                    effects.prolong =
                        Some((version.body, kept.body_until)).filter(|_| kept.form == Form::Beside);
                }
                kept
            }
            _ => {
                let form = self.form();
                let body_until = match form {
                    Form::Beside => registered_until,
                    // As long as the record, or as the body's own limit.
                    _ => FOREVER,
                };
                Kept { variant, form, filled: true, registered_until, body_until }
            }
        };
        if matches!(change, Change::Put(_)) {
            self.bring(&new, &mut effects);
        }
        let mut changed = row.changed(&record, Some(&new));
        match changed.shrink(&version.body).await? {
            Some(evicted) => gone.extend(evicted),
            None => return Ok(Plan::Decided(Committed::Refused(Refusal::TooLarge))),
        }
        effects.let_go = inner.let_go(row, &gone, *now);
        Ok(Plan::Write { new: Box::new(changed), effects, committed })
    }

    /// What a new body brings beside its record.
    pub(crate) fn bring(&self, new: &Kept, effects: &mut Effects) {
        let body = new.variant.version.body;
        let grace = duration_millis(self.inner.limits.read_grace);
        match new.form {
            Form::Within => {}
            Form::Beside => effects.beside = Some((body, self.inline.clone(), new.body_until)),
            Form::Stored => {
                effects.commit = Some((body, millis(new.variant.dead_at).saturating_add(grace)));
            }
        }
    }

    /// Where the new body goes.
    pub(crate) fn form(&self) -> Form {
        match &self.change {
            Change::Put(Body::Inline(_)) if self.inline.len() <= WITHIN_MAX => Form::Within,
            Change::Put(Body::Inline(_)) => Form::Beside,
            _ => Form::Stored,
        }
    }

    /// Makes a stored body of an inline one where the resource has as many as a lookup returns.
    async fn spill(&mut self, row: &Row) -> Result<()> {
        let Change::Put(Body::Inline(body)) = &self.change else { return Ok(()) };
        // One that is there was spilled before, by the same commit: it is not to be begun again.
        if row.find(&body.id).is_some() {
            return Ok(());
        }
        let others = row.kept.iter().map(|kept| &kept.variant);
        let others = others.filter(|v| v.id != self.entry.variant && v.is_live(self.now));
        if inline_total(others.map(|v| &v.body)).saturating_add(body.len) <= INLINE_TOTAL as u64 {
            return Ok(());
        }
        let InlineBody { id, len, .. } = *body;
        let limit = whole(self.inner.limits.retention_from(self.now));
        self.inner.begin(&self.entry.key, &id, self.inline.clone(), self.now, limit).await?;
        self.change = Change::Put(Body::Stored(StoredBody { id, frames: 1, len, limit }));
        Ok(())
    }

    /// Puts a sound record in the place of one that cannot be read, under a generation that no ticket has.
    async fn mend(&self, row: &Row) -> Result<Committed> {
        let (inner, key) = (self.inner, &self.entry.key);
        inner.report_garbage("commit", key, row.garbage);
        let mended = Row {
            generation: Some(Generation::random()?),
            tombstone_until: self.now.checked_add(inner.limits.tombstone()),
            ..Row::default()
        };
        let item = mended.item(inner, key, &self.stamp, self.now).await?;
        // Whoever was faster mended it, too.
        inner.write("commit", key, RecordWrite::whole(inner, key, row, item), Effects::default()).await?;
        Ok(Committed::Refused(Refusal::Removed))
    }
}

/// The bytes of inline bodies, as a lookup counts them.
pub(crate) fn inline_total<'a>(bodies: impl Iterator<Item = &'a Body>) -> u64 {
    bodies.map(|body| if let Body::Inline(inline) = body { inline.len } else { 0 }).sum()
}
