//! In place of `decode` where the feature `decompression` is off.

use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Body;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Codings(());

#[derive(Debug)]
pub(crate) struct Decoding;

#[derive(Debug, Default)]
pub(crate) struct Plan;

#[expect(clippy::unused_self, reason = "the surface of the layer that decodes")]
impl Decoding {
    pub(crate) fn new(_codings: Codings) -> Self {
        Self
    }

    pub(crate) fn ask(&self, _headers: &mut HeaderMap) {}

    pub(crate) fn plan(&self, _method: &Method, _status: StatusCode, _headers: &HeaderMap) -> Plan {
        Plan
    }
}

#[expect(clippy::unused_self, reason = "the surface of the layer that decodes")]
impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn decode(&self, _parts: &mut Parts, body: Body) -> Body {
        body
    }
}
