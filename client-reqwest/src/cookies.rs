//! Cookies, above the cache: it sees the `Cookie` field that is sent, and the jar sees only what the network says.

use std::fmt;
use std::sync::Arc;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use reqwest::cookie::CookieStore;

use crate::response::HopResponse;

/// The client's jar, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Jar(pub(crate) Option<Arc<dyn CookieStore>>);

impl Jar {
    /// The jar's cookies for a request to `url` that has none of its own.
    pub(crate) fn cookies(&self, headers: &HeaderMap, url: &Url) -> Option<HeaderValue> {
        let jar = self.0.as_ref().filter(|_| !headers.contains_key(COOKIE))?;
        jar.cookies(url)
    }

    /// Puts a response's cookies into the jar, unless the response was stored: its cookies were set once, for
    /// whoever asked then.
    pub(crate) fn take_from(&self, response: &HopResponse, url: &Url) {
        let Some(jar) = &self.0 else { return };
        if response.is_stored() {
            return;
        }
        let mut cookies = response.headers().get_all(SET_COOKIE).iter().peekable();
        if cookies.peek().is_some() {
            jar.set_cookies(&mut cookies, url);
        }
    }
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Jar(..)" } else { "Jar(None)" })
    }
}
