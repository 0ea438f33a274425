//! Cookies, above the cache: it sees the `Cookie` field that is sent, and the jar sees only what the network says.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use reqwest::Url;
use reqwest::cookie::CookieStore;

use crate::response::HopResponse;

/// The client's jar.
pub(crate) type Jar = Arc<dyn CookieStore>;

/// Puts the jar's cookies for `url` on a request that has none of its own.
pub(crate) fn put_on(headers: &mut HeaderMap, jar: &dyn CookieStore, url: &Url) {
    if !headers.contains_key(COOKIE)
        && let Some(cookies) = jar.cookies(url)
    {
        headers.insert(COOKIE, cookies);
    }
}

/// Puts a response's cookies into the jar, unless the response was stored: its cookies were set once, for
/// whoever asked then.
pub(crate) fn take_from(response: &HopResponse, jar: &dyn CookieStore, url: &Url) {
    if response.is_stored() {
        return;
    }
    let mut cookies = response.headers().get_all(SET_COOKIE).iter().peekable();
    if cookies.peek().is_some() {
        jar.set_cookies(&mut cookies, url);
    }
}
