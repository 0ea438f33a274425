//! Requests that are sent by blocking.

use cache_engine::Explanation;
use http::header::CONTENT_LENGTH;
use reqwest::Request;

use super::body::Body;
use super::client::CachedClient;
use crate::error::Error;
use crate::request::RequestBuilder;

/// With a client of [`blocking`](crate::blocking).
impl RequestBuilder<CachedClient> {
    /// Sets the body.
    pub fn body<T: Into<Body>>(self, body: T) -> Self {
        let body = body.into();
        self.change(|request| {
            if let Some(len) = body.stream_len() {
                request.headers_mut().insert(CONTENT_LENGTH, len.into());
            }
            *request.body_mut() = Some(body.into());
        })
    }

    /// Sends a `multipart/form-data` body. A form of up to a mebibyte is read into memory at once and sent with its length; a
    /// larger one is read as it is sent, of a length that is not said.
    #[cfg(feature = "multipart")]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn multipart(self, form: reqwest::blocking::multipart::Form) -> Self {
        use std::io::{Cursor, Read};

        const IN_MEMORY: u64 = 1 << 20;

        let content_type = format!("multipart/form-data; boundary={}", form.boundary());
        let mut reader = form.into_reader();
        let mut start = Vec::new();
        match reader.by_ref().take(IN_MEMORY + 1).read_to_end(&mut start) {
            Ok(_) => {
                let is_whole = start.len() as u64 <= IN_MEMORY;
                let body = if is_whole { start.into() } else { Body::new(Cursor::new(start).chain(reader)) };
                self.header(http::header::CONTENT_TYPE, content_type).body(body)
            }
            Err(error) => self.fail(Error::builder(error)),
        }
    }

    /// Sends the request and returns the response, from wherever the cache decides.
    ///
    /// # Errors
    /// Where the request could not be built, sent or answered in time, where following a redirect failed, where what
    /// steers the cache contradicts itself, or where it is called from [async code](crate::blocking#within-an-async-runtime).
    pub fn send(self) -> Result<reqwest::blocking::Response, Error> {
        let (client, request) = self.into_async();
        client.respond(request.send())
    }

    /// Tells what the cache would do with the request as it is now, and why: nothing is sent and nothing is written.
    /// `None` of a client whose cache is disabled. Where redirects would follow, it is about the first hop.
    ///
    /// # Errors
    /// Where the request could not be built, the storage cannot be read, or it is called from async code.
    pub fn explain(self) -> Result<Option<Explanation>, Error> {
        let (client, request) = self.into_async();
        client.block_on(request.explain())?
    }

    /// The same request of the async client beneath.
    fn into_async(self) -> (CachedClient, RequestBuilder) {
        self.with_client(|client| client.beneath().clone())
    }
}

/// What [`CachedClient::execute`] takes: a request of `reqwest`, or of `reqwest::blocking`.
///
/// A body of `reqwest::blocking` that is a reader is read into memory, since that type gives it to nobody else.
pub trait IntoRequest {
    /// The request.
    ///
    /// # Errors
    /// Where reading the body fails.
    fn into_request(self) -> Result<Request, Error>;
}

impl IntoRequest for Request {
    fn into_request(self) -> Result<Request, Error> {
        Ok(self)
    }
}

impl IntoRequest for reqwest::blocking::Request {
    fn into_request(mut self) -> Result<Request, Error> {
        let mut request = Request::new(self.method().clone(), self.url().clone());
        *request.headers_mut() = std::mem::take(self.headers_mut());
        *request.version_mut() = self.version();
        *request.timeout_mut() = self.timeout().copied();
        if let Some(body) = self.body_mut() {
            *request.body_mut() = Some(body.buffer()?.to_vec().into());
        }
        Ok(request)
    }
}
