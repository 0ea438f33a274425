//! What every hit takes beside the store: a request, and a response.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, DATE};
use reqwest::{Request, Response, ResponseBuilderExt, Url};

use crate::Result;
use crate::request::{FIELDS, answered, heap};

/// Builds requests and responses, without a look at any rule of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    client: reqwest::Client,
    url: String,
    headers: HeaderMap,
    pub(crate) body: usize,
}

impl Assembly {
    pub(crate) fn new(url: &str, body: usize) -> Self {
        Self { client: reqwest::Client::new(), url: url.to_owned(), headers: head(body), body }
    }

    /// A URL out of text, and a request with three fields.
    pub(crate) fn request(&self) -> Result<Request> {
        self.request_to(&self.url)
    }

    /// The same for another URL.
    pub(crate) fn request_to(&self, url: &str) -> Result<Request> {
        let [accept, language, agent] = FIELDS;
        let request = self
            .client
            .get(url)
            .header(accept.0, accept.1)
            .header(language.0, language.1)
            .header(agent.0, agent.1);
        Ok(request.build()?)
    }

    /// The twelve fields of a stored answer.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// The twelve fields of an answer, in values of their own.
pub(crate) fn head(body: usize) -> HeaderMap {
    let mut headers = answered();
    for (name, value) in [
        (DATE, "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
        (CONTENT_LENGTH, body.to_string()),
        (CACHE_CONTROL, "public, max-age=3600".to_owned()),
    ] {
        headers.extend(heap(&value).map(|value| (name, value)));
    }
    headers
}

/// A response with a clone of these fields.
pub(crate) fn response(url: Url, headers: &HeaderMap, body: Bytes) -> Result<Response> {
    let mut response = http::Response::builder().url(url).body(body)?;
    *response.headers_mut() = headers.clone();
    Ok(response.into())
}
