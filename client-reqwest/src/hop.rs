//! The one seam between what lies above the cache and what lies below it.

use crate::error::Error;
use crate::payload::HopBody;
use crate::response::HopResponse;

/// One exchange with one origin: what the cache sees, header for header.
///
/// The URL has neither fragment nor credentials. There is no timeout here: a fetch may be shared by callers
/// whose patience differs.
pub(crate) type HopRequest = cache_engine::Request<HopBody>;

/// Answers a hop: the cache over the wire, or the wire alone.
pub(crate) trait Hop: Send + Sync {
    /// Leaves the request as it is but for its body, which is gone if it was sent.
    fn send(&self, request: &mut HopRequest) -> impl Future<Output = Result<HopResponse, Error>> + Send;
}
