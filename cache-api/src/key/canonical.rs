use std::{borrow::Cow, fmt};

use http::{HeaderName, Method};
use url::{Position, Url};

use crate::{CacheKey, Namespace};

/// The canonical form of a key, hashed as it is written.
///
/// Version 1: BLAKE3 over `http-cache/key/1\0` and then, for each part present and in this order, one tag
/// byte, the length as a 32-bit little-endian number, and the bytes.
///
/// | tag | part |
/// |-----|------|
/// | 1 | namespace |
/// | 2 | tenant |
/// | 3 | redaction: a digest of what is left out of URL, fields and body |
/// | 4 | method class: `GET` for GET and HEAD, else the method |
/// | 5 | URL, normalised |
/// | 6, 7 | a header field's name, and each of its values |
/// | 8 | BLAKE3 of the body |
/// | 9 | a name in place of the URL |
///
/// The URL is that of the WHATWG parser (lower-case host, no default port, no dot segments), without
/// fragment, with percent-encodings of unreserved characters decoded and the others in upper case
/// (RFC 3986 §6.2.2); one with a `%` that begins no percent-encoding is taken as it is.
#[derive(Clone)]
pub struct CanonicalKey {
    /// All parts but tenant and redaction, which stand between the namespace and the others.
    text: Vec<u8>,
    /// Where the parts begin that follow these two.
    request_at: usize,
    tenant: Option<String>,
    redaction: Option<[u8; 32]>,
}

impl CanonicalKey {
    /// The key of that method class and URL.
    #[must_use]
    pub fn new(namespace: &Namespace, method: &Method, url: &Url) -> Self {
        Self::begin(namespace, method, 5, &normalized(url))
    }

    /// The key of that method class and a name of the caller's own, in place of a URL. No URL has the same key.
    #[must_use]
    pub fn named(namespace: &Namespace, method: &Method, name: &str) -> Self {
        Self::begin(namespace, method, 9, name)
    }

    fn begin(namespace: &Namespace, method: &Method, tag: u8, resource: &str) -> Self {
        let mut text = Vec::with_capacity(128 + namespace.as_str().len() + resource.len());
        text.extend_from_slice(b"http-cache/key/1\0");
        part(&mut text, 1, namespace.as_str().as_bytes());
        let request_at = text.len();
        let class = if method == Method::HEAD { "GET" } else { method.as_str() };
        part(&mut text, 4, class.as_bytes());
        part(&mut text, tag, resource.as_bytes());
        Self { text, request_at, tenant: None, redaction: None }
    }

    /// Keeps a tenant's resources apart from all others'.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// Keeps keys apart that were made under different rules of what is left out.
    #[must_use]
    pub fn redaction(mut self, digest: [u8; 32]) -> Self {
        self.redaction = Some(digest);
        self
    }

    /// Adds a header field with its values, in order; a field without a value differs from one left out.
    #[must_use]
    pub fn header<'a>(mut self, name: &HeaderName, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        part(&mut self.text, 6, name.as_str().as_bytes());
        for value in values {
            part(&mut self.text, 7, value);
        }
        self
    }

    /// Adds the body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        part(&mut self.text, 8, blake3::hash(body).as_bytes());
        self
    }

    /// The key.
    #[must_use]
    pub fn finish(mut self) -> CacheKey {
        let mut between = Vec::new();
        if let Some(tenant) = self.tenant {
            part(&mut between, 2, tenant.as_bytes());
        }
        if let Some(redaction) = self.redaction {
            part(&mut between, 3, &redaction);
        }
        if !between.is_empty() {
            self.text.splice(self.request_at..self.request_at, between);
        }
        // In one piece: a hasher that is fed by and by costs as much again.
        CacheKey::from_bytes(*blake3::hash(&self.text).as_bytes())
    }
}

impl fmt::Debug for CanonicalKey {
    /// Shows nothing of the request: field values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalKey").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

/// Parts over 4 GiB do not occur: URLs and field values are bounded by what a connection carries, and a body
/// counts by its digest. The length saturates all the same, and the bytes follow whole.
fn part(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A "%" that begins no percent-encoding leaves the whole as it is: decoding what stands behind it could make it begin
/// one (`%2%46` would become `%2F`), and two URLs that a server tells apart would be one resource.
fn normalized(url: &Url) -> Cow<'_, str> {
    let text = &url[..Position::AfterQuery];
    let Some((before, encoded)) = text.split_once('%') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    for piece in encoded.split('%') {
        let split = piece.split_at_checked(2).filter(|(hex, _)| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some((hex, rest)) = split else { return Cow::Borrowed(text) };
        match u8::from_str_radix(hex, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&hex.to_ascii_uppercase());
            }
        }
        out.push_str(rest);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_debug_shows_no_field_value() {
        let url = Url::parse("https://example.com/?token=hunter2").unwrap();
        let key = CanonicalKey::new(&Namespace::default(), &Method::GET, &url).tenant("hunter2");
        let key = key.header(&http::header::AUTHORIZATION, [&b"hunter2"[..]]).body(b"hunter2");
        let (shown, bytes) = (format!("{key:?}"), format!("{:?}", b"hunter2"));
        assert!(!shown.contains("hunter2") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }

    #[test]
    fn urls_are_normalized() {
        for (url, want) in [
            ("HTTP://Example.COM:80/a/../b?x=1#frag", "http://example.com/b?x=1"),
            ("http://example.com/%7euser/%41?q=%2f%2F", "http://example.com/~user/A?q=%2F%2F"),
            ("http://example.com/100%", "http://example.com/100%"),
            ("http://example.com/%zz%4", "http://example.com/%zz%4"),
            ("http://example.com/%e9", "http://example.com/%E9"),
            ("http://example.com/?", "http://example.com/?"),
            ("http://example.com/%2541", "http://example.com/%2541"),
            // One stray "%", and nothing is decoded: "%2%46" is no "%2F".
            ("http://example.com/%2%46", "http://example.com/%2%46"),
            ("http://example.com/%41%", "http://example.com/%41%"),
            ("http://example.com/?%%34%31=%c3%a9", "http://example.com/?%%34%31=%c3%a9"),
        ] {
            assert_eq!(normalized(&Url::parse(url).unwrap()), want);
        }
    }
}
