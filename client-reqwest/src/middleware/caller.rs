//! The stack below a middleware, which only a caller can reach and only while it waits, as the cache's network.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use cache_engine::{Network, WireBody, WireHead};
use http::Extensions;
use reqwest::{Request, Response, Url};
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Origin, on_wire};
use crate::error::Error;
use crate::follow::without_fragment;
use crate::hop::HopRequest;
use crate::payload::HopBody;

/// The callers, each of whom sends what is asked for its own request.
#[derive(Debug)]
pub(super) struct Callers;

/// The way to a request's caller, among the request's extensions.
#[derive(Clone)]
pub(super) struct Courier(pub(super) mpsc::Sender<Errand>);

/// What a caller is to send.
pub(super) struct Errand {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Response, Error>>,
}

/// What a caller's own errand failed with, so that it is returned as it came.
#[derive(Default)]
pub(super) struct Caller(Option<Failure>);

enum Failure {
    Wire(Arc<reqwest::Error>, Option<Url>),
    Middleware(Arc<reqwest_middleware::Error>),
}

/// Why there is no answer: nobody is there to ask.
#[derive(Debug)]
struct Abandoned;

impl Network for Callers {
    type Body = HopBody;
    type Response = Response;
    type Error = Error;

    const SENDS_ALONE: bool = false;

    async fn send(&self, mut request: HopRequest) -> Result<Response, Error> {
        let abandoned = || Error::shared(Arc::new(Abandoned), None);
        let Some(Courier(courier)) = request.extensions.remove() else { return Err(abandoned()) };
        let (reply, answer) = oneshot::channel();
        let errand = Errand { request: on_wire(request), reply };
        courier.send(errand).await.map_err(|_| abandoned())?;
        answer.await.unwrap_or_else(|_| Err(abandoned()))
    }

    fn body_bytes(body: &HopBody) -> Option<&[u8]> {
        Origin::body_bytes(body)
    }

    fn clone_body(body: &HopBody) -> Option<HopBody> {
        Origin::clone_body(body)
    }

    fn head(response: &Response) -> WireHead<'_> {
        Origin::head(response)
    }

    fn into_parts(response: Response) -> (Extensions, WireBody<Error>) {
        Origin::into_parts(response)
    }

    fn is_abandoned(error: &Error) -> bool {
        error.source().is_some_and(<dyn StdError>::is::<Abandoned>)
    }

    fn is_redirected(response: &Response, asked: &Url) -> bool {
        let mut answered = response.url().clone();
        without_fragment(&mut answered);
        answered != *asked
    }
}

impl Caller {
    /// The error for all who wait for the same.
    pub(super) fn share(&mut self, error: reqwest_middleware::Error) -> Error {
        match error {
            reqwest_middleware::Error::Reqwest(error) => {
                // reqwest's message would show the query; ours shows the URL, redacted.
                let url = error.url().cloned();
                let wire = Arc::new(error.without_url());
                self.0 = Some(Failure::Wire(Arc::clone(&wire), url.clone()));
                Error::shared(wire, url)
            }
            error @ reqwest_middleware::Error::Middleware(_) => {
                let below = Arc::new(error);
                self.0 = Some(Failure::Middleware(Arc::clone(&below)));
                Error::shared(below, None)
            }
        }
    }

    /// The error for this caller: its own as it came, unless others hold it still.
    pub(super) fn error(self, error: Error) -> reqwest_middleware::Error {
        let shared = reqwest_middleware::Error::middleware::<Error>;
        match self.0 {
            // A caller whose errand failed has no other error than that, and this one holds it, too.
            Some(Failure::Wire(own, url)) => {
                drop(error);
                match (Arc::try_unwrap(own), url) {
                    (Ok(own), Some(url)) => own.with_url(url).into(),
                    (Ok(own), None) => own.into(),
                    (Err(own), url) => shared(Error::shared(own, url)),
                }
            }
            Some(Failure::Middleware(own)) => {
                drop(error);
                Arc::try_unwrap(own).unwrap_or_else(|own| shared(Error::shared(own, None)))
            }
            None => shared(error),
        }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller went away")
    }
}

impl StdError for Abandoned {}
