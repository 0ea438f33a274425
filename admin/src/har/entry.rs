//! One entry of an archive.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use cache_api::{Head, REDACTED};
use har::v1_2::{Cache, Content, Cookies, Entries, Headers, QueryString, Request, Response, Timings};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use url::Url;

use super::HarOptions;

/// What the format has for what is not known.
const UNKNOWN: i64 = -1;

/// An entry with its body, or with what is said in its place.
pub(super) fn archived(head: &Head, len: u64, body: Option<&[u8]>, options: &HarOptions) -> Entries {
    let wait = head.responded_at.duration_since(head.requested_at).unwrap_or_default();
    let wait = millis(wait);
    Entries {
        started_date_time: instant(head.requested_at),
        time: wait,
        request: request(head, options),
        response: response(head, len, body, options),
        cache: Cache::default(),
        timings: Timings { wait, send: 0.0, receive: 0.0, ..unknown() },
        ..Entries::default()
    }
}

fn request(head: &Head, options: &HarOptions) -> Request {
    let url = options.url(&head.url).into_owned();
    let query = Url::parse(&url).map(|url| query(&url)).unwrap_or_default();
    Request {
        method: head.method.to_string(),
        url,
        // The cache keeps the version of the answer.
        http_version: version(head),
        query_string: query,
        headers_size: UNKNOWN,
        body_size: UNKNOWN,
        comment: Some("header fields and body of requests are not stored".to_owned()),
        ..Request::default()
    }
}

fn query(url: &Url) -> Vec<QueryString> {
    let pair = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| QueryString {
        name: name.into(),
        value: value.into(),
        comment: None,
    };
    url.query_pairs().map(pair).collect()
}

fn response(head: &Head, len: u64, body: Option<&[u8]>, options: &HarOptions) -> Response {
    let field = |(name, value): (&HeaderName, &HeaderValue)| Headers {
        name: name.to_string(),
        value: shown(name, value, options),
        comment: None,
    };
    let location = head.headers.get(header::LOCATION);
    Response {
        status: head.status.as_u16().into(),
        status_text: head.status.canonical_reason().unwrap_or_default().to_owned(),
        http_version: version(head),
        cookies: head.headers.get_all(header::SET_COOKIE).iter().filter_map(|c| cookie(c, options)).collect(),
        headers: head.headers.iter().map(field).collect(),
        content: content(&head.headers, len, body),
        redirect_url: Some(location.map(|url| shown(&header::LOCATION, url, options)).unwrap_or_default()),
        headers_size: UNKNOWN,
        body_size: signed(len),
        comment: None,
    }
}

/// The value of a field, unless it is a secret, or the secrets in it.
fn shown(name: &HeaderName, value: &HeaderValue, options: &HarOptions) -> String {
    if options.hides(name) {
        return REDACTED.to_owned();
    }
    let value = text(value.as_bytes());
    match *name {
        header::LOCATION | header::CONTENT_LOCATION => options.url(&value).into_owned(),
        _ => value,
    }
}

/// Bytes of a field as text: UTF-8 where they are, else as ISO 8859-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn cookie(value: &HeaderValue, options: &HarOptions) -> Option<Cookies> {
    let line = text(value.as_bytes());
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let hidden = options.hides(&header::SET_COOKIE);
    let value = if hidden { REDACTED } else { value.trim() };
    let mut cookie = Cookies { name: name.trim().to_owned(), value: value.to_owned(), ..Cookies::default() };
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value.trim().to_owned()),
            "domain" => cookie.domain = Some(value.trim().to_owned()),
            "httponly" => cookie.http_only = Some(true),
            "secure" => cookie.secure = Some(true),
            _ => {}
        }
    }
    Some(cookie)
}

fn content(headers: &HeaderMap, len: u64, body: Option<&[u8]>) -> Content {
    let media_type = headers.get(header::CONTENT_TYPE).map(|value| text(value.as_bytes()));
    let coding = headers.get(header::CONTENT_ENCODING).map(|value| text(value.as_bytes()));
    let plain = coding.as_deref().is_none_or(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    let is_text = plain && media_type.as_deref().is_some_and(is_text);
    let (text, encoding) = match body.map(|body| (body, std::str::from_utf8(body))) {
        None => (None, None),
        Some((_, Ok(text))) if is_text || text.is_empty() => (Some(text.to_owned()), None),
        Some((bytes, _)) => (Some(Base64::encode_string(bytes)), Some("base64".to_owned())),
    };
    let comment = match coding {
        _ if body.is_none() => Some("left out: larger than the limit of this export".to_owned()),
        Some(coding) if !plain => Some(format!("as received, in the content coding {coding}")),
        _ => None,
    };
    Content {
        size: signed(len),
        compression: None,
        mime_type: Some(media_type.unwrap_or_else(|| "x-unknown".to_owned())),
        text,
        encoding,
        comment,
    }
}

/// Whether a media type is one of text in UTF-8.
fn is_text(media_type: &str) -> bool {
    let lower = media_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    let utf8 =
        charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    let known = essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/json"
                | "application/xml"
                | "application/javascript"
                | "application/ecmascript"
                | "application/x-ndjson"
                | "application/x-www-form-urlencoded"
                | "application/yaml"
                | "application/graphql"
        );
    utf8 && known
}

fn version(head: &Head) -> String {
    format!("{:?}", head.version)
}

fn unknown() -> Timings {
    let unknown = Some(-1.0);
    Timings { blocked: unknown, dns: unknown, connect: unknown, ssl: unknown, ..Timings::default() }
}

fn instant(time: SystemTime) -> String {
    // A time that the format cannot write is none that a response came at.
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
