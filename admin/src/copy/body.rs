use std::sync::Arc;

use bytes::Bytes;
use cache_api::{Body, Error, ErrorKind, Frame, INLINE_MAX, InlineBody, Place, Result, Ticket};

use super::Copy;
use crate::{Admin, body::is_unreadable};

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
}
