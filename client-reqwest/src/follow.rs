//! The redirect loop: each hop goes through the cache on its own.

use std::str;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE,
    COOKIE, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, REFERER, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;

use crate::cookies::Jar;
use crate::error::Error;
use crate::hop::{Hop, HopRequest};
use crate::payload::Payload;
use crate::redirect::{Action, Attempt, Policy};
use crate::response::HopResponse;

/// Dropped where a redirect leaves the origin it was meant for.
const SENSITIVE: [HeaderName; 5] =
    [AUTHORIZATION, COOKIE, HeaderName::from_static("cookie2"), PROXY_AUTHORIZATION, WWW_AUTHENTICATE];

/// Dropped with the content they describe.
const OF_CONTENT: [HeaderName; 6] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, TRANSFER_ENCODING];

/// How redirects are followed, and what each hop carries besides the request.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) policy: Policy,
    pub(crate) referer: bool,
    pub(crate) https_only: bool,
    pub(crate) jar: Jar,
}

/// A request on its way from hop to hop. What a redirect takes from it is gone for all later hops.
#[derive(Debug)]
pub(crate) struct Journey {
    /// The request as the next hop gets it, but for what that hop alone has.
    request: HopRequest,
    fragment: Option<String>,
    body: Payload,
}

impl Follow {
    /// Sends the request along its redirects and returns the last response. The journey has got to where it came from.
    pub(crate) async fn run<H: Hop>(&self, hop: &H, journey: &mut Journey) -> Result<HopResponse, Error> {
        self.check_scheme(&journey.request.url).map_err(|error| error.with_url(journey.url()))?;
        let mut previous = Vec::new();
        loop {
            let plain = self.prepare(journey, previous.last());
            let response =
                hop.send(&mut journey.request).await.map_err(|error| error.or_url(&journey.url()))?;
            if let Some(plain) = plain {
                journey.request.headers = plain;
            }
            self.jar.take_from(&response, &journey.request.url);
            let Some(next) = self.next(&response, journey, &mut previous)? else {
                return Ok(response);
            };
            journey.leave_for(next);
        }
    }

    pub(crate) fn first_hop(&self, mut journey: Journey) -> HopRequest {
        self.prepare(&mut journey, None);
        journey.request
    }

    /// Gives the request its body, and what one hop alone has: where it was referred from, and the jar's cookies. Returns
    /// the fields without these, where there are any.
    fn prepare(&self, journey: &mut Journey, previous: Option<&Url>) -> Option<HeaderMap> {
        let Journey { request, body, .. } = journey;
        request.body = body.take();
        let referer = previous.filter(|_| self.referer).and_then(|previous| referer(&request.url, previous));
        let cookies = self.jar.cookies(&request.headers, &request.url);
        if referer.is_none() && cookies.is_none() {
            return None;
        }
        let plain = request.headers.clone();
        for (name, value) in [(REFERER, referer), (COOKIE, cookies)] {
            if let Some(value) = value {
                request.headers.insert(name, value);
            }
        }
        Some(plain)
    }

    /// Where to go next, if anywhere. Changes method and body as the status demands (RFC 9110 §15.4).
    fn next(
        &self,
        response: &HopResponse,
        journey: &mut Journey,
        previous: &mut Vec<Url>,
    ) -> Result<Option<Url>, Error> {
        let status = response.status();
        if !is_redirect(status) || self.policy.is_none() {
            return Ok(None);
        }
        let location = response.headers().get(LOCATION);
        let Some(next) = location.and_then(|location| resolve(location, &journey.url())) else {
            return Ok(None);
        };
        let drops_body = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => journey.request.method == Method::POST,
            StatusCode::SEE_OTHER => true,
            _ => false,
        };
        if journey.body.is_spent() && !drops_body {
            return Ok(None);
        }

        previous.push(journey.url());
        match self.policy.redirect(Attempt { status, next: &next, previous }) {
            Action::Follow => self.check_redirect(&next)?,
            Action::Stop => return Ok(None),
            Action::Error(error) => return Err(Error::redirect(error, journey.url())),
        }
        if drops_body {
            if journey.request.method != Method::HEAD {
                journey.request.method = Method::GET;
            }
            journey.body = Payload::Empty;
            for name in OF_CONTENT {
                journey.request.headers.remove(name);
            }
        }
        Ok(Some(next))
    }

    fn check_scheme(&self, url: &Url) -> Result<(), Error> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if !self.https_only => Ok(()),
            _ => Err(Error::bad_scheme(url.clone())),
        }
    }

    fn check_redirect(&self, next: &Url) -> Result<(), Error> {
        self.check_scheme(next).map_err(|error| {
            // As in reqwest: a downgrade is a redirect that failed, another scheme one that cannot be built.
            if next.scheme() == "http" { Error::redirect(error, next.clone()) } else { error }
        })
    }
}

impl Journey {
    pub(crate) fn new(mut request: HopRequest, body: Payload) -> Self {
        let fragment = without_fragment(&mut request.url);
        Self { request, fragment, body }
    }

    /// Where it is, as the caller would write it.
    fn url(&self) -> Url {
        let mut url = self.request.url.clone();
        url.set_fragment(self.fragment.as_deref());
        url
    }

    pub(crate) fn into_url(self) -> Url {
        let Self { request, fragment, .. } = self;
        let mut url = request.url;
        if fragment.is_some() {
            url.set_fragment(fragment.as_deref());
        }
        url
    }

    fn leave_for(&mut self, mut next: Url) {
        if !same_origin(&self.request.url, &next) {
            for name in SENSITIVE {
                self.request.headers.remove(name);
            }
        }
        self.fragment = without_fragment(&mut next);
        self.request.url = next;
        // A key is one resource's: where a redirect leads is another.
        self.request.key = None;
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
        && a.scheme() == b.scheme()
}

/// Resolves a `Location`; a fragment it lacks is inherited (RFC 9110 §10.2.2). Credentials that a server puts
/// there are dropped, as reqwest does not send them either.
fn resolve(location: &HeaderValue, base: &Url) -> Option<Url> {
    let mut next = base.join(str::from_utf8(location.as_bytes()).ok()?).ok()?;
    if next.fragment().is_none() {
        next.set_fragment(base.fragment());
    }
    // Neither fails on a URL with a host, and one without is refused later.
    let _ = next.set_username("");
    let _ = next.set_password(None);
    Some(next)
}

/// The `Referer` of a redirected request: none from https to http.
fn referer(next: &Url, previous: &Url) -> Option<HeaderValue> {
    if next.scheme() == "http" && previous.scheme() == "https" {
        return None;
    }
    let mut previous = previous.clone();
    previous.set_fragment(None);
    previous.as_str().parse().ok()
}

/// Takes the fragment from a URL.
pub(crate) fn without_fragment(url: &mut Url) -> Option<String> {
    let fragment = url.fragment()?.to_owned();
    url.set_fragment(None);
    Some(fragment)
}
