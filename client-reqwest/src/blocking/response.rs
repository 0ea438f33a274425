//! Responses whose bodies are read without a runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::Body;

use super::runtime::Driver;
use crate::response::assemble;

/// The caller's response. What its body needs of the runtime it has for as long as it lives.
pub(super) fn blocking(response: reqwest::Response, driver: Arc<Driver>) -> reqwest::blocking::Response {
    let url = response.url().clone();
    let (parts, body) = http::Response::<Body>::from(response).into_parts();
    assemble(parts, Body::wrap(Driven { body: Some(body), driver }), url).into()
}

/// A body that `reqwest` polls on the caller's thread, where its timers and tasks would find no runtime.
struct Driven {
    body: Option<Body>,
    driver: Arc<Driver>,
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let this = self.get_mut();
        let _entered = this.driver.enter();
        match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // A body that was not read to its end may leave the rest to a task.
        let _entered = self.driver.enter();
        self.body = None;
    }
}
