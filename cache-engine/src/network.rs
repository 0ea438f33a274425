use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use cache_api::Secrets;
use futures_util::Stream;
use http::{Extensions, HeaderMap, Method, StatusCode, Version};
use url::Url;

use crate::policy::Controls;

/// A request on its way to the cache, and from there to the network.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request<B> {
    /// The method.
    pub method: Method,
    /// The target URI; a fragment does not count.
    pub url: Url,
    /// The protocol version asked for.
    pub version: Version,
    /// The header fields, all that the origin will see.
    pub headers: HeaderMap,
    /// What the network wants to know beside; the cache passes it on.
    pub extensions: Extensions,
    /// The body, if there is one.
    pub body: Option<B>,
    /// What the caller asks of the cache.
    pub controls: Controls,
    /// The tenant on whose behalf the request is made: nothing is shared with another.
    pub tenant: Option<Arc<str>>,
    /// Tags under which the answer is stored, beside those that it names itself.
    pub tags: Vec<Arc<str>>,
    /// A key of the request's own, in place of that which its URL, its body and the key function make. Requests with one key
    /// are one resource, as far as `Vary` and the policy allow: what differs in their answers has to be in it. Tenants, and in
    /// a private cache `Authorization` and `Cookie`, keep resources apart all the same. An unsafe request to the URL removes
    /// nothing that is stored under it.
    pub key: Option<Arc<str>>,
    /// The number of the rule that the URL matches.
    pub(crate) rule: Option<usize>,
    /// What of it must leave no trace in the store; known from when it is sent.
    pub(crate) secrets: Option<Arc<Secrets>>,
}

impl<B> Request<B> {
    /// A request without fields and without a body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            body: None,
            controls: Controls::new(),
            tenant: None,
            tags: Vec::new(),
            key: None,
            rule: None,
            secrets: None,
        }
    }

    /// The same with these fields.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: B) -> Self {
        self.body = Some(body);
        self
    }

    /// The same with these controls.
    #[must_use]
    pub fn with_controls(mut self, controls: Controls) -> Self {
        self.controls = controls;
        self
    }
}

/// What lies below the cache: it sends a request as it is, follows no redirect and decodes nothing.
pub trait Network: Send + Sync + 'static {
    /// A request's body.
    type Body: Send + Sync + 'static;
    /// The response in the network's own form, which the caller gets wherever the cache has no part in it.
    type Response: Send + 'static;
    /// Why there is no response.
    type Error: StdError + Send + Sync + 'static;

    /// Whether a request can be sent for which no caller waits any more. Without, nothing is refreshed in the background.
    const SENDS_ALONE: bool = true;

    /// Sends a request.
    fn send(
        &self,
        request: Request<Self::Body>,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;

    /// The body's bytes, where they are in memory.
    fn body_bytes(body: &Self::Body) -> Option<&[u8]>;

    /// A second copy of a body; `None` for a stream.
    fn clone_body(body: &Self::Body) -> Option<Self::Body>;

    /// A response's head.
    fn head(response: &Self::Response) -> WireHead<'_>;

    /// Takes a response apart.
    fn into_parts(response: Self::Response) -> (Extensions, WireBody<Self::Error>);

    /// Whether it was the caller who went away, and not the origin that failed: those who wait for the same fetch it
    /// themselves. Only where a request does not [outlive its caller](Self::SENDS_ALONE).
    fn is_abandoned(_error: &Self::Error) -> bool {
        false
    }

    /// Whether something below followed a redirect that the cache did not see: the response is another URL's than the
    /// one that was asked for, and is passed on without being stored.
    fn is_redirected(_response: &Self::Response, _asked: &Url) -> bool {
        false
    }
}

/// A response's head, as received.
#[derive(Clone, Copy, Debug)]
pub struct WireHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The protocol version.
    pub version: Version,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

/// The bytes of a response's body as they arrive. Its end is the end of a message that was received whole.
pub type WireBody<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;
