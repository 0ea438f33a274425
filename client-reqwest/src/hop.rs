//! The one seam between what lies above the cache and what lies below it.

use http::{HeaderMap, Method, Version};
use reqwest::Url;

use crate::controls::Controls;
use crate::error::Error;
use crate::payload::HopBody;
use crate::response::HopResponse;

/// One exchange with one origin: what the cache sees, header for header.
///
/// The URL has neither fragment nor credentials. There is no timeout here: a fetch may be shared by callers
/// whose patience differs.
#[derive(Debug)]
#[cfg_attr(not(test), allow(dead_code, reason = "the cache reads what the wire does not"))]
pub(crate) struct HopRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<HopBody>,
    pub(crate) controls: Controls,
    pub(crate) extensions: http::Extensions,
}

/// Answers a hop: the cache over the wire, or the wire alone.
pub(crate) trait Hop: Send + Sync {
    fn send(&self, request: HopRequest) -> impl Future<Output = Result<HopResponse, Error>> + Send;
}

/// The wire alone.
impl Hop for reqwest::Client {
    async fn send(&self, request: HopRequest) -> Result<HopResponse, Error> {
        let mut wire = reqwest::Request::new(request.method, request.url);
        *wire.version_mut() = request.version;
        *wire.headers_mut() = request.headers;
        *wire.body_mut() = request.body.map(Into::into);
        Ok(HopResponse::Wire(self.execute(wire).await?))
    }
}
