//! A response on its way into the storage.

use std::{sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use cache_api::{
    Body, BodyId, BodyWriter, Change, Committed, Entry, Error, ErrorKind, FRAME_SIZE, Head, INLINE_MAX,
    InlineBody, Place, Result, TagDigest, Ticket,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{policy, stats::Operation, store::Store};

/// What is stored of a response beside its body.
pub(crate) struct Draft {
    pub(crate) ticket: Ticket,
    pub(crate) head: Head,
    pub(crate) keep_until: SystemTime,
    pub(crate) tags: Arc<[TagDigest]>,
}

/// Takes a body in as it comes and commits it at its end: inline where it is small, else frame by frame.
pub(crate) struct Sink {
    store: Store,
    draft: Draft,
    place: Place,
    /// What is not written yet: at most one frame, since only the next byte tells whether it is the last.
    buffer: BytesMut,
    writer: Option<Box<dyn BodyWriter>>,
    frames: u32,
    len: u64,
    max_len: u64,
    /// How long a part must be whose `Content-Length` does not say: one that broke off must not pass for a whole.
    exact_len: Option<u64>,
    /// Who closes the engine waits for what is being stored.
    _tracked: TaskTrackerToken,
}

impl Sink {
    pub(crate) fn new(
        store: Store,
        draft: Draft,
        max_len: u64,
        expected: Option<u64>,
        tracked: TaskTrackerToken,
    ) -> Result<Self> {
        let variant = policy::variant_id(&draft.head);
        let place = Place::head(store.storage.namespace(), *draft.ticket.key(), variant, BodyId::random()?);
        let capacity = expected.and_then(|len| usize::try_from(len).ok()).unwrap_or(0).min(FRAME_SIZE);
        let buffer = BytesMut::with_capacity(capacity);
        let exact_len = policy::part_len(&draft.head).filter(|_| expected.is_none());
        Ok(Self {
            store,
            draft,
            place,
            buffer,
            writer: None,
            frames: 0,
            len: 0,
            max_len,
            exact_len,
            _tracked: tracked,
        })
    }

    /// Where the body lies, for who reads it back.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Takes more of the body. Returns up to where the store has it.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<u64> {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.is_too_large() {
            return Err(
                Error::new(ErrorKind::Full, "write").with_message("the body is larger than the limit")
            );
        }
        while !bytes.is_empty() {
            if self.buffer.len() == FRAME_SIZE {
                self.flush(false).await?;
            }
            let room = FRAME_SIZE - self.buffer.len();
            let part = bytes.split_to(room.min(bytes.len()));
            self.buffer.extend_from_slice(&part);
        }
        Ok(u64::from(self.frames) * FRAME_SIZE as u64)
    }

    /// Whether more was taken in than is stored at most.
    pub(crate) fn is_too_large(&self) -> bool {
        self.len > self.max_len
    }

    /// Whether it is a part of another length than it says.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.exact_len.is_some_and(|exact| exact != self.len)
    }

    /// Ends the body and makes the entry visible.
    pub(crate) async fn commit(mut self) -> Result<Committed> {
        if self.is_cut_short() {
            return Err(Error::new(ErrorKind::Other, "finish").with_message("a part of another length"));
        }
        let body = if self.writer.is_none() && self.len <= INLINE_MAX as u64 {
            let frame = self.store.frame_cell(self.buffer.split().freeze(), self.place.frame(0, true));
            Body::Inline(InlineBody { id: self.place.body, frame, len: self.len })
        } else {
            self.flush(true).await?;
            let Some(writer) = self.writer.take() else {
                return Err(Error::new(ErrorKind::Other, "finish"));
            };
            let finish = writer.finish(self.len);
            Body::Stored(self.store.within(Operation::Finish, self.store.deadlines.write, finish).await?)
        };
        let Draft { ticket, head, keep_until, tags } = self.draft;
        let now = self.store.clock.now();
        let head = self.store.head_cell(head, self.place.clone());
        let entry = Entry::new(*ticket.key(), self.place.variant, head, now, keep_until).with_tags(tags);
        self.store.commit(&ticket, entry, Change::Put(body)).await
    }

    async fn flush(&mut self, last: bool) -> Result<()> {
        let place = self.place.frame(self.frames, last);
        let frame = self.store.frame_cell(self.buffer.split().freeze(), place);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.store.writer(&self.draft.ticket, self.place.body).await?),
        };
        self.store.within(Operation::Write, self.store.deadlines.write, writer.write(frame)).await?;
        self.frames = self.frames.saturating_add(1);
        if !last {
            self.buffer.reserve(FRAME_SIZE);
        }
        Ok(())
    }
}
