//! Stored bodies: writing and reading their frames, each in a statement of its own.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{BodyId, BodyWriter, CacheKey, Error, ErrorKind, Frame, Result, StoredBody};
use sqlx::query;

use crate::{
    connections::Repeat,
    error::{error, is_duplicate},
    row::{FRAME_MAX, get, nanos, signed, time},
    storage::Inner,
};

pub(crate) async fn read(
    inner: &Inner,
    key: &CacheKey,
    body: BodyId,
    frames: Range<u32>,
) -> Result<Vec<Frame>> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let rows = inner.run("read", Repeat::Safe, || {
        inner
            .sql(&inner.statements.read)
            .bind(body.as_bytes().to_vec())
            .bind(i64::from(frames.start))
            .bind(i64::from(frames.end))
            .bind(signed(FRAME_MAX))
            .bind(&key.as_bytes()[..])
    });
    let rows = rows.await?;
    let found: Vec<_> = rows
        .iter()
        .zip(frames.clone())
        .map_while(|(row, n)| {
            let bytes = get(row, 1).filter(|_| get(row, 0) == Some(i64::from(n)))?;
            Some(Frame::from_bytes(Bytes::copy_from_slice(bytes)))
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

impl Writer {
    pub(crate) fn new(inner: Arc<Inner>, body: BodyId, began_at: SystemTime) -> Self {
        Self { inner, body, began_at, row: None, frames: 0, bytes: 0, broken: false }
    }

    /// Returns the body's row.
    async fn append(&self, bytes: &Bytes) -> Result<i64> {
        let statements = &self.inner.statements;
        let append = || match self.row {
            Some(row) => query(statements.append_frame.sql())
                .bind(row)
                .bind(i64::from(self.frames))
                .bind(&bytes[..])
                .bind(&self.body.as_bytes()[..]),
            None => {
                let limit = self.inner.limits.retention_from(self.began_at);
                let begin = self.inner.sql(&statements.begin_body).bind(&self.body.as_bytes()[..]);
                begin.bind(nanos(self.began_at)).bind(nanos(limit)).bind(&bytes[..])
            }
        };
        let rows = self.inner.run("write", Repeat::Never, append).await.map_err(used_before)?;
        rows.first().and_then(|row| get(row, 0)).ok_or_else(|| {
            error(ErrorKind::Gone, "write").with_message("the body was swept: writing took too long")
        })
    }

    /// Gives the room back at once, rather than after `max_write`.
    async fn abandon(&self) -> Result<()> {
        let Some(row) = self.row else { return Ok(()) };
        let abandon = || {
            query(self.inner.statements.abandon_body.sql())
                .bind(row)
                .bind(nanos(self.began_at))
                .bind(&self.body.as_bytes()[..])
        };
        self.inner.run("write", Repeat::Safe, abandon).await.map(drop)
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
