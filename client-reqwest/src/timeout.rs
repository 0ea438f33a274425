//! Timeouts that bound one caller: the wait for the head, and each read of the body.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use reqwest::Body;
use tokio::time::{Sleep, sleep};

use crate::error::{BoxError, Error, timed_out};

/// What is left of a caller's patience. Started when the request is sent, spent on redirects and the body too.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    total: Option<Pin<Box<Sleep>>>,
    read: Option<Duration>,
}

impl Patience {
    pub(crate) fn start(total: Option<Duration>, read: Option<Duration>) -> Self {
        Self { total: total.map(|total| Box::pin(sleep(total))), read }
    }

    pub(crate) fn is_endless(&self) -> bool {
        self.total.is_none() && self.read.is_none()
    }

    /// Runs `future` for as long as there is patience; past it, nobody polls it again. Pinned by the caller, it is
    /// held once and not moved.
    pub(crate) async fn bound<F, T>(&mut self, mut future: Pin<&mut F>) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if self.is_endless() {
            return future.await;
        }
        let mut read = self.read.map(|read| Box::pin(sleep(read)));
        poll_fn(|cx| {
            for timer in [self.total.as_mut(), read.as_mut()].into_iter().flatten() {
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(Error::timed_out()));
                }
            }
            future.as_mut().poll(cx)
        })
        .await
    }

    /// The body, bounded by what is left.
    pub(crate) fn body(self, body: Body) -> Body {
        if self.is_endless() {
            return body;
        }
        Body::wrap(TimedBody { inner: body, total: self.total, read: self.read, reading: None })
    }
}

pin_project! {
    /// A body that ends with a timeout error when the caller's patience does.
    struct TimedBody {
        #[pin]
        inner: Body,
        total: Option<Pin<Box<Sleep>>>,
        read: Option<Duration>,
        // Counts from the first poll after a frame, not while the caller is busy with the last one.
        reading: Option<Pin<Box<Sleep>>>,
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Some(total) = this.total
            && total.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(timed_out().into())));
        }
        match this.inner.poll_frame(cx) {
            Poll::Ready(frame) => {
                // The next read has its own wait, which begins when it is asked for.
                *this.reading = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let Some(read) = *this.read else { return Poll::Pending };
                let reading = this.reading.get_or_insert_with(|| Box::pin(sleep(read)));
                ready!(reading.as_mut().poll(cx));
                Poll::Ready(Some(Err(timed_out().into())))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
