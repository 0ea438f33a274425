use std::time::SystemTime;

use http::{HeaderMap, HeaderName, Method, StatusCode, Version};

use crate::Terms;

/// What is kept of a response beside its body, and of the request that brought it.
///
/// The header fields are those received, less the hop-by-hop ones; their order within a name, their bytes
/// and their multiplicity survive storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The method of the request that was answered.
    pub method: Method,
    /// The target URI, without fragment and without credentials.
    pub url: Box<str>,
    /// The status of the response.
    pub status: StatusCode,
    /// The protocol version of the response.
    pub version: Version,
    /// The header fields of the response.
    pub headers: HeaderMap,
    /// The request fields on which the selection of this variant depends (RFC 9111 §4.1).
    pub selectors: Vec<Selector>,
    /// When the request that brought (or last freshened) the response was sent.
    pub requested_at: SystemTime,
    /// When that response's head arrived.
    pub responded_at: SystemTime,
    /// What a setting said of it in place of its header fields; `None` where none did.
    pub terms: Option<Terms>,
}

impl Head {
    /// A head without selectors.
    #[must_use]
    pub fn new(
        method: Method,
        url: impl Into<Box<str>>,
        status: StatusCode,
        headers: HeaderMap,
        requested_at: SystemTime,
        responded_at: SystemTime,
    ) -> Self {
        Self {
            method,
            url: url.into(),
            status,
            version: Version::HTTP_11,
            headers,
            selectors: Vec::new(),
            requested_at,
            responded_at,
            terms: None,
        }
    }
}

/// One request field named by `Vary`, and a digest of the value it had.
///
/// The value itself is not kept: a stored `Cookie` or `Authorization` would be a secret in a shared store,
/// and selection only asks whether two values are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The request field's name.
    pub name: HeaderName,
    /// The digest of its normalised value; `None` where the request had no such field.
    pub value: Option<SelectorDigest>,
}

/// The digest of one selecting field's normalised value, salted with the resource's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SelectorDigest(pub [u8; 16]);
