//! A commit: one transaction, which reads all that the decision needs in one statement.
//!
//! The rules are those of [`cache_api::Record`], over rows.

use std::time::SystemTime;

use bytes::Bytes;
use cache_api::{
    Body, BodyId, Change, Committed, Entry, ErrorKind, INLINE_MAX, INLINE_TOTAL, MAX_VARIANTS, Refusal,
    Result, Ticket, Version,
};
use sqlx::{query, sqlite::SqliteRow};

use crate::{
    connections::Write,
    error::error,
    row::{
        HEAD_MAX, INLINE_ENCODED_MAX, Query, epoch, epoch_parts, generation, get, nanos, signed, tag_column,
        tag_set, time, unsigned,
    },
    storage::{Inner, NEW_NAMESPACE},
};

/// What an entry takes beside its head, body and tags: rows and indexes, roughly.
const OVERHEAD: u64 = 512;

/// What a tag takes: its row and two indexes, roughly.
const TAG_OVERHEAD: u64 = 80;

pub(crate) async fn commit(
    inner: &Inner,
    ticket: &Ticket,
    entry: &Entry,
    change: Change,
    now: SystemTime,
) -> Result<Committed> {
    if *ticket.key() != entry.key {
        return Err(error(ErrorKind::Misuse, "commit").with_message("the ticket is another resource's"));
    }
    if ticket.is_expired(now, &inner.limits) {
        return Ok(Committed::Refused(Refusal::TicketExpired));
    }
    // Encoded before the transaction, which waits for nobody.
    let head = entry.head.bytes().await?;
    let inline = match &change {
        Change::Put(Body::Inline(body)) if body.len > INLINE_MAX as u64 => {
            return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
        }
        Change::Put(Body::Inline(body)) => Some(body.frame.bytes().await?.clone()),
        _ => None,
    };
    let oversized = inline.as_ref().is_some_and(|bytes| bytes.len() > INLINE_ENCODED_MAX);
    if head.len() > HEAD_MAX || 16 * entry.tags.len() > HEAD_MAX || oversized {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    let commit = Commit { inner, ticket, entry, head, now };
    let outcome = commit.run(&change, inline).await?;
    if inner.max_size.is_some_and(|max| outcome.live > max || outcome.retired > max / 4) {
        inner.evict(outcome.row, now).await;
    }
    inner.after_write(now).await;
    Ok(outcome.committed)
}

struct Commit<'a> {
    inner: &'a Inner,
    ticket: &'a Ticket,
    entry: &'a Entry,
    head: &'a Bytes,
    now: SystemTime,
}

/// What was done, and the namespace's sizes thereafter.
struct Outcome {
    committed: Committed,
    row: i64,
    live: u64,
    retired: u64,
}

impl Outcome {
    fn refused(refusal: Refusal) -> Self {
        Self { committed: Committed::Refused(refusal), row: 0, live: 0, retired: 0 }
    }
}

/// What the store holds of the resource, the variant, the tags and the new body.
struct State {
    namespace: i64,
    live: u64,
    retired: u64,
    purged: bool,
    /// The variant's row, live or dead or corrupt.
    row: Option<i64>,
    stored: Option<i64>,
    size: u64,
    tagged: bool,
    current: Option<Current>,
    others: u64,
    inline: u64,
    body: Option<Pending>,
}

/// The variant that is there, live and whole.
struct Current {
    version: Version,
    dead_at: i64,
    limit_at: i64,
}

/// The stored body to be committed.
struct Pending {
    row: i64,
    free: bool,
    frames: i64,
    bytes: u64,
    limit_at: i64,
}

const STATE: &str = "BEGIN IMMEDIATE;
SELECT s.id, s.epoch, s.purges, s.live, r.id, r.generation,
    v.id, v.body, v.heads, v.stored, v.size, v.dead_at, v.limit_at, length(v.tags),
    (SELECT count(*) FROM variant o WHERE o.resource = r.id AND o.variant <> $3),
    (SELECT sum(o.len) FROM variant o
        WHERE o.resource = r.id AND o.variant <> $3 AND o.stored IS NULL AND o.dead_at > $4),
    EXISTS (SELECT 1 FROM tag_tombstone t
        WHERE t.namespace = s.id AND t.purge > $5 AND t.tag IN (SELECT unhex(value) FROM json_each($6))),
    b.id, b.committed = 0 AND b.gone_at IS NULL, b.frames, b.bytes, b.limit_at, s.retired
