use std::borrow::Cow;

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
///
/// The URL is that of the WHATWG parser (lower-case host, no default port, no dot segments), without
/// fragment, with percent-encodings of unreserved characters decoded and the others in upper case
/// (RFC 3986 §6.2.2).
#[derive(Clone, Debug)]
pub struct CanonicalKey {
    namespace: Namespace,
    tenant: Option<String>,
    redaction: Option<[u8; 32]>,
    /// The parts from the method class on.
    request: Vec<u8>,
}

impl CanonicalKey {
    /// The key of that method class and URL.
    #[must_use]
    pub fn new(namespace: &Namespace, method: &Method, url: &Url) -> Self {
        let mut request = Vec::with_capacity(url.as_str().len() + 16);
        let class = if method == Method::HEAD { "GET" } else { method.as_str() };
        part(&mut request, 4, class.as_bytes());
        part(&mut request, 5, normalized(url).as_bytes());
        Self { namespace: namespace.clone(), tenant: None, redaction: None, request }
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
        part(&mut self.request, 6, name.as_str().as_bytes());
        for value in values {
            part(&mut self.request, 7, value);
        }
        self
    }

    /// Adds the body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        part(&mut self.request, 8, blake3::hash(body).as_bytes());
        self
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> CacheKey {
        let mut head = Vec::with_capacity(32 + self.namespace.as_str().len());
        head.extend_from_slice(b"http-cache/key/1\0");
        part(&mut head, 1, self.namespace.as_str().as_bytes());
        if let Some(tenant) = self.tenant {
            part(&mut head, 2, tenant.as_bytes());
        }
        if let Some(redaction) = self.redaction {
            part(&mut head, 3, &redaction);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        hasher.update(&self.request);
        CacheKey::from_bytes(*hasher.finalize().as_bytes())
    }
}

/// Parts over 4 GiB do not occur: URLs and field values are bounded by what a connection carries, and a body
/// counts by its digest. The length saturates all the same, and the bytes follow whole.
fn part(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn normalized(url: &Url) -> Cow<'_, str> {
    let text = &url[..Position::AfterQuery];
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.split_at_checked(2).map(|(hex, tail)| (u8::from_str_radix(hex, 16), hex, tail)) {
            Some((Ok(byte), hex, tail)) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    out.push(char::from(byte));
                } else {
                    out.push('%');
                    out.push_str(&hex.to_ascii_uppercase());
                }
                rest = tail;
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(normalized(&Url::parse(url).unwrap()), want);
        }
    }
}
