//! Stored bodies: writing and reading their frames, each in a statement or a transaction of its own.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{BodyId, BodyWriter, CacheKey, Error, ErrorKind, Frame, Result, StoredBody};
use sqlx::query;

use crate::{
    error::{error, is_duplicate},
    row::{Blob, FRAME_MAX, get, nanos, signed, time, transaction},
    storage::Inner,
};

/// Frames of a stored body, be it pending, committed or retired; or an inline body as its one frame.
const READ: &str = "
SELECT f.n, iif(length(f.bytes) <= $5, f.bytes, NULL) FROM body b
JOIN namespace s ON s.id = b.namespace AND s.name = $1
JOIN frame f ON f.body = b.id AND f.n >= $3 AND f.n < $4
WHERE b.body = $2
UNION ALL
SELECT 0, iif(length(c.inline) <= $5, c.inline, NULL) FROM namespace s
JOIN resource r ON r.namespace = s.id AND r.key = $6
JOIN variant v ON v.resource = r.id AND v.body = $2 AND v.stored IS NULL
JOIN content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL AND $3 = 0";

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let select = || {
        inner
            .sql(READ)
            .bind(body.as_bytes().to_vec())
            .bind(i64::from(frames.start))
            .bind(i64::from(frames.end))
            .bind(signed(FRAME_MAX))
            .bind(key.as_bytes().to_vec())
    };
    let rows = inner.database.read_until("read", select, |rows| rows.len() == frames.len()).await?;
    let found: Vec<_> = rows
        .into_iter()
        .zip(frames.clone())
        .map_while(|(row, n)| {
            let is_there = get(&row, 0) == Some(i64::from(n)) && get::<&[u8]>(&row, 1).is_some();
            is_there.then(|| Frame::from_bytes(Bytes::from_owner(Blob { row, column: 1 })))
        })
        .collect();
    if found.len() == frames.len() { Ok(found) } else { Err(error(ErrorKind::Gone, "read")) }
}

/// A body that is being written. Its row comes with its first frame.
pub(crate) struct Writer {
    inner: Arc<Inner>,
    body: BodyId,
    began_at: SystemTime,
    row: Option<i64>,
    frames: u32,
    bytes: u64,
    /// A frame failed or was cut off: what follows it would be another body.
    broken: bool,
}

const BEGIN: &str = transaction!(
    "INSERT INTO body (namespace, body, began_at, limit_at)
    SELECT id, $2, $3, $4 FROM namespace WHERE name = $1 AND cleared_at IS NULL",
    "INSERT INTO frame (body, n, bytes) SELECT id, 0, $5 FROM body WHERE body = $2 RETURNING body",
);

const APPEND: &str = transaction!(
    "INSERT INTO frame (body, n, bytes)
    SELECT id, $2, $3 FROM body WHERE id = $1 AND committed = 0 AND gone_at IS NULL RETURNING body",
);

const ABANDON: &str =
    transaction!("UPDATE body SET gone_at = $2 WHERE id = $1 AND committed = 0 AND gone_at IS NULL",);

impl Writer {
    pub(crate) fn new(inner: Arc<Inner>, body: BodyId, began_at: SystemTime) -> Self {
        Self { inner, body, began_at, row: None, frames: 0, bytes: 0, broken: false }
    }

    /// Returns the body's row.
    async fn append(&self, bytes: &Bytes) -> Result<i64> {
        let append = || match self.row {
            Some(row) => query(APPEND).bind(row).bind(i64::from(self.frames)).bind(bytes.to_vec()),
            None => {
                let limit = self.inner.limits.retention_from(self.began_at);
                let begin = self.inner.sql(BEGIN).bind(self.body.as_bytes().to_vec());
                begin.bind(nanos(self.began_at)).bind(nanos(limit)).bind(bytes.to_vec())
            }
        };
        let rows = self.inner.database.run("write", append).await.map_err(used_before)?;
        rows.first().and_then(|row| get(row, 0)).ok_or_else(|| {
            error(ErrorKind::Gone, "write").with_message("the body was swept: writing took too long")
        })
    }

    /// Gives the room back at once, rather than after `max_write`.
    async fn abandon(&self) -> Result<()> {
        let Some(row) = self.row else { return Ok(()) };
        let abandon = || query(ABANDON).bind(row).bind(nanos(self.began_at));
        self.inner.database.run("write", abandon).await.map(drop)
    }
}

fn used_before(cause: Error) -> Error {
    let duplicate = std::error::Error::source(&cause)
        .and_then(|source| source.downcast_ref::<sqlx::Error>())
        .is_some_and(is_duplicate);
    if !duplicate {
        return cause;
    }
    error(ErrorKind::Misuse, "write").with_message("a body of this id was begun before").with_source(cause)
}

#[async_trait]
impl BodyWriter for Writer {
    async fn write(&mut self, frame: Frame) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(error(ErrorKind::Misuse, "write").with_message("an earlier frame was not written"));
        }
        let bytes = frame.bytes().await?;
        if bytes.len() > FRAME_MAX {
            return Err(error(ErrorKind::Misuse, "write").with_message("a frame over FRAME_SIZE"));
        }
        let total = self.bytes.saturating_add(bytes.len() as u64);
        if total > self.inner.max_entry_size {
            self.abandon().await?;
            return Err(
                error(ErrorKind::Full, "write").with_message("the body is larger than max_entry_size")
            );
        }
        self.row = Some(self.append(bytes).await?);
        self.bytes = total;
        self.frames = self
            .frames
            .checked_add(1)
            .ok_or_else(|| error(ErrorKind::Misuse, "write").with_message("too many frames"))?;
        self.broken = false;
        Ok(())
    }

    async fn finish(self: Box<Self>, len: u64) -> Result<StoredBody> {
        if self.broken || self.frames == 0 {
            return Err(error(ErrorKind::Misuse, "finish").with_message("a body without all of its frames"));
        }
        // The limit as a lookup will return it.
        let limit = time(nanos(self.inner.limits.retention_from(self.began_at)));
        Ok(StoredBody { id: self.body, frames: self.frames, len, limit })
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("body", &self.body)
            .field("frames", &self.frames)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
