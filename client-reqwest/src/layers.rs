//! What lies between a caller and the cache, from the outside in: timeouts, decompression, default fields,
//! then redirects and cookies for each hop.

use std::time::Duration;

use http::header::{ACCEPT, Entry, HeaderMap, HeaderValue};
use reqwest::{Request, Response};

use crate::controls::Controls;
#[cfg(feature = "decompression")]
use crate::decode::{self, Codings};
use crate::error::Error;
use crate::follow::{Follow, Journey};
use crate::hop::Hop;
use crate::payload::Payload;
use crate::timeout::Patience;

/// The layers of one client.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) headers: HeaderMap,
    pub(crate) follow: Follow,
    pub(crate) timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    #[cfg(feature = "decompression")]
    pub(crate) codings: Codings,
    #[cfg(feature = "decompression")]
    pub(crate) accept_encoding: Option<HeaderValue>,
}

impl Layers {
    /// Takes a request through all layers, with `hop` below them.
    pub(crate) async fn send<H: Hop>(
        &self,
        hop: &H,
        mut request: Request,
        controls: Controls,
        extensions: http::Extensions,
    ) -> Result<Response, Error> {
        let timeout = request.timeout().copied().or(self.timeout);
        let mut patience = Patience::start(timeout, self.read_timeout);
        let mut headers = std::mem::take(request.headers_mut());
        self.complete(&mut headers);
        let asked = if patience.is_endless() { None } else { Some(request.url().clone()) };
        let method = request.method().clone();
        let journey = Journey {
            method: method.clone(),
            version: request.version(),
            headers,
            body: Payload::new(request.body_mut().take()),
            controls,
            extensions,
            url: request.url().clone(),
        };

        let travel = self.follow.run(hop, journey);
        let (response, url) = patience.bound(travel).await.map_err(|error| match &asked {
            Some(asked) => error.or_url(asked),
            None => error,
        })?;

        #[cfg(feature = "decompression")]
        let plan = self.codings.plan(&method, response.status(), response.headers());
        #[cfg(not(feature = "decompression"))]
        let plan: [(); 0] = [];
        let untouched = plan.is_empty() && patience.is_endless();
        let change = |parts: &mut http::response::Parts, mut body: reqwest::Body| {
            #[cfg(feature = "decompression")]
            if !plan.is_empty() {
                decode::strip(parts);
                body = decode::decoded(body, &plan);
            }
            body = patience.body(body);
            body
        };
        Ok(response.finish(url, (!untouched).then_some(change)))
    }

    /// Adds what the caller left unsaid, so that the cache judges what the origin will see.
    fn complete(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            if let Entry::Vacant(vacant) = headers.entry(name) {
                vacant.insert(value.clone());
            }
        }
        if !headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        #[cfg(feature = "decompression")]
        if let Some(accept) = &self.accept_encoding {
            decode::ask(headers, accept);
        }
    }
}

#[cfg(test)]
mod tests;
