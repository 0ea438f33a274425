//! A commit: one call of a function in the database, which decides and writes. What needs no look at the
//! store is decided here.

use std::time::SystemTime;

use cache_api::{
    Body, BodyId, CacheKey, Change, Committed, Entry, ErrorKind, INLINE_MAX, INLINE_TOTAL, MAX_VARIANTS,
    Refusal, Result, Ticket, Version,
};
use sqlx::postgres::PgRow;

use crate::{
    connections::Repeat,
    error::error,
    row::{HEAD_MAX, INLINE_ENCODED_MAX, epoch_parts, get, nanos, signed, tag_column, time},
    storage::Inner,
};

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
    // Encoded before a connection is taken.
    let head = entry.head.bytes().await?;
    let inline = match &change {
        Change::Put(Body::Inline(body)) if body.len > INLINE_MAX as u64 => {
            return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
        }
        Change::Put(Body::Inline(body)) => Some(body.frame.bytes().await?),
        _ => None,
    };
    let oversized = inline.is_some_and(|bytes| bytes.len() > INLINE_ENCODED_MAX);
    if head.len() > HEAD_MAX || 16 * entry.tags.len() > HEAD_MAX || oversized {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    let (epoch, purges) = epoch_parts(ticket.epoch());
    let (saw, generation) = (ticket.saw(&entry.variant), ticket.generation());
    let tags = tag_column(&entry.tags);
    // A repeated Put finds its own body and says so; a repeated Keep would find another version.
    let (keep, put, repeat) = match &change {
        Change::Keep(version) => (Some(*version), None, Repeat::Never),
        Change::Put(body) => (None, Some(body), Repeat::Safe),
    };
    let put_id = put.map(Body::id);
    let statement = || {
        inner
            .sql(&inner.statements.commit)
            .bind(&epoch[..])
            .bind(purges)
            .bind(&entry.key.as_bytes()[..])
            .bind(generation.as_bytes().to_vec())
            .bind(&entry.variant.as_bytes()[..])
            .bind(saw.map(id))
            .bind(keep.map(|version| id(version.body)))
            .bind(keep.map(|version| i64::from(version.head)))
            .bind(put_id.map(id))
            .bind(put.map(|body| i64::from(body.frames())))
            .bind(put.map(|body| signed(body.len())))
            .bind(inline.map(|bytes| &bytes[..]))
            .bind(nanos(inner.limits.retention_from(now)))
            .bind(&head[..])
            .bind(&tags[..])
            .bind(nanos(entry.stored_at))
            .bind(nanos(entry.dead_at))
            .bind(nanos(now))
            .bind(inner.gone_at(now))
            .bind(signed(inner.max_entry_size))
            .bind(signed(MAX_VARIANTS))
            .bind(signed(INLINE_TOTAL))
    };
    let untold = Untold { inner, key: entry.key };
    let rows = inner.run("commit", repeat, statement).await?;
    let body = put_id.or(keep.map(|version| version.body));
    let committed = rows.first().zip(body).and_then(|(row, body)| committed(row, body));
    if let Some(Committed::Refused(_)) = committed {
        std::mem::forget(untold);
    } else {
        drop(untold);
    }
    inner.after_write(now).await;
    committed.ok_or_else(|| error(ErrorKind::Other, "commit").with_message("an answer of another release"))
}

/// A commit that others hear of when this is dropped: it may also have happened when its answer is lost, or
/// nobody waits for it.
struct Untold<'a> {
    inner: &'a Inner,
    key: CacheKey,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.inner.notices.changed(&self.inner.sender, self.key);
    }
}

fn id(body: BodyId) -> Vec<u8> {
    body.as_bytes().to_vec()
}

fn committed(row: &PgRow, body: BodyId) -> Option<Committed> {
    Some(Committed::Refused(match get::<&str>(row, 0)? {
        "stored" => {
            let head = u32::try_from(get::<i64>(row, 1)?).ok()?;
            return Some(Committed::Stored { version: Version { body, head }, dead_at: time(get(row, 2)?) });
        }
        "removed" => Refusal::Removed,
        "replaced" => Refusal::Replaced,
        "version changed" => Refusal::VersionChanged,
        "body gone" => Refusal::BodyGone,
        "too large" => Refusal::TooLarge,
        _ => return None,
    }))
}
