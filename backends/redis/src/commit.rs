use std::time::SystemTime;

use bytes::Bytes;
use cache_api::{
    Body, Change, Committed, Entry, ErrorKind, Event, INLINE_MAX, MAX_VARIANTS, Refusal, Result, Ticket,
    Version,
};

use crate::{
    error::error,
    reply::{array, committed, epoch_parts, millis, tag_list, text, unexpected},
    script::{COMMIT, Call},
    storage::{HEAD_MAX, INLINE_ENCODED_MAX, Inner},
};

/// The most tags of an entry.
const TAGS_MAX: usize = 1024;

/// One script, which reads all that the decision needs, decides and writes.
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
    let new = New::of(inner, &change, now).await?;
    let head = entry.head.bytes().await?;
    let oversized = inner.max_entry_size.is_some_and(|max| new.len > max)
        || new.inline.len() as u64 > INLINE_ENCODED_MAX
        || head.len() as u64 > HEAD_MAX;
    if oversized || entry.tags.len() > TAGS_MAX {
        return Ok(Committed::Refused(Refusal::TooLarge));
    }
    let shard = inner.keys.of(&entry.key);
    let body = new.version.body;
    let keys = [
        shard.resource(&entry.key),
        shard.state(),
        shard.index(),
        shard.tags(),
        shard.due(),
        shard.body(&body),
    ];
    let (epoch, removals) = epoch_parts(ticket.epoch());
    let saw = ticket.saw(&entry.variant).map(|body| body.to_string()).unwrap_or_default();
    let call = inner.shard_call(Call::new(&COMMIT, keys), &shard).arg(entry.key.to_string());
    let call = inner
        .times(call, now)
        .arg(inner.keep())
        .arg(inner.memory())
        .arg(MAX_VARIANTS as u64)
        .arg(epoch)
        .arg(removals)
        .arg(saw)
        .arg(entry.variant.to_string())
        .arg(new.kind)
        .arg(body.to_string())
        .arg(u64::from(new.version.head))
        .arg(u64::from(new.frames))
        .arg(new.len)
        .arg(millis(entry.stored_at))
        .arg(millis(entry.dead_at))
        .arg(millis(new.limit))
        .arg(tag_list(&entry.tags))
        .arg(head.clone())
        .arg(new.inline)
        .arg(inner.keys.events())
        .arg(inner.message(&Event::Changed(entry.key)));
    let answer = array(inner.run(call, "commit").await?);
    let refused = match text(answer.first()) {
        b"stored" => {
            let (version, dead_at) = committed(body, &answer).ok_or_else(|| unexpected("commit"))?;
            return Ok(Committed::Stored { version, dead_at });
        }
        b"removed" => Refusal::Removed,
        b"replaced" => Refusal::Replaced,
        b"version" => Refusal::VersionChanged,
        b"gone" => Refusal::BodyGone,
        _ => return Err(unexpected("commit")),
    };
    Ok(Committed::Refused(refused))
}

/// What a change brings, as the script takes it.
struct New {
    kind: &'static str,
    /// The body's id; the head counter is that of the version to be replaced.
    version: Version,
    frames: u32,
    len: u64,
    limit: SystemTime,
    inline: Bytes,
}

impl New {
    async fn of(inner: &Inner, change: &Change, now: SystemTime) -> Result<Self> {
        let limit = inner.limits.retention_from(now);
        Ok(match change {
            Change::Keep(version) => {
                Self { kind: "k", version: *version, frames: 0, len: 0, limit, inline: Bytes::new() }
            }
            Change::Put(Body::Inline(body)) if body.len > INLINE_MAX as u64 => {
                return Err(error(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"));
            }
            Change::Put(Body::Inline(body)) => Self {
                kind: "i",
                version: Version { body: body.id, head: 0 },
                frames: 1,
                len: body.len,
                limit,
                inline: body.frame.bytes().await?.clone(),
            },
            Change::Put(Body::Stored(body)) => Self {
                kind: "s",
                version: Version { body: body.id, head: 0 },
                frames: body.frames,
                len: body.len,
                limit: body.limit,
                inline: Bytes::new(),
            },
        })
    }
}
