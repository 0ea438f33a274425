//! The redirect loop: each hop goes through the cache on its own.

use std::str;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE,
    COOKIE, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, REFERER, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::{Extensions, HeaderMap, Method, StatusCode, Version};
use reqwest::Url;

use crate::controls::Steering;
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
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) steering: Steering,
    pub(crate) extensions: Extensions,
}

impl Follow {
    /// Sends the request along its redirects and returns the last response with the URL it came from.
    pub(crate) async fn run<H: Hop>(
        &self,
        hop: &H,
        mut journey: Journey,
    ) -> Result<(HopResponse, Url), Error> {
        self.check_scheme(&journey.url)?;
        let mut previous = Vec::new();
        loop {
            let url = without_fragment(&journey.url);
            let request = self.request(&mut journey, url, previous.last());
            let response = hop.send(request).await.map_err(|error| error.or_url(&journey.url))?;
            self.jar.take_from(&response, &journey.url);
            let Some(next) = self.next(&response, &mut journey, &mut previous)? else {
                return Ok((response, journey.url));
            };
            journey.leave_for(next);
        }
    }

    pub(crate) fn first_hop(&self, mut journey: Journey) -> HopRequest {
        let url = without_fragment(&journey.url);
        self.request(&mut journey, url, None)
    }

    fn request(&self, journey: &mut Journey, url: Url, previous: Option<&Url>) -> HopRequest {
        let last = self.policy.is_none();
        let mut headers = if last { std::mem::take(&mut journey.headers) } else { journey.headers.clone() };
        if self.referer
            && let Some(referer) = previous.and_then(|previous| referer(&url, previous))
        {
            headers.insert(REFERER, referer);
        }
        self.jar.put_on(&mut headers, &url);
        let mut request = HopRequest::new(journey.method.clone(), url).with_headers(headers);
        request.version = journey.version;
        request.body = journey.body.take();
        journey.steering.tell(&mut request);
        // A key is one resource's: where a redirect leads is another.
        if previous.is_some() {
            request.key = None;
        }
        request.extensions = journey.extensions.clone();
        request
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
        let Some(next) = location.and_then(|location| resolve(location, &journey.url)) else {
            return Ok(None);
        };
        let drops_body = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => journey.method == Method::POST,
            StatusCode::SEE_OTHER => true,
            _ => false,
        };
        if journey.body.is_spent() && !drops_body {
            return Ok(None);
        }

        previous.push(journey.url.clone());
        match self.policy.redirect(Attempt { status, next: &next, previous }) {
            Action::Follow => self.check_redirect(&next)?,
            Action::Stop => return Ok(None),
            Action::Error(error) => return Err(Error::redirect(error, journey.url.clone())),
        }
        if drops_body {
            if journey.method != Method::HEAD {
                journey.method = Method::GET;
            }
            journey.body = Payload::Empty;
            for name in OF_CONTENT {
                journey.headers.remove(name);
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
    fn leave_for(&mut self, next: Url) {
        if !same_origin(&self.url, &next) {
            for name in SENSITIVE {
                self.headers.remove(name);
            }
        }
        self.url = next;
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
    without_fragment(previous).as_str().parse().ok()
}

pub(crate) fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    if url.fragment().is_some() {
        url.set_fragment(None);
    }
    url
}
