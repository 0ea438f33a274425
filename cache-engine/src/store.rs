//! The storage as the engine uses it: each call within its deadline and counted, each failure reported once.

use std::{future::Future, ops::Range, pin::pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use cache_api::{
    Body, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Error, ErrorKind, Frame, Head, Place,
    Resource, Result, Serializer, Storage, StoredBody, StoredHead, Ticket, Variant, Version,
};

use futures_util::future::poll_immediate;
use http::{HeaderMap, HeaderValue};
use tracing::Instrument;

use crate::{
    breaker::{Breaker, Permit},
    clock::Clock,
    meters::Began,
    observer::Observer,
    spans,
    stats::{Ended, Failure, NotStored, Operation, Stored},
};

/// How long one operation of the storage may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// A lookup, or reading a few frames.
    pub(crate) read: Duration,
    /// Writing a frame, a commit, a removal.
    pub(crate) write: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) observer: Arc<Observer>,
}

/// Where a variant's body lies, and what it takes to read it.
#[derive(Clone, Debug)]
pub(crate) struct BodyRef {
    pub(crate) head: Place,
    pub(crate) frames: u32,
}

impl Store {
    pub(crate) async fn lookup(&self, key: &CacheKey) -> Result<Resource> {
        self.within(Operation::Lookup, self.deadlines.read, self.storage.lookup(key, self.clock.now())).await
    }

    /// Decodes a variant's head in its cell; `false` where it is damaged, which is reported.
    pub(crate) async fn decode_head(&self, key: &CacheKey, variant: &Variant) -> bool {
        if variant.head.value().is_some() {
            return true;
        }
        let place = self.place(key, variant);
        let decode = variant.head.decode(&*self.serializer, &place);
        self.limited(Operation::Decode, self.deadlines.read, decode).await.is_ok()
    }

    pub(crate) fn place(&self, key: &CacheKey, variant: &Variant) -> Place {
        Place::head(self.storage.namespace(), *key, variant.id, variant.version.body)
    }

    /// A head on its way to the storage. Its values are copied together: as received they are cut from read buffers,
    /// which a storage in this process would keep alive.
    pub(crate) fn head_cell(&self, mut head: Head, place: Place) -> StoredHead {
        head.headers = compact(&head.headers);
        StoredHead::new(head, Arc::clone(&self.serializer), place)
    }

    pub(crate) fn frame_cell(&self, bytes: Bytes, place: Place) -> Frame {
        Frame::new(bytes, Arc::clone(&self.serializer), place)
    }

    /// The plaintext of one frame that came with its lookup.
    pub(crate) async fn inline(&self, frame: &Frame, place: &Place) -> Result<Bytes> {
        if let Some(bytes) = frame.value() {
            return Ok(bytes.clone());
        }
        let place = place.frame(0, true);
        self.limited(Operation::Decode, self.deadlines.read, frame.decode(&*self.serializer, &place))
            .await
            .cloned()
    }

    /// The plaintext of a whole body, where the storage has it at hand.
    pub(crate) fn whole(&self, key: &CacheKey, body: &StoredBody) -> Option<Bytes> {
        let whole = self.storage.abilities().whole?.whole(key, body.id)?;
        (whole.len() as u64 == body.len).then_some(whole)
    }

    /// The plaintext of some frames of a body.
    pub(crate) async fn read(&self, body: &BodyRef, range: Range<u32>) -> Result<Vec<Bytes>> {
        self.within(Operation::Read, self.deadlines.read, async {
            let frames = self.storage.read(&body.head.key, body.head.body, range.clone()).await?;
            if frames.len() != range.len() {
                return Err(Error::new(ErrorKind::Corrupt, "read").with_message("another number of frames"));
            }
            let mut plain = Vec::with_capacity(frames.len());
            for (index, frame) in range.zip(frames) {
                match frame.value() {
                    Some(bytes) => plain.push(bytes.clone()),
                    None => {
                        let place = body.head.frame(index, index.saturating_add(1) == body.frames);
                        plain.push(frame.decode(&*self.serializer, &place).await?.clone());
                    }
                }
            }
            Ok(plain)
        })
        .await
    }

    pub(crate) async fn writer(&self, ticket: &Ticket, body: BodyId) -> Result<Box<dyn BodyWriter>> {
        let now = self.clock.now();
        self.within(Operation::Writer, self.deadlines.write, self.storage.writer(ticket, body, now)).await
    }

