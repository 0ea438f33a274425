//! Reading a body, frame by frame.

use bytes::Bytes;
use cache_api::{Body, BodyId, Error, ErrorKind, FRAME_SIZE, Frame, Place, Result, StoredBody};

use crate::Admin;

impl Admin {
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

/// Whether the store cannot give these bytes any more, while it works otherwise.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    error.is_gone() || error.is_corrupt()
}
