//! What answers the hops of a client: the cache over the wire, or the wire alone.

use cache_engine::{Answer, Answered, CacheInfo, Engine, Network, Request, Source, WireBody, WireHead};
use futures_util::TryStreamExt;
use http::{Extensions, HeaderMap};
use http_body_util::BodyDataStream;
use reqwest::Body;

use crate::error::Error;
use crate::hop::{Hop, HopRequest};
use crate::payload::HopBody;
use crate::response::HopResponse;

/// A client's cache, with its wire.
#[derive(Debug)]
pub(crate) enum Cache {
    /// Nothing is cached, and nothing told of it.
    Disabled(Engine<Origin>),
    /// The cache over the wire, and its name in `Cache-Status`.
    Enabled(Engine<Origin>, Option<Box<str>>),
}

/// The wire as the cache's network.
#[derive(Debug)]
pub(crate) struct Origin(pub(crate) reqwest::Client);

impl Cache {
    pub(crate) fn wire(&self) -> &reqwest::Client {
        &self.engine().network().0
    }

    pub(crate) fn engine(&self) -> &Engine<Origin> {
        match self {
            Self::Disabled(engine) | Self::Enabled(engine, _) => engine,
        }
    }
}

impl Hop for Cache {
    async fn send(&self, request: &mut HopRequest) -> Result<HopResponse, Error> {
        let answered = self.engine().handle_in_place(request).await.map_err(Error::of_engine)?;
        Ok(match (self, answered) {
            (Self::Disabled(_), Answered { answer: Answer::Wire(response), .. }) => {
                HopResponse::Wire(response)
            }
            (Self::Disabled(_), answered) => deliver(answered, None),
            (Self::Enabled(_, name), answered) => deliver(answered, name.as_deref()),
        })
    }
}

/// A request as the wire takes it.
pub(crate) fn on_wire(request: HopRequest) -> reqwest::Request {
    let mut wire = reqwest::Request::new(request.method, request.url);
    *wire.version_mut() = request.version;
    *wire.headers_mut() = request.headers;
    *wire.body_mut() = request.body.map(Into::into);
    wire
}

/// An answer of the cache, which says so in the fields and extensions of the response.
pub(crate) fn deliver(answered: Answered<reqwest::Response>, name: Option<&str>) -> HopResponse {
    let Answered { answer, info, .. } = answered;
    match answer {
        Answer::Wire(mut response) => {
            append_status(name, &info, response.headers_mut());
            response.extensions_mut().insert(info);
            HopResponse::Wire(response)
        }
        Answer::Cached(response) => {
            let mut response = response.map(|body| match body.try_into_bytes() {
                Ok(bytes) => Body::from(bytes),
                Err(body) => Body::wrap(body),
            });
            let stored = info.source != Source::Origin;
            append_status(name, &info, response.headers_mut());
            HopResponse::Cached { response, info: Some(info), stored }
        }
    }
}

fn append_status(name: Option<&str>, info: &CacheInfo, headers: &mut HeaderMap) {
    if let Some(name) = name {
        info.append_cache_status(name, headers);
    }
}

impl Network for Origin {
    type Body = HopBody;
    type Response = reqwest::Response;
    type Error = Error;

    async fn send(&self, request: Request<HopBody>) -> Result<reqwest::Response, Error> {
        Ok(self.0.execute(on_wire(request)).await?)
    }

    fn body_bytes(body: &HopBody) -> Option<&[u8]> {
        match body {
            HopBody::Bytes(bytes) => Some(bytes),
            HopBody::Stream(_) => None,
        }
    }

    fn clone_body(body: &HopBody) -> Option<HopBody> {
        match body {
            HopBody::Bytes(bytes) => Some(HopBody::Bytes(bytes.clone())),
            HopBody::Stream(_) => None,
        }
    }

    fn head(response: &reqwest::Response) -> WireHead<'_> {
        WireHead { status: response.status(), version: response.version(), headers: response.headers() }
    }

    fn into_parts(response: reqwest::Response) -> (Extensions, WireBody<Error>) {
        let (parts, body) = http::Response::<Body>::from(response).into_parts();
        (parts.extensions, Box::pin(BodyDataStream::new(body).map_err(Error::from)))
    }
}
