//! A stored body that cannot be read to its end is continued from the origin, where a strong validator shows that
//! the origin still has the same.

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use cache_api::Head;
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sync_wrapper::{SyncFuture, SyncStream};

use crate::{
    engine::Inner,
    error::BodyError,
    network::{Network, Request},
    sets::Sets,
    stats::Purpose,
};

/// Asks the origin for some bytes of a body; made with the answer, used only if the store fails.
pub(crate) type Resume = Box<dyn FnOnce(Range<u64>) -> Rest + Send + Sync>;

/// The rest of a body, from the origin.
pub(crate) struct Rest {
    source: Source,
    /// The bytes to be passed over: the origin sent the whole.
    skip: u64,
    left: u64,
}

enum Source {
    Asking(SyncFuture<BoxFuture<'static, Option<(u64, Bytestream)>>>),
    Streaming(SyncStream<Bytestream>),
}

type Bytestream = BoxStream<'static, Result<Bytes, BodyError>>;

impl<N: Network> Inner<N> {
    /// How the body under `head` can be continued; `None` without a strong validator. Its bytes are those of a
    /// complete body.
    pub(crate) fn resume(
        self: &Arc<Self>,
        sets: &Sets,
        request: &Request<N::Body>,
        head: &Head,
    ) -> Option<Resume> {
        let etag = head.headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""))?;
        let known = matches!(head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
        if request.method != Method::GET || !known || sets.of(request).offline {
            return None;
        }
        let (inner, etag, mut request) = (Arc::clone(self), etag.clone(), request.clone_head());
        Some(Box::new(move |range| {
            for name in [
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                header::IF_MODIFIED_SINCE,
                header::IF_UNMODIFIED_SINCE,
            ] {
                request.headers.remove(name);
            }
            let left = range.end.saturating_sub(range.start);
            let asking = async move {
                let last = range.end.saturating_sub(1);
                let bytes = HeaderValue::try_from(format!("bytes={}-{last}", range.start)).ok()?;
                request.headers.insert(header::RANGE, bytes);
                request.headers.insert(header::IF_RANGE, etag.clone());
                let response = inner.ask(Purpose::Resume, request).await.ok()?;
                let head = N::head(&response);
                let skip = skipped(head.status, head.headers, &etag, &range)?;
                let stream =
                    N::into_parts(response).1.map(|next| next.map_err(|e| BodyError::Network(Arc::new(e))));
                Some((skip, stream.boxed()))
            };
            Rest { source: Source::Asking(SyncFuture::new(asking.boxed())), skip: 0, left }
        }))
    }
}

/// How many bytes of an answer lie before those asked for; `None` where it is an answer to something else.
fn skipped(status: StatusCode, headers: &HeaderMap, etag: &HeaderValue, range: &Range<u64>) -> Option<u64> {
    if headers.get(header::ETAG) != Some(etag) {
        return None;
    }
    match status {
        StatusCode::OK => Some(range.start),
        StatusCode::PARTIAL_CONTENT => {
            let part = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
            let wanted = format!("bytes {}-{}/", range.start, range.end.saturating_sub(1));
            part.starts_with(&wanted).then_some(0)
        }
        _ => None,
    }
}

impl Rest {
    /// The next bytes; `None` in the outer option where the origin does not have the same body any more.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Option<Result<Bytes, BodyError>>>> {
        if let Source::Asking(asking) = &mut self.source {
            let Some((skip, stream)) = ready!(Pin::new(asking).poll(cx)) else { return Poll::Ready(None) };
            self.skip = skip;
            self.source = Source::Streaming(SyncStream::new(stream));
        }
        let Source::Streaming(stream) = &mut self.source else { return Poll::Ready(None) };
        while self.left > 0 {
            let Some(next) = ready!(Pin::new(&mut *stream).poll_next(cx)) else {
                let error = BodyError::Length { expected: self.left, received: 0 };
                self.left = 0;
                return Poll::Ready(Some(Some(Err(error))));
            };
            let mut bytes = match next {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.left = 0;
                    return Poll::Ready(Some(Some(Err(error))));
                }
            };
            let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            bytes.advance(skip);
            self.skip -= skip as u64;
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= bytes.len() as u64;
            if !bytes.is_empty() {
                return Poll::Ready(Some(Some(Ok(bytes))));
            }
        }
        Poll::Ready(Some(None))
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}
