use std::{fmt, str::FromStr};

use cache_api::{Error, ErrorKind, Result};
use cache_engine::policy::{Rule, Rules};
use url::Url;

/// A pattern of URLs: globs for host and path, each matched against that part alone, as in a [`Rule`].
///
/// In both, `?` is one character, `[ab]` one of a set, `{a,b}` either, and `\` takes the meaning of the next one away. In a
/// host `*` is any number of characters, dots included: `*.example.com` is each name below `example.com`, not that name
/// itself, and never a host that only mentions it in path or query. Upper case does not count. In a path `*` does not go
/// beyond a `/`, and `**` does. Scheme and port match where they are named; query and fragment never count.
///
/// ```
/// use cache_admin::UrlPattern;
///
/// let pattern: UrlPattern = "https://*.example.com/api/**".parse()?;
/// assert!(pattern.matches(&"https://a.example.com/api/v1/users?page=2".parse().unwrap()));
/// assert!(!pattern.matches(&"https://evil.test/?u=a.example.com/api/".parse().unwrap()));
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Clone)]
pub struct UrlPattern {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
    /// One rule, of that host and path.
    rules: Rules,
}

impl UrlPattern {
    /// URLs with such a host and path, of any scheme and port.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where one of them is no glob, or is empty.
    pub fn new(host: &str, path: &str) -> Result<Self> {
        let rules = Rules::new([Rule::new("pattern").host(host).path(path)]).map_err(|invalid| {
            let message = format!("the pattern {:?} matches nothing", format!("{host}{path}"));
            Error::new(ErrorKind::Config, "pattern").with_message(message).with_source(invalid)
        })?;
        Ok(Self { scheme: None, host: host.to_owned(), port: None, path: path.to_owned(), rules })
    }

    /// Whether a URL is one of them.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
            && url.has_host()
            && self.rules.find(url).is_some()
    }
}

impl FromStr for UrlPattern {
    type Err = Error;

    /// Reads `[scheme://]host[:port][/path]`; without a path every path matches.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a part is not valid.
    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("", _)) => return Err(invalid("scheme", text, "empty")),
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
            Some((authority, path)) => (authority, path),
            None => (rest, "/**"),
        };
        let port =
            authority.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let (host, port) = match port {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| invalid("port", text, "not a port"))?;
                (host, Some(port))
            }
            None => (authority, None),
        };
        Ok(Self { scheme, port, ..Self::new(host, path)? })
    }
}

fn invalid(part: &str, text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, "pattern").with_message(format!("{part} of the pattern {text:?}: {why}"))
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl fmt::Debug for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlPattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_are_matched_apart() {
        for (pattern, url, matches) in [
            ("example.com", "https://example.com/", true),
            ("example.com", "http://example.com:8080/a/b?q#f", true),
            ("EXAMPLE.com", "https://example.com/", true),
            ("example.com", "https://www.example.com/", false),
            ("*.example.com", "https://www.example.com/", true),
            ("*.example.com", "https://a.b.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://evil.test/?u=www.example.com", false),
            ("*.example.com", "https://evil.test/www.example.com", false),
            ("*.example.com", "https://www.example.com.evil.test/", false),
            ("*example.com/**", "https://evil.test/example.com/", false),
            ("*", "https://example.com/a", true),
            ("*/a", "https://example.com/a?b", true),
            ("*/a", "https://example.com/a/b", false),
            ("*/a/*", "https://example.com/a/b", true),
            ("*/a/*", "https://example.com/a/b/c", false),
            ("*/a/**", "https://example.com/a/b/c", true),
            ("*/A", "https://example.com/a", false),
            ("*/v{1,2}/x", "https://example.com/v2/x", true),
            ("*/v{1,2}/x", "https://example.com/v3/x", false),
            ("https://example.com", "http://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("example.com:8443", "https://example.com/", false),
            ("[::1]", "http://[::1]:8080/a", true),
            ("[::1]:8080", "http://[::1]:8080/a", true),
            ("[::1]:8081", "http://[::1]:8080/a", false),
            ("*", "data:text/plain,a", false),
        ] {
            let parsed: UrlPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(&Url::parse(url).unwrap()), matches, "{pattern} {url}");
            let again: UrlPattern = parsed.to_string().parse().unwrap();
            assert_eq!(again.to_string(), parsed.to_string());
        }
    }

    #[test]
    fn what_cannot_match_is_refused() {
        for bad in ["", "/a", "https://", "://a", "example.com:", "example.com:x", "a[", "example.com/{a"] {
            let error = bad.parse::<UrlPattern>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}: {error}");
        }
        assert!(UrlPattern::new("*", "a").is_err());
    }
}