FROM namespace s
LEFT JOIN resource r ON r.namespace = s.id AND r.key = $2
LEFT JOIN variant v ON v.resource = r.id AND v.variant = $3
LEFT JOIN body b ON b.body = $7 AND b.namespace = s.id
WHERE s.name = $1 AND s.cleared_at IS NULL";

/// All of a commit that brings a body. What is not to be done has `NULL` in its place.
const PUT: &str = "
UPDATE body SET committed = 1 WHERE id = $5 AND committed = 0;
UPDATE body SET gone_at = $16 WHERE id = $15 AND gone_at IS NULL;
INSERT INTO resource (namespace, key, generation) VALUES ($1, $2, zeroblob(16))
ON CONFLICT (namespace, key) DO UPDATE SET generation = excluded.generation WHERE length(generation) <> 16;
INSERT INTO variant (namespace, resource, variant, body, heads, stored, frames, len, size,
    stored_at, dead_at, limit_at, used_at, tags)
SELECT $1, id, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM resource
WHERE namespace = $1 AND key = $2
ON CONFLICT (resource, variant) DO UPDATE SET body = excluded.body, heads = 0, stored = excluded.stored,
    frames = excluded.frames, len = excluded.len, size = excluded.size, stored_at = excluded.stored_at,
    dead_at = excluded.dead_at, limit_at = excluded.limit_at, used_at = excluded.used_at,
    tags = excluded.tags, uses = 0
RETURNING id, resource;
INSERT INTO content (variant, head, inline)
SELECT v.id, $14, $17 FROM resource r JOIN variant v ON v.resource = r.id AND v.variant = $3
WHERE r.namespace = $1 AND r.key = $2
ON CONFLICT (variant) DO UPDATE SET head = excluded.head, inline = excluded.inline";

const KEEP: &str = "
UPDATE variant SET heads = $2, stored_at = $3, dead_at = $4, used_at = max(used_at, $5), tags = $6,
    size = max(0, size + $7 - (SELECT length(head) FROM content WHERE variant = $1) - $8 * (length(tags) / 16))
WHERE id = $1 RETURNING id, resource;
UPDATE content SET head = $9 WHERE variant = $1";

/// A body of one frame, which is committed as it is written.
const NEW_BODY: &str = "
INSERT INTO body (namespace, body, began_at, limit_at) VALUES ($1, $2, $3, $4);
INSERT INTO frame (body, n, bytes) SELECT id, 0, $5 FROM body WHERE body = $2 RETURNING body";

const RETAG: &str = "
DELETE FROM tag WHERE variant = $2;
INSERT OR IGNORE INTO tag (namespace, tag, variant) SELECT $1, unhex(value), $2 FROM json_each($3)";

/// All but the newest live variants beside ours, so that with ours there are at most the allowed.
const CROWD: &str = "
SELECT id FROM variant WHERE resource = $1 AND id <> $2
ORDER BY dead_at > $3 DESC, stored_at DESC, id DESC LIMIT -1 OFFSET $4";

