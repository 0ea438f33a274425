//! The frames of a stored body, read a batch ahead of who takes them.

use std::{
    future::Future,
    ops::Range,
    panic,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use cache_api::{Error, ErrorKind, Result};
use sync_wrapper::SyncFuture;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::{
    stats::Flow,
    store::{BodyRef, Store},
};

/// How many frames are read from a store at once.
const BATCH: u32 = 2;

type Batch = Result<Vec<Bytes>>;

/// A read that goes on as it is polled.
pub(crate) type Read = Pin<Box<dyn Future<Output = Batch> + Send + Sync>>;

/// Where a body is read from.
pub(crate) struct Source {
    pub(crate) store: Store,
    pub(crate) body: BodyRef,
}

/// Some frames of a body, in batches.
pub(crate) struct Frames {
    source: Source,
    /// What is not being read yet.
    rest: Range<u32>,
    reading: Option<Reading>,
    /// What was read ahead, where it was at hand.
    done: Option<Batch>,
}

enum Reading {
    Here(Read),
    /// Who takes what is read may be slow, and the store has a deadline: it goes on by itself.
    Ahead(AbortOnDropHandle<Batch>),
}

impl Source {
    pub(crate) fn read(&self, frames: Range<u32>) -> Read {
        let (store, body) = (self.store.clone(), self.body.clone());
        Box::pin(SyncFuture::new(async move { store.read(&body, frames).await }))
    }

    pub(crate) fn count(&self, from: Flow, bytes: &Bytes) {
        self.store.observer.body_bytes.add(from, bytes.len() as u64);
    }
}

impl Frames {
    pub(crate) fn new(source: Source, frames: Range<u32>) -> Self {
        let end = frames.end.min(source.body.frames);
        Self { source, rest: frames.start..end, reading: None, done: None }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The next batch; `None` after the last one.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if let Some(batch) = self.done.take() {
            return Poll::Ready(Some(batch));
        }
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => match self.begin() {
                Some(read) => self.reading.insert(Reading::Here(read)),
                None => return Poll::Ready(None),
            },
        };
        let batch = ready!(reading.poll(cx));
        self.reading = None;
        Poll::Ready(Some(batch))
    }

    /// Begins to read the next batch, if nothing is being read.
    pub(crate) fn go_ahead(&mut self) {
        if self.reading.is_some() || self.done.is_some() {
            return;
        }
        let Some(mut read) = self.begin() else { return };
        match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(batch) => self.done = Some(batch),
            Poll::Pending => {
                let task = tokio::spawn(read.in_current_span());
                self.reading = Some(Reading::Ahead(AbortOnDropHandle::new(task)));
            }
        }
    }

    fn begin(&mut self) -> Option<Read> {
        let start = self.rest.start;
        self.rest.start = start.saturating_add(BATCH).min(self.rest.end);
        (start < self.rest.end).then(|| self.source.read(start..self.rest.start))
    }
}

impl Reading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Batch> {
        match self {
            Self::Here(read) => read.as_mut().poll(cx),
            Self::Ahead(task) => Poll::Ready(match ready!(Pin::new(task).poll(cx)) {
                Ok(batch) => batch,
                Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                Err(_) => {
                    Err(Error::new(ErrorKind::Other, "read").with_message("the runtime is shutting down"))
                }
            }),
        }
    }
}
