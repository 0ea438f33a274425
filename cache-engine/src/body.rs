use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use cache_api::{Error as StorageError, ErrorKind, FRAME_SIZE, Place, Result as StorageResult};
use http_body::{Frame, SizeHint};

use crate::{
    error::BodyError,
    frames::{Frames, Read, Source},
    pipe::{Next, Pipe},
    resume::{Rest, Resume},
    stats::Flow,
    store::{BodyRef, Store},
};

/// The body of an answer of the cache: bytes out of the store, or the origin's as they arrive.
pub struct Body(Kind);

enum Kind {
    Bytes(Bytes),
    Stored(Box<StoredBytes>),
    Piped(Box<Piped>),
}

/// A range of bytes out of a stored body.
struct StoredBytes {
    frames: Frames,
    /// The bytes to be passed over at the beginning of the first frame.
    skip: usize,
    /// The bytes yet to be read.
    remaining: u64,
    ready: VecDeque<Bytes>,
    /// Where the range ends in the body.
    end: u64,
    /// What to do if the store fails.
    resume: Option<Resume>,
    /// The store failed, and the origin goes on from there.
    rest: Option<(Rest, StorageError)>,
}

/// The origin's bytes; what fell out of the pipe is read back from the store.
struct Piped {
    pipe: Arc<Pipe>,
    source: Source,
    reading: Option<Read>,
    skip: usize,
    len: Option<u64>,
    taken: u64,
}

impl Body {
    /// The whole body, where it is in memory already.
    ///
    /// # Errors
    /// The body itself, where it is not.
    pub fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Bytes(bytes) => Ok(bytes),
            kind => Err(Self(kind)),
        }
    }

    /// A body in memory.
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }

    /// Some bytes of a stored body. The first frames are read before it returns, so that a body that is gone is
    /// noticed while there is another answer.
    pub(crate) async fn stored(
        store: &Store,
        body: BodyRef,
        range: Range<u64>,
        resume: Option<Resume>,
    ) -> StorageResult<Self> {
        let size = FRAME_SIZE as u64;
        let remaining = range.end.saturating_sub(range.start);
        let frame = |offset: u64| u32::try_from(offset).unwrap_or(u32::MAX);
        let frames = frame(range.start / size)..frame(range.end.div_ceil(size));
        let mut stored = StoredBytes {
            frames: Frames::new(Source { store: store.clone(), body }, frames),
            skip: usize::try_from(range.start % size).unwrap_or(0),
            remaining,
            ready: VecDeque::new(),
            end: range.end,
            resume,
            rest: None,
        };
        if remaining > 0 {
            std::future::poll_fn(|cx| stored.poll_fill(cx)).await?;
        }
        Ok(Self(Kind::Stored(Box::new(stored))))
    }

    /// A body as it arrives from the origin.
    pub(crate) fn piped(pipe: Arc<Pipe>, store: Store, place: Place, len: Option<u64>) -> Self {
        // What is read back is never the last frame.
        let source = Source { store, body: BodyRef { head: place, frames: u32::MAX } };
        Self(Kind::Piped(Box::new(Piped { pipe, source, reading: None, skip: 0, len, taken: 0 })))
    }
}

impl StoredBytes {
    /// Reads until something is ready or nothing remains.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<StorageResult<()>> {
        while self.ready.is_empty() && self.remaining > 0 {
            let frames = match ready!(self.frames.poll_next(cx)).transpose()? {
                Some(frames) if !frames.is_empty() => frames,
                _ => return Poll::Ready(Err(too_short())),
            };
            for mut bytes in frames {
                bytes.advance(self.skip.min(bytes.len()));
                self.skip = 0;
                bytes.truncate(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                self.remaining -= bytes.len() as u64;
                if !bytes.is_empty() {
                    self.ready.push_back(bytes);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some((rest, _)) = &mut self.rest {
                let next = ready!(rest.poll_next(cx));
                return Poll::Ready(match next {
                    Some(next) => {
                        if let Some(Ok(bytes)) = &next {
                            self.frames.source().count(Flow::Origin, bytes);
                        }
                        next
                    }
                    None => self.rest.take().map(|(_, error)| Err(BodyError::Storage(error))),
                });
            }
            match ready!(self.poll_fill(cx)) {
                Ok(()) => {
                    let next = self.ready.pop_front();
                    if let Some(bytes) = &next {
                        self.frames.source().count(Flow::Store, bytes);
                    }
                    if self.remaining > 0 {
                        self.frames.go_ahead();
                    }
                    return Poll::Ready(next.map(Ok));
                }
                Err(error) => {
                    let left = std::mem::take(&mut self.remaining);
                    let Some(resume) = self.resume.take() else {
                        return Poll::Ready(Some(Err(BodyError::Storage(error))));
                    };
                    self.rest = Some((resume(self.end.saturating_sub(left)..self.end), error));
                }
            }
        }
    }

    fn len(&self) -> u64 {
        let rest = self.rest.as_ref().map_or(0, |(rest, _)| rest.left());
        rest + self.remaining + self.ready.iter().map(|bytes| bytes.len() as u64).sum::<u64>()
    }
}

impl Piped {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                let Some(mut bytes) = read.map_err(BodyError::Storage)?.pop() else {
                    return Poll::Ready(Some(Err(BodyError::Storage(too_short()))));
                };
                bytes.advance(self.skip.min(bytes.len()));
                if bytes.is_empty() {
                    return Poll::Ready(Some(Err(BodyError::Storage(too_short()))));
                }
                self.pipe.took(bytes.len() as u64);
                return self.took(bytes);
            }
            match ready!(self.pipe.poll_next(cx)) {
                Next::Bytes(bytes) => return self.took(bytes),
                Next::Stored(offset) => {
                    let size = FRAME_SIZE as u64;
                    let frame = u32::try_from(offset / size).unwrap_or(u32::MAX);
                    self.skip = usize::try_from(offset % size).unwrap_or(0);
                    self.reading = Some(self.source.read(frame..frame.saturating_add(1)));
                }
                Next::End => return Poll::Ready(None),
                Next::Failed(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn took(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.taken += bytes.len() as u64;
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.pipe.close();
    }
}

fn too_short() -> StorageError {
    StorageError::new(ErrorKind::Corrupt, "read")
        .with_message("the stored body is shorter than its entry says")
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match &mut self.0 {
            Kind::Bytes(bytes) if bytes.is_empty() => None,
            Kind::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            Kind::Stored(stored) => ready!(stored.poll_next(cx)),
            Kind::Piped(piped) => ready!(piped.poll_next(cx)),
        };
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::Stored(stored) => stored.len() == 0,
            Kind::Piped(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stored(stored) => SizeHint::with_exact(stored.len()),
            Kind::Piped(piped) => match piped.len {
                Some(len) => SizeHint::with_exact(len.saturating_sub(piped.taken)),
                None => SizeHint::default(),
            },
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Bytes(_) => "bytes",
            Kind::Stored(_) => "stored",
            Kind::Piped(_) => "piped",
        };
        f.debug_struct("Body").field("kind", &kind).field("size", &http_body::Body::size_hint(self)).finish()
    }
}