impl Commit<'_> {
    async fn run(&self, change: &Change, inline: Option<Bytes>) -> Result<Outcome> {
        let (mut write, rows) = self.inner.database.begin_with("commit", || self.ask(change)).await?;
        let outcome = match self.state(&rows) {
            Some(state) => self.apply(&mut write, &state, change, inline).await?,
            None => {
                // Somebody deleted the namespace's row: with a new one, later commits work.
                write.execute(self.inner.sql(NEW_NAMESPACE)).await?;
                Outcome::refused(Refusal::Removed)
            }
        };
        write.commit().await?;
        Ok(outcome)
    }

    fn ask(&self, change: &Change) -> Query {
        let (_, purges) = epoch_parts(self.ticket.epoch());
        let body = match change {
            Change::Put(Body::Stored(body)) => Some(body.id.as_bytes().to_vec()),
            _ => None,
        };
        self.inner
            .sql(STATE)
            .bind(self.entry.key.as_bytes().to_vec())
            .bind(self.entry.variant.as_bytes().to_vec())
            .bind(nanos(self.now))
            .bind(purges)
            .bind(tag_set(&self.entry.tags))
            .bind(body)
    }

    /// `None` where the namespace has no row.
    fn state(&self, rows: &[SqliteRow]) -> Option<State> {
        let row = rows.first()?;
        let (random, _) = epoch_parts(self.ticket.epoch());
        let (random_now, _) = epoch_parts(epoch(get(row, 1), get(row, 2)));
        let purged = random != random_now
            || self.ticket.generation() != generation(get(row, 5))
            || get(row, 16) != Some(0_i64);
        Some(State {
            namespace: get(row, 0)?,
            live: unsigned(row, 3).unwrap_or(0),
            retired: unsigned(row, 22).unwrap_or(0),
            purged,
            row: get(row, 6),
            stored: get(row, 9),
            size: unsigned(row, 10).unwrap_or(0),
            tagged: get::<i64>(row, 13).is_some_and(|len| len > 0),
            current: current(row, self.now),
            others: unsigned(row, 14).unwrap_or(0),
            inline: unsigned(row, 15).unwrap_or(0),
            body: pending(row),
        })
    }

    async fn apply(
        &self,
        write: &mut Write<'_>,
        state: &State,
        change: &Change,
        inline: Option<Bytes>,
    ) -> Result<Outcome> {
        if state.purged {
            return Ok(Outcome::refused(Refusal::Removed));
        }
        let seen = self.ticket.saw(&self.entry.variant);
        match (change, &state.current) {
            // The same commit again, after an answer that was lost.
            (Change::Put(body), Some(current)) if current.version.body == body.id() => {
                let committed = stored(current.version, current.dead_at);
                Ok(Outcome { committed, row: state.row.unwrap_or(0), live: state.live, retired: 0 })
            }
            (Change::Put(_), Some(current)) if seen != Some(current.version.body) => {
                Ok(Outcome::refused(Refusal::Replaced))
            }
            (Change::Put(body), _) => self.put(write, state, body, inline).await,
            (Change::Keep(version), Some(current)) if current.version == *version => {
                self.keep(write, state, current).await
            }
            (Change::Keep(_), _) => Ok(Outcome::refused(Refusal::VersionChanged)),
        }
    }

    async fn put(
        &self,
        write: &mut Write<'_>,
        state: &State,
        body: &Body,
        inline: Option<Bytes>,
    ) -> Result<Outcome> {
        let Some((size, limit_at)) = self.measure(state, body, inline.as_ref()) else {
            return Ok(Outcome::refused(Refusal::BodyGone));
        };
        if size > self.inner.max_entry_size {
            return Ok(Outcome::refused(Refusal::TooLarge));
        }
        let (stored_row, inline) = match inline {
            // What would not fit into a lookup's reply is kept as a stored body of one frame.
            Some(bytes) if state.inline.saturating_add(body.len()) > INLINE_TOTAL as u64 => {
                (Some(self.new_body(write, state, body.id(), limit_at, &bytes).await?), None)
            }
            Some(bytes) => (None, Some(bytes)),
            None => (state.body.as_ref().map(|body| body.row), None),
        };
        let dead_at = nanos(self.entry.dead_at).min(limit_at);
        let put = query(PUT)
            .bind(state.namespace)
            .bind(self.entry.key.as_bytes().to_vec())
            .bind(self.entry.variant.as_bytes().to_vec())
            .bind(body.id().as_bytes().to_vec())
            .bind(stored_row)
            .bind(i64::from(body.frames()))
            .bind(signed(body.len()))
            .bind(signed(size))
            .bind(nanos(self.entry.stored_at))
            .bind(dead_at)
            .bind(limit_at)
            .bind(nanos(self.now))
            .bind(tag_column(&self.entry.tags))
            .bind(self.head.to_vec())
            .bind(state.stored)
            .bind(self.inner.gone_at(self.now))
            .bind(inline.map(|bytes| bytes.to_vec()));
        let row = self.put_row(write, state, put).await?;
        let committed = stored(Version { body: body.id(), head: 0 }, dead_at);
        let live = state.live.saturating_sub(state.size).saturating_add(size);
        let retired = state.retired.saturating_add(state.stored.map_or(0, |_| state.size));
        Ok(Outcome { committed, row, live, retired })
    }

    /// Writes the variant's row and what hangs on it.
    async fn put_row(&self, write: &mut Write<'_>, state: &State, put: Query) -> Result<i64> {
        let rows = write.fetch(put).await?;
        let (row, resource) = rows
            .first()
            .and_then(|row| Some((get(row, 0)?, get::<i64>(row, 1)?)))
            .ok_or_else(|| error(ErrorKind::Other, "commit"))?;
        if state.tagged || !self.entry.tags.is_empty() {
            let tags = tag_set(&self.entry.tags);
            write.execute(query(RETAG).bind(state.namespace).bind(row).bind(tags)).await?;
        }
        if state.others >= MAX_VARIANTS as u64 {
            let crowd = query(CROWD).bind(resource).bind(row).bind(nanos(self.now));
            let crowd = write.fetch(crowd.bind(signed(MAX_VARIANTS - 1))).await?;
            let rows: Vec<i64> = crowd.iter().filter_map(|row| get(row, 0)).collect();
            self.inner.drop_variants(write, &rows, self.inner.gone_at(self.now)).await?;
        }
        Ok(row)
    }

    /// The bytes that the entry will count for, and the latest dead-at that its body allows; `None` when its
    /// stored body is not there as it was written.
    fn measure(&self, state: &State, body: &Body, inline: Option<&Bytes>) -> Option<(u64, i64)> {
        let (bytes, limit_at) = match (body, &state.body) {
            (Body::Inline(_), _) => (inline?.len() as u64, nanos(self.inner.limits.retention_from(self.now))),
            (Body::Stored(body), Some(pending))
                if pending.free && pending.frames == i64::from(body.frames) =>
            {
                (pending.bytes, pending.limit_at)
            }
            (Body::Stored(_), _) => return None,
        };
        let tags = TAG_OVERHEAD * self.entry.tags.len() as u64;
        Some((bytes.saturating_add(self.head.len() as u64).saturating_add(OVERHEAD + tags), limit_at))
    }

    async fn new_body(
        &self,
        write: &mut Write<'_>,
        state: &State,
        body: BodyId,
        limit_at: i64,
        bytes: &Bytes,
    ) -> Result<i64> {
        let new = query(NEW_BODY).bind(state.namespace).bind(body.as_bytes().to_vec());
        let new = new.bind(nanos(self.now)).bind(limit_at).bind(bytes.to_vec());
        let rows = write.fetch(new).await?;
        rows.first().and_then(|row| get(row, 0)).ok_or_else(|| error(ErrorKind::Other, "commit"))
    }

    async fn keep(&self, write: &mut Write<'_>, state: &State, current: &Current) -> Result<Outcome> {
        let Some(row) = state.row else {
            return Ok(Outcome::refused(Refusal::VersionChanged));
        };
        let version = Version { body: current.version.body, head: current.version.head.saturating_add(1) };
        let dead_at = nanos(self.entry.dead_at).min(current.limit_at);
        let added = signed(self.head.len() as u64 + TAG_OVERHEAD * self.entry.tags.len() as u64);
        let keep = query(KEEP)
            .bind(row)
            .bind(i64::from(version.head))
            .bind(nanos(self.entry.stored_at))
            .bind(dead_at)
            .bind(nanos(self.now))
            .bind(tag_column(&self.entry.tags))
            .bind(added)
            .bind(signed(TAG_OVERHEAD))
            .bind(self.head.to_vec());
        self.put_row(write, state, keep).await?;
        Ok(Outcome { committed: stored(version, dead_at), row, live: state.live, retired: 0 })
    }
}

fn stored(version: Version, dead_at: i64) -> Committed {
    Committed::Stored { version, dead_at: time(dead_at) }
}

fn current(row: &SqliteRow, now: SystemTime) -> Option<Current> {
    let body = BodyId::try_from_slice(get(row, 7)?).ok()?;
    let version = Version { body, head: u32::try_from(get::<i64>(row, 8)?).ok()? };
    let current = Current { version, dead_at: get(row, 11)?, limit_at: get(row, 12)? };
    (current.dead_at > nanos(now)).then_some(current)
}

fn pending(row: &SqliteRow) -> Option<Pending> {
    Some(Pending {
        row: get(row, 17)?,
        free: get(row, 18) == Some(1_i64),
        frames: get(row, 19)?,
        bytes: unsigned(row, 20)?,
        limit_at: get(row, 21)?,
    })
}
