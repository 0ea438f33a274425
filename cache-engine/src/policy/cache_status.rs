use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Forward;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// One member of `Cache-Status` (RFC 9211): how this cache handled a request.
///
/// `Display` writes it as a structured field; what a structured field cannot hold is written as `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus<'a> {
    /// The cache's name.
    pub cache: &'a str,
    /// The request was not forwarded.
    pub hit: bool,
    /// Why it was forwarded. Not written beside `hit`.
    pub forward: Option<Forward>,
    /// The status that came back, where it differs from the one served.
    pub forward_status: Option<StatusCode>,
    /// The response was stored.
    pub stored: bool,
    /// The request shared another's.
    pub collapsed: bool,
    /// The remaining freshness in seconds; negative where it is stale.
    pub ttl: Option<i64>,
    /// The key. It may give away what the resource is.
    pub key: Option<&'a str>,
    /// More, in the cache's own words.
    pub detail: Option<&'a str>,
}

impl<'a> CacheStatus<'a> {
    /// A status that says nothing but who speaks.
    #[must_use]
    pub fn new(cache: &'a str) -> Self {
        Self { cache, ..Self::default() }
    }

    /// Appends it to a response's field: the cache next to the caller comes last.
    pub fn append(&self, headers: &mut HeaderMap) {
        let mut text = String::with_capacity(96);
        if self.write(&mut text).is_ok()
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        item(out, self.cache)?;
        if self.hit {
            out.write_str("; hit")?;
        } else if let Some(forward) = self.forward {
            out.write_str("; fwd=")?;
            out.write_str(forward.as_str())?;
        }
        if let Some(status) = self.forward_status {
            out.write_str("; fwd-status=")?;
            out.write_str(status.as_str())?;
        }
        if let Some(ttl) = self.ttl {
            out.write_str("; ttl=")?;
            // The integers of a structured field have fifteen digits.
            let ttl = ttl.clamp(-999_999_999_999_999, 999_999_999_999_999);
            out.write_str(itoa::Buffer::new().format(ttl))?;
        }
        if self.stored {
            out.write_str("; stored")?;
        }
        if self.collapsed {
            out.write_str("; collapsed")?;
        }
        if let Some(key) = self.key {
            out.write_str("; key=")?;
            string(out, key)?;
        }
        if let Some(detail) = self.detail {
            out.write_str("; detail=")?;
            item(out, detail)?;
        }
        Ok(())
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// A token where it can be one, else a string (RFC 8941 §3.3).
fn item(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let first = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'*');
    if first && text.bytes().all(is_token) { out.write_str(text) } else { string(out, text) }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
                | b':'
                | b'/'
        )
}

fn string(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            ' '..='~' => out.write_char(c)?,
            _ => out.write_char('?')?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_writes_it() {
        let new = || CacheStatus::new("ExampleCache");
        let forward = |forward| CacheStatus { forward: Some(forward), ..new() };
        let table = [
            (new(), "ExampleCache"),
            (CacheStatus { hit: true, ..new() }, "ExampleCache; hit"),
            (CacheStatus { hit: true, ttl: Some(376), ..new() }, "ExampleCache; hit; ttl=376"),
            (CacheStatus { hit: true, ttl: Some(-412), ..new() }, "ExampleCache; hit; ttl=-412"),
            (CacheStatus { stored: true, ..forward(Forward::UriMiss) }, "ExampleCache; fwd=uri-miss; stored"),
            (
                CacheStatus { forward_status: Some(StatusCode::NOT_MODIFIED), ..forward(Forward::Stale) },
                "ExampleCache; fwd=stale; fwd-status=304",
            ),
            (CacheStatus { collapsed: true, ..forward(Forward::Miss) }, "ExampleCache; fwd=miss; collapsed"),
            (CacheStatus { key: Some("a\"b\u{e9}"), ..new() }, "ExampleCache; key=\"a\\\"b?\""),
            (CacheStatus { detail: Some("no-store"), ..new() }, "ExampleCache; detail=no-store"),
            (CacheStatus { detail: Some("why not"), ..new() }, "ExampleCache; detail=\"why not\""),
            (CacheStatus::new("Example Cache"), "\"Example Cache\""),
        ];
        for (status, expected) in table {
            assert_eq!(status.to_string(), expected);
        }
    }
}
