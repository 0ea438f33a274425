use std::fmt::{self, Write as _};

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
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.append(CACHE_STATUS, value);
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        item(f, self.cache)?;
        if self.hit {
            f.write_str("; hit")?;
        } else if let Some(forward) = self.forward {
            write!(f, "; fwd={forward}")?;
        }
        if let Some(status) = self.forward_status {
            write!(f, "; fwd-status={}", status.as_u16())?;
        }
        if let Some(ttl) = self.ttl {
            // The integers of a structured field have fifteen digits.
            write!(f, "; ttl={}", ttl.clamp(-999_999_999_999_999, 999_999_999_999_999))?;
        }
        if self.stored {
            f.write_str("; stored")?;
        }
        if self.collapsed {
            f.write_str("; collapsed")?;
        }
        if let Some(key) = self.key {
            f.write_str("; key=")?;
            string(f, key)?;
        }
        if let Some(detail) = self.detail {
            f.write_str("; detail=")?;
            item(f, detail)?;
        }
        Ok(())
    }
}

/// A token where it can be one, else a string (RFC 8941 §3.3).
fn item(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut chars = text.chars();
    let token = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '*')
        && chars.all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c));
    if token { f.write_str(text) } else { string(f, text) }
}

fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            ' '..='~' => f.write_char(c)?,
            _ => f.write_char('?')?,
        }
    }
    f.write_char('"')
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