    pub(crate) async fn commit(&self, ticket: &Ticket, entry: Entry, change: Change) -> Result<Committed> {
        let now = self.clock.now();
        let stored = if matches!(change, Change::Put(_)) { Stored::Response } else { Stored::Head };
        let committed = self
            .within(Operation::Commit, self.deadlines.write, self.storage.commit(ticket, entry, change, now))
            .await;
        match &committed {
            Ok(Committed::Stored { .. }) => self.observer.stored.add(stored, 1),
            Ok(Committed::Refused(refusal)) => {
                self.observer.not_stored.add(NotStored::Refused, 1);
                tracing::debug!(storage = %self.storage, %refusal, "commit refused");
            }
            _ => {}
        }
        committed
    }

    /// Asked whatever happened before: what must not be served any more may be in a store that is back.
    pub(crate) async fn remove(&self, key: &CacheKey, only: Option<Version>) -> Result<u64> {
        let now = self.clock.now();
        self.judged(
            self.limited(Operation::Remove, self.deadlines.write, self.storage.remove(key, only, now)).await,
        )
    }

    /// Runs one operation of the storage within `deadline`, unless the storage is left alone for now.
    pub(crate) async fn within<T>(
        &self,
        operation: Operation,
        deadline: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.breaker.permit() {
            Permit::Ask => return self.judged(self.limited(operation, deadline, work).await),
            Permit::Leave => {}
            Permit::Probe => {
                let store = self.clone();
                tokio::spawn(async move { store.probe().await }.in_current_span());
            }
        }
        self.observer.skipped.add(operation, 1);
        Err(left_alone(operation))
    }

    /// Tries whether the storage works again.
    async fn probe(&self) {
        let key = CacheKey::from_bytes([0; 32]);
        let lookup = self.storage.lookup(&key, self.clock.now());
        let _ = self.judged(self.limited(Operation::Probe, self.deadlines.read, lookup).await);
    }

    /// Notes whether the storage answered.
    fn judged<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(Error::is_transient) {
            if self.breaker.failed() {
                self.observer.breaker_open.raise();
                self.observer.breaker_openings.add((), 1);
                tracing::warn!(storage = %self.storage, "the storage fails again and again: it is left alone for now");
            }
        } else if self.breaker.succeeded() {
            self.observer.breaker_open.lower();
            tracing::info!(storage = %self.storage, "the storage works again");
        }
        result
    }

    /// Runs something within `deadline`; a failure is reported here and nowhere else.
    async fn limited<T>(
        &self,
        operation: Operation,
        deadline: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Began::now();
        let mut work = pin!(work.instrument(spans::storage(&self.observer, operation)));
        // What is there at once needs no timer.
        let result = match poll_immediate(work.as_mut()).await {
            Some(result) => result,
            None => match tokio::time::timeout(deadline, work.as_mut()).await {
                Ok(result) => result,
                Err(_) => Err(Error::new(ErrorKind::Timeout, operation.as_str())),
            },
        };
        let ended = match &result {
            Ok(_) => Ended::Ok,
            Err(error) if error.kind() == ErrorKind::Timeout => Ended::Timeout,
            Err(_) => Ended::Error,
        };
        self.observer.operations.ended((operation, ended), &began);
        work.span().record("result", ended.as_str());
        if let Err(error) = &result {
            self.observer.errors.add((operation, Failure::from(error.kind())), 1);
            let operation = operation.as_str();
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(storage = %self.storage, operation, kind = ?error.kind(), %error, cause, "storage failed");
        }
        result
    }
}

impl BodyRef {
    pub(crate) fn new(place: Place, body: &Body) -> Self {
        Self { head: place, frames: body.frames() }
    }
}

fn left_alone(operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation.as_str())
        .with_message("the storage failed again and again, and is left alone for now")
}

fn compact(headers: &HeaderMap) -> HeaderMap {
    let mut block = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| block.extend_from_slice(value.as_bytes()));
    let mut block = block.freeze();
    // With room for what is added when it is served: a clone has as much.
    let mut compacted = HeaderMap::with_capacity(headers.keys_len().saturating_add(4));
    for (name, value) in headers {
        let copy = HeaderValue::from_maybe_shared(block.split_to(value.len()));
        compacted.append(name, copy.unwrap_or_else(|_| value.clone()));
    }
    compacted
}
