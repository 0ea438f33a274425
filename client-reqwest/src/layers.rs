//! What lies between a caller and the cache, from the outside in: timeouts, decompression, default fields,
//! then redirects and cookies for each hop.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, Entry, HeaderMap, HeaderValue};
use reqwest::{Request, Response};

use crate::controls::Steering;
use crate::decode::Decoding;
use crate::error::Error;
use crate::follow::{Follow, Journey};
use crate::hop::{Hop, HopRequest};
use crate::payload::Payload;
use crate::timeout::Patience;

/// The layers of one client.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) headers: HeaderMap,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) follow: Follow,
    pub(crate) timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) decoding: Decoding,
}

impl Layers {
    /// Takes a request through all layers, with `hop` below them.
    pub(crate) async fn send<H: Hop>(
        &self,
        hop: &H,
        request: &mut Request,
        steering: Steering,
        extensions: http::Extensions,
    ) -> Result<Response, Error> {
        let timeout = request.timeout().copied().or(self.timeout);
        let mut patience = Patience::start(timeout, self.read_timeout);
        let asked = if patience.is_endless() { None } else { Some(request.url().clone()) };
        let method = request.method().clone();
        let mut journey = self.journey(request, steering, extensions);

        let response = {
            let travel = pin!(self.follow.run(hop, &mut journey));
            patience.bound(travel).await
        };
        let response = response.map_err(|error| match &asked {
            Some(asked) => error.or_url(asked),
            None => error,
        })?;

        let plan = self.decoding.plan(&method, response.status(), response.headers());
        let untouched = plan.is_empty() && patience.is_endless();
        let change = |parts: &mut http::response::Parts, body| patience.body(plan.decode(parts, body));
        Ok(response.finish(journey.into_url(), (!untouched).then_some(change)))
    }

    /// The request as its first hop would put it to the cache.
    pub(crate) fn first_hop(&self, mut request: Request, steering: Steering) -> HopRequest {
        let journey = self.journey(&mut request, steering, http::Extensions::new());
        self.follow.first_hop(journey)
    }

    fn journey(&self, request: &mut Request, steering: Steering, extensions: http::Extensions) -> Journey {
        let mut asked = HopRequest::new(request.method().clone(), request.url().clone());
        asked.version = request.version();
        asked.headers = std::mem::take(request.headers_mut());
        self.complete(&mut asked.headers);
        asked.extensions = extensions;
        steering.or(Steering { tenant: self.tenant.clone(), ..Steering::default() }).tell(&mut asked);
        Journey::new(asked, Payload::new(request.body_mut().take()))
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
        self.decoding.ask(headers);
    }
}

#[cfg(test)]
mod tests;
