//! Content codings, above the cache: it stores bytes as received, and callers read them decoded.

mod body;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, RANGE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Body;

/// More codings than this on one response are nobody's intention; it is left as it is.
const MAX_CODINGS: usize = 4;

/// A content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings that a client asks for and decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codings {
    pub(crate) gzip: bool,
    pub(crate) deflate: bool,
    pub(crate) brotli: bool,
    pub(crate) zstd: bool,
}

impl Default for Codings {
    fn default() -> Self {
        Self { gzip: true, deflate: true, brotli: true, zstd: true }
    }
}

impl Codings {
    fn has(self, coding: Coding) -> bool {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Deflate => self.deflate,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }
}

/// The layer of one client.
#[derive(Debug)]
pub(crate) struct Decoding {
    codings: Codings,
    accept: Option<HeaderValue>,
}

impl Decoding {
    pub(crate) fn new(codings: Codings) -> Self {
        let Codings { gzip, deflate, brotli, zstd } = codings;
        let names = [(gzip, "gzip"), (brotli, "br"), (zstd, "zstd"), (deflate, "deflate")];
        let wanted: Vec<&str> = names.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        let accept = if wanted.is_empty() { None } else { wanted.join(", ").parse().ok() };
        Self { codings, accept }
    }

    /// Asks for the codings where the caller asked for nothing. A range is cut from the coded bytes (RFC 9110
    /// §14.2) and could not be decoded, so it is asked for as it is.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        if let Some(accept) = &self.accept
            && !headers.contains_key(ACCEPT_ENCODING)
            && !headers.contains_key(RANGE)
        {
            headers.insert(ACCEPT_ENCODING, accept.clone());
        }
    }

    /// What has to be undone; nothing unless all of it can be.
    ///
    /// A body that is absent (HEAD, 204, 304) or a piece of one (206) is left alone.
    pub(crate) fn plan(&self, method: &Method, status: StatusCode, headers: &HeaderMap) -> Plan {
        let untouched = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::PARTIAL_CONTENT];
        if !headers.contains_key(CONTENT_ENCODING)
            || *method == Method::HEAD
            || status.is_informational()
            || untouched.contains(&status)
        {
            return Plan::default();
        }
        let mut plan = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let Ok(value) = value.to_str() else { return Plan::default() };
            for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                match parse(name) {
                    Some(None) => {}
                    Some(Some(coding)) if self.codings.has(coding) && plan.len() < MAX_CODINGS => {
                        plan.push(coding);
                    }
                    _ => return Plan::default(),
                }
            }
        }
        // Listed in the order in which they were applied.
        plan.reverse();
        Plan(plan)
    }
}

/// The codings of one response, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<Coding>);

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body decoded, and the fields that described the coded one taken away.
    pub(crate) fn decode(&self, parts: &mut Parts, body: Body) -> Body {
        if self.is_empty() {
            return body;
        }
        parts.headers.remove(CONTENT_ENCODING);
        parts.headers.remove(CONTENT_LENGTH);
        body::decoded(body, &self.0)
    }
}

/// `Some(None)` is identity, `None` a coding unknown here.
fn parse(name: &str) -> Option<Option<Coding>> {
    const NAMES: [(&str, Option<Coding>); 6] = [
        ("gzip", Some(Coding::Gzip)),
        ("x-gzip", Some(Coding::Gzip)),
        ("br", Some(Coding::Brotli)),
        ("zstd", Some(Coding::Zstd)),
        ("deflate", Some(Coding::Deflate)),
        ("identity", None),
    ];
    NAMES.into_iter().find_map(|(known, coding)| name.eq_ignore_ascii_case(known).then_some(coding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(codings: Codings, method: &Method, status: u16, values: &[&str]) -> Vec<Coding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        Decoding::new(codings).plan(method, StatusCode::from_u16(status).unwrap(), &headers).0
    }

    #[test]
    fn what_is_decoded() {
        use Coding::{Brotli, Gzip};
        let all = Codings::default();
        let no_gzip = Codings { gzip: false, ..all };
        type Row = (Codings, Method, u16, &'static [&'static str], &'static [Coding]);
        let rows: [Row; 14] = [
            (all, Method::GET, 200, &[], &[]),
            (all, Method::GET, 200, &["gzip"], &[Gzip]),
            (all, Method::GET, 404, &["X-GZip"], &[Gzip]),
            (all, Method::POST, 200, &["br"], &[Brotli]),
            (all, Method::GET, 200, &["gzip, br"], &[Brotli, Gzip]),
            (all, Method::GET, 200, &["gzip", "br"], &[Brotli, Gzip]),
            (all, Method::GET, 200, &["identity, gzip,"], &[Gzip]),
            (all, Method::GET, 200, &["gzip, exotic"], &[]),
            (all, Method::GET, 200, &["gzip, gzip, gzip, gzip, gzip"], &[]),
            (all, Method::HEAD, 200, &["gzip"], &[]),
            (all, Method::GET, 204, &["gzip"], &[]),
            (all, Method::GET, 304, &["gzip"], &[]),
            (all, Method::GET, 206, &["gzip"], &[]),
            (no_gzip, Method::GET, 200, &["br, gzip"], &[]),
        ];
        for (codings, method, status, values, expected) in rows {
            assert_eq!(plan(codings, &method, status, values), expected, "{method} {status} {values:?}");
        }
    }

    #[test]
    fn what_is_asked_for() {
        let asking = |codings: Codings, mut headers: HeaderMap| {
            Decoding::new(codings).ask(&mut headers);
            headers.remove(ACCEPT_ENCODING)
        };
        let all = Codings::default();
        let none = Codings { gzip: false, deflate: false, brotli: false, zstd: false };
        assert_eq!(asking(all, HeaderMap::new()).unwrap(), "gzip, br, zstd, deflate");
        assert_eq!(asking(Codings { zstd: false, ..all }, HeaderMap::new()).unwrap(), "gzip, br, deflate");
        assert_eq!(asking(none, HeaderMap::new()), None);

        let range = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        assert_eq!(asking(all, range), None);
        let own = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        assert_eq!(asking(all, own).unwrap(), "identity");
    }
}
