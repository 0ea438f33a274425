use std::{fmt, future::Future, time::SystemTime};

use async_trait::async_trait;

use crate::{BodyId, BodyWriter, Error, ErrorKind, Frame, Result, StoredBody};

/// A [`BodyWriter`] out of a closure that stores one numbered frame.
///
/// It counts the frames, and takes no more once one failed. `limit` is the body's own, fixed now.
pub fn frame_writer<F, Fut>(body: BodyId, limit: SystemTime, write: F) -> Box<dyn BodyWriter>
where
    F: FnMut(u32, Frame) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    Box::new(FrameWriter { body, limit, frames: 0, broken: false, write })
}

struct FrameWriter<F> {
    body: BodyId,
    limit: SystemTime,
    frames: u32,
    /// A write failed, or was dropped before it ended.
    broken: bool,
    write: F,
}

impl<F> fmt::Debug for FrameWriter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter")
            .field("body", &self.body)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl<F> FrameWriter<F> {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.broken {
            return Err(
                Error::new(ErrorKind::Misuse, operation).with_message("an earlier frame was not written")
            );
        }
        Ok(())
    }
}

#[async_trait]
impl<F, Fut> BodyWriter for FrameWriter<F>
where
    F: FnMut(u32, Frame) -> Fut + Send,
    Fut: Future<Output = Result<()>> + Send,
{
    async fn write(&mut self, frame: Frame) -> Result<()> {
        self.check("write")?;
        self.broken = true;
        let written = (self.write)(self.frames, frame);
        written.await?;
        self.frames = self.frames.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Full, "write"))?;
        self.broken = false;
        Ok(())
    }

    async fn finish(self: Box<Self>, len: u64) -> Result<StoredBody> {
        self.check("finish")?;
        if self.frames == 0 {
            return Err(Error::new(ErrorKind::Misuse, "finish").with_message("a body has at least one frame"));
        }
        Ok(StoredBody { id: self.body, frames: self.frames, len, limit: self.limit })
    }
}
