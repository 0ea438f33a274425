use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::error::{BoxError, Error};

pin_project! {
    /// The body of an answer: the service's own where the cache has no part in it, else bytes out of the store, or the
    /// service's as they arrive and are stored.
    ///
    /// The service's own keeps its trailers. Those of a body that is stored are not kept (RFC 9111 §3.1).
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<R> {
        Service { #[pin] body: R },
        Cached { #[pin] body: cache_engine::Body },
    }
}

impl<R> ResponseBody<R> {
    pub(crate) fn service(body: R) -> Self {
        Self { kind: Kind::Service { body } }
    }

    pub(crate) fn cached(body: cache_engine::Body) -> Self {
        Self { kind: Kind::Cached { body } }
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.project().kind.project() {
            Projected::Service { body } => body
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map(|frame| frame.map_data(whole)).map_err(Error::body))),
            Projected::Cached { body } => {
                body.poll_frame(cx).map(|next| next.map(|frame| frame.map_err(Error::of_body)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Service { body } => body.is_end_stream(),
            Kind::Cached { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Service { body } => body.size_hint(),
            Kind::Cached { body } => body.size_hint(),
        }
    }
}

/// The bytes in one piece; those that are in one already are not copied.
pub(crate) fn whole(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}
