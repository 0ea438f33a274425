//! In place of `cookies` where that feature is off.

use http::{HeaderMap, HeaderValue};
use reqwest::Url;

use crate::response::HopResponse;

#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(());

#[expect(clippy::unused_self, reason = "the surface of the jar that keeps cookies")]
impl Jar {
    pub(crate) fn cookies(&self, _headers: &HeaderMap, _url: &Url) -> Option<HeaderValue> {
        None
    }

    pub(crate) fn take_from(&self, _response: &HopResponse, _url: &Url) {}
}
