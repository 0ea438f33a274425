use std::sync::Arc;

use bytes::Bytes;
use cache_api::{
    Body, BodyId, Error, ErrorKind, FRAME_SIZE, Frame, INLINE_MAX, InlineBody, Place, Result, StoredBody,
    Ticket,
};

use super::{Copy, is_unreadable};
use crate::Admin;

/// Why a body was not copied.
pub(super) enum Failed {
    /// It is damaged or gone in the source: the others can be copied all the same.
    Unreadable,
    /// The target has no room for it.
    Refused,
    /// A store does not work.
    Stopped(Error),
}

impl Copy<'_, '_> {
    /// Copies a body into the target, where it is pending until it is committed. No more than a frame is held.
    pub(super) async fn body(
        self,
        body: &Body,
        source: &Place,
        place: &Place,
        ticket: &Ticket,
    ) -> Result<Body, Failed> {
        if body.len() <= INLINE_MAX as u64 && body.frames() == 1 {
            let bytes = self.from.frame(body, source, 0).await.map_err(Failed::of_source)?;
            self.tally.bytes(body.len());
            let frame = self.to.encoded(bytes, place.frame(0, true));
            return Ok(Body::Inline(InlineBody { id: place.body, frame, len: body.len() }));
        }
        let mut writer =
            self.to.storage.writer(ticket, place.body, self.to.now()).await.map_err(Failed::of_target)?;
        for index in 0..body.frames() {
            let bytes = self.from.frame(body, source, index).await.map_err(Failed::of_source)?;
            let len = bytes.len() as u64;
            let last = index.saturating_add(1) == body.frames();
            let frame = self.to.encoded(bytes, place.frame(index, last));
            writer.write(frame).await.map_err(Failed::of_target)?;
            self.tally.bytes(len);
        }
        writer.finish(body.len()).await.map(Body::Stored).map_err(Failed::of_target)
    }
}

impl Failed {
    fn of_source(error: Error) -> Self {
        if is_unreadable(&error) { Self::Unreadable } else { Self::Stopped(error) }
    }

    pub(super) fn of_target(error: Error) -> Self {
        if error.kind() == ErrorKind::Full { Self::Refused } else { Self::Stopped(error) }
    }
}

impl Admin {
    fn encoded(&self, bytes: Bytes, place: Place) -> Frame {
        Frame::new(bytes, Arc::clone(&self.serializer), place)
    }

    /// The plaintext of one frame of a body, as long as it must be.
    pub(crate) async fn frame(&self, body: &Body, head: &Place, index: u32) -> Result<Bytes> {
        let (last, expected) = shape(body, index);
        let place = head.frame(index, last);
        let bytes = match body {
            Body::Inline(inline) => inline.frame.decode(&*self.serializer, &place).await?.clone(),
            Body::Stored(StoredBody { id, .. }) => {
                let frame = self.stored_frame(head, *id, index).await?;
                frame.decode(&*self.serializer, &place).await?.clone()
            }
        };
        if bytes.len() as u64 != expected {
            return Err(corrupt("a frame of another length"));
        }
        Ok(bytes)
    }

    async fn stored_frame(&self, head: &Place, body: BodyId, index: u32) -> Result<Frame> {
        let frames = self.storage.read(&head.key, body, index..index.saturating_add(1)).await?;
        match <[Frame; 1]>::try_from(frames) {
            Ok([frame]) => Ok(frame),
            Err(_) => Err(corrupt("another number of frames")),
        }
    }
}

/// Whether a frame is a body's last, and how long it must be.
fn shape(body: &Body, index: u32) -> (bool, u64) {
    let size = FRAME_SIZE as u64;
    let before = u64::from(index).saturating_mul(size);
    let last = index.saturating_add(1) >= body.frames();
    // Where the length does not fit the number of frames, no frame has such a length.
    let rest = body.len().checked_sub(before).unwrap_or(u64::MAX);
    (last, if last { rest } else { size })
}

fn corrupt(message: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read").with_message(message)
}
