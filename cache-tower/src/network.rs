//! The service below, as the cache's network.

use std::{
    future::poll_fn,
    marker::PhantomData,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use cache_engine::{Network, Request, WireBody, WireHead};
use futures_util::StreamExt;
use http::{Extensions, Response, Uri};
use http_body::Body;
use http_body_util::BodyDataStream;
use sync_wrapper::SyncWrapper;
use tower_service::Service;

use crate::{
    body::whole,
    error::{BoxError, Error},
};

/// The service below. Each fetch has a clone of its own, which is made ready and then called.
pub(crate) struct Below<S, B> {
    service: Mutex<S>,
    body: PhantomData<fn(B)>,
}

/// A request's body on its way to the service.
pub(crate) enum Payload<B> {
    /// In memory: it can be looked at and sent again.
    Bytes(Bytes, fn(Bytes) -> B),
    /// Sent once.
    Stream(SyncWrapper<B>),
}

/// The URI with which a request is sent on, among its extensions until then.
#[derive(Clone)]
pub(crate) struct Target(pub(crate) Uri);

impl<S, B> Below<S, B> {
    pub(crate) fn new(service: S) -> Self {
        Self { service: Mutex::new(service), body: PhantomData }
    }

    /// Calls the service when it is ready for it.
    pub(crate) async fn call<R>(&self, request: http::Request<B>) -> Result<Response<R>, Error>
    where
        S: Service<http::Request<B>, Response = Response<R>> + Clone,
        S::Error: Into<BoxError>,
    {
        // Readiness is that of one clone: the one that was asked is the one that is called.
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Error::service)?;
        service.call(request).await.map_err(Error::service)
    }
}

impl<S, B, R> Network for Below<S, B>
where
    S: Service<http::Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Default + Send + 'static,
    R: Body + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Body = Payload<B>;
    type Response = Response<R>;
    type Error = Error;

    async fn send(&self, request: Request<Payload<B>>) -> Result<Response<R>, Error> {
        let mut sent = http::Request::new(match request.body {
            None => B::default(),
            Some(Payload::Bytes(bytes, body)) => body(bytes),
            Some(Payload::Stream(body)) => body.into_inner(),
        });
        *sent.method_mut() = request.method;
        *sent.version_mut() = request.version;
        *sent.headers_mut() = request.headers;
        let mut extensions = request.extensions;
        if let Some(Target(uri)) = extensions.remove() {
            *sent.uri_mut() = uri;
        }
        *sent.extensions_mut() = extensions;
        self.call(sent).await
    }

    fn body_bytes(body: &Payload<B>) -> Option<&[u8]> {
        match body {
            Payload::Bytes(bytes, _) => Some(bytes),
            Payload::Stream(_) => None,
        }
    }

    fn clone_body(body: &Payload<B>) -> Option<Payload<B>> {
        match body {
            Payload::Bytes(bytes, body) => Some(Payload::Bytes(bytes.clone(), *body)),
            Payload::Stream(_) => None,
        }
    }

    fn head(response: &Response<R>) -> WireHead<'_> {
        WireHead { status: response.status(), version: response.version(), headers: response.headers() }
    }

    fn into_parts(response: Response<R>) -> (Extensions, WireBody<Error>) {
        let (parts, body) = response.into_parts();
        let data = BodyDataStream::new(body).map(|next| next.map(whole).map_err(Error::body));
        (parts.extensions, Box::pin(data))
    }
}
