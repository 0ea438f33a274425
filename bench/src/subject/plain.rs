//! reqwest without a cache.

use crate::Result;

/// A client that asks the origin each time.
pub(crate) fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
