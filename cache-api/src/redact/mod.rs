//! What of a request leaves no trace in the store, and what of that does not count in the key.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, header};
use url::Url;

use crate::{Error, ErrorKind, Head, Result};

mod defaults;
mod form;
mod json;
mod key_view;
mod names;
mod secrets;
mod url_text;

pub use key_view::KeyView;
use names::{Effect, Names};
pub use secrets::{Scan, Secrets};

/// What stands in a stored URL for a value that leaves no trace.
pub const REDACTED: &str = "REDACTED";

/// Which values of requests leave no trace in the store, by the names of what holds them, and which of those do not count
/// in the key either.
///
/// A name is one of two kinds; the last word on a name counts:
///
/// - [**hidden**](Redactor::hide): the value is in nothing that is stored. It goes on telling requests apart, since the key
///   is a digest of all that counts. Hiding never serves one request's answer to another.
/// - [**ignored**](Redactor::ignore): hidden, and requests that differ in nothing else share an answer. Do not ignore what
///   decides who may see an answer where requests of several users go through one cache: whoever asks second gets the
///   first one's, with another token or with none.
///
/// [`Redactor::new`] names nothing. [`Redactor::default`] hides usual names of tokens, keys, passwords and signatures.
/// [`Redactor::one_account`] ignores most of these, for a cache in which all requests speak for one account.
///
/// Names are compared without regard to ASCII case, parameters after percent-decoding.
///
/// What follows, for a request whose values are named:
///
/// - The URL is stored with [`REDACTED`] in place of them; response fields of these names are left out of what is stored.
/// - An answer that repeats such a value is not stored: where a field or the body has it as it was sent, decoded, or
///   encoded for a URL, for JSON or for HTML; and where a URL in `Location`, `Content-Location` or `Link` has a parameter
///   of such a name. Upper and lower case are the same here. Values of fewer than 4 bytes would be found by chance, and are
///   not looked for; cookies in `Cookie` count from 16 bytes on, as most are no secrets; of a long value the first 1,024
///   bytes are. Bodies are looked through as they were received: a compressed one is not unpacked, and what is encrypted,
///   hashed or in Base64 is not found.
/// - `Vary` on an ignored field matches no request, so that such an answer is not stored. A hidden field may select: what
///   is kept of it is a digest, salted with the key.
///
/// A path, host or user name is not looked into. What was stored before stays as it was.
///
/// ```
/// use cache_api::{Redactor, RequestPart};
///
/// let redactor = Redactor::default()
///     .hide(RequestPart::Headers, ["x-internal-token"])
///     .ignore(RequestPart::Query, ["utm_source", "utm_medium"]);
/// assert_eq!(redactor.url("https://a.test/?q=1&api_key=k&utm_source=mail"),
///     "https://a.test/?q=1&api_key=REDACTED&utm_source=REDACTED");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redactor(Arc<Lists>);

/// Where in a request a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestPart {
    /// A parameter of the URL's query.
    Query,
    /// A field of a body of `application/x-www-form-urlencoded`.
    Form,
    /// A member of an object, at any depth, in a body of `application/json` or another type that ends in `+json`. The value
    /// is all that it holds.
    Json,
    /// A header field; for what is stored, one of the response as well.
    Headers,
    /// A parameter, wherever it is: [`Query`](Self::Query), [`Form`](Self::Form) and [`Json`](Self::Json).
    Parameters,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lists {
    query: Names,
    form: Names,
    json: Names,
    headers: Names,
    /// Which names are ignored; `None` where none are.
    digest: Option<[u8; 32]>,
    /// The first name that is none.
    problem: Option<String>,
}

impl Redactor {
    /// Names nothing: keys and what is stored are as they were.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Hides the same names as [`Redactor::default`], and ignores all but cookies: answers stay shared when a token or a
    /// signature changes.
    ///
    /// For a cache in which all requests speak for **one account**. Where they speak for several, or some for none, one
    /// would be served what is another's. The answer to a request with `Authorization` is then not kept apart by it in a
    /// private cache either; a shared cache still goes by RFC 9111 §3.5.
    #[must_use]
    pub fn one_account() -> Self {
        let headers = defaults::HEADERS.into_iter().filter(|name| !name.contains("cookie"));
        Self::default()
            .ignore(RequestPart::Parameters, defaults::PARAMETERS)
            .ignore(RequestPart::Headers, headers)
    }

    /// Values of these names leave no trace, and go on telling requests apart.
    #[must_use]
    pub fn hide<T: AsRef<str>>(self, part: RequestPart, names: impl IntoIterator<Item = T>) -> Self {
        self.with(part, names, Some(Effect::Hide))
    }

    /// Values of these names leave no trace, and do not count: requests that differ in nothing else are one resource.
    /// Neither does it count whether the name is there at all.
    #[must_use]
    pub fn ignore<T: AsRef<str>>(self, part: RequestPart, names: impl IntoIterator<Item = T>) -> Self {
        self.with(part, names, Some(Effect::Ignore))
    }

    /// Values of these names are nothing special, as before they were named.
    #[must_use]
    pub fn show<T: AsRef<str>>(self, part: RequestPart, names: impl IntoIterator<Item = T>) -> Self {
        self.with(part, names, None)
    }

    fn with<T: AsRef<str>>(
        mut self,
        part: RequestPart,
        names: impl IntoIterator<Item = T>,
        effect: Option<Effect>,
    ) -> Self {
        let lists = Arc::make_mut(&mut self.0);
        for name in names {
            lists.put(part, name.as_ref(), effect);
        }
        lists.digest = lists.digest();
        self
    }

    /// Whether the names can be used.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for the first that cannot, by name: an empty one, one that is no name of a header field, or a
    /// field without which what is stored could not be used, such as `Vary`.
    pub fn check(&self) -> Result<()> {
        match &self.0.problem {
            None => Ok(()),
            Some(problem) => {
                Err(Error::new(ErrorKind::Config, "redact").with_message(format!("redactor: {problem}")))
            }
        }
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lists = &*self.0;
        [&lists.query, &lists.form, &lists.json, &lists.headers].iter().all(|names| names.is_empty())
    }

    /// Whether a header field is hidden, or ignored as well.
    #[must_use]
    pub fn hides_header(&self, name: &HeaderName) -> bool {
        self.0.headers.effect(name.as_str()).is_some()
    }

    /// Whether a header field is ignored.
    #[must_use]
    pub fn ignores_header(&self, name: &HeaderName) -> bool {
        self.0.headers.effect(name.as_str()) == Some(Effect::Ignore)
    }

    /// Whether it takes a request's body to know its values.
    #[must_use]
    pub fn looks_into_bodies(&self) -> bool {
        !(self.0.form.is_empty() && self.0.json.is_empty())
    }

    /// A digest of what is ignored, for [`CanonicalKey::redaction`](crate::CanonicalKey::redaction): keys that were made
    /// under different rules are different. `None` where nothing is ignored.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.0.digest
    }

    /// A URL, or a reference to one, with [`REDACTED`] for the values of hidden parameters in query and fragment. User name
    /// and password are left out in any case.
    #[must_use]
    pub fn url<'u>(&self, text: &'u str) -> Cow<'u, str> {
        url_text::redacted(text, &self.0.query)
    }

    /// The values of a request that must leave no trace; `None` where it has none.
    #[must_use]
    pub fn secrets(&self, url: &Url, headers: &HeaderMap, body: Option<&[u8]>) -> Option<Secrets> {
        if self.is_empty() {
            return None;
        }
        let lists = &*self.0;
        let mut found = secrets::Values::default();
        if let Some(query) = url.query() {
            form::values(query.as_bytes(), &lists.query, |raw| found.encoded(raw));
        }
        for (name, value) in headers.iter().filter(|(name, _)| self.hides_header(name)) {
            found.field(name, value.as_bytes());
        }
        match body.map(|body| (BodyType::of(headers), body)) {
            Some((BodyType::Form, body)) => form::values(body, &lists.form, |raw| found.encoded(raw)),
            Some((BodyType::Json, body)) => json::values(body, &lists.json, &mut |text| found.plain(text)),
            _ => {}
        }
        found.into_secrets()
    }

    /// Takes out of a head what must not be stored: values in its URL, and response fields.
    pub fn redact(&self, head: &mut Head) {
        if self.is_empty() {
            return;
        }
        if let Cow::Owned(url) = self.url(&head.url) {
            head.url = url.into();
        }
        let hidden: Vec<HeaderName> =
            head.headers.keys().filter(|name| self.hides_header(name)).cloned().collect();
        for name in hidden {
            head.headers.remove(name);
        }
    }

    /// Whether response fields hold what must not be stored: one of the request's values, or a URL with a hidden parameter.
    /// Fields that are not stored do not count.
    #[must_use]
    pub fn is_repeated_in(&self, headers: &HeaderMap, secrets: Option<&Secrets>) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut stored = headers.iter().filter(|(name, _)| !self.hides_header(name));
        stored.any(|(name, value)| {
            secrets.is_some_and(|secrets| secrets.scan().finds(value.as_bytes()))
                || references(name, value.as_bytes()).any(|text| self.has_hidden_parameter(text))
        })
    }

    fn has_hidden_parameter(&self, reference: &[u8]) -> bool {
        url_text::parameters(&url_text::read(reference)).any(|part| form::has(part, &self.0.query))
    }
}

/// The URLs that a response field holds.
fn references<'a>(name: &HeaderName, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let whole = matches!(*name, header::LOCATION | header::CONTENT_LOCATION).then_some(value);
    let links = if *name == header::LINK { value } else { b"" };
    let targets = links.split(|&byte| byte == b'<').skip(1);
    whole.into_iter().chain(targets.filter_map(|text| text.split(|&byte| byte == b'>').next()))
}

impl Default for Redactor {
    /// Hides usual names of tokens, keys, passwords and signatures: among parameters `access_token`, `api_key`, `key`,
    /// `password`, `sig`, `signature`, `token` and those of signed URLs (`X-Amz-…`, `X-Goog-…`), among header fields
    /// `Authorization`, `Cookie`, `Set-Cookie` and `X-Api-Key`. All of them go on telling requests apart.
    fn default() -> Self {
        Self::new()
            .hide(RequestPart::Parameters, defaults::PARAMETERS)
            .hide(RequestPart::Headers, defaults::HEADERS)
    }
}

impl Lists {
    fn put(&mut self, part: RequestPart, name: &str, effect: Option<Effect>) {
        if let Some(problem) = problem(part, name) {
            self.problem.get_or_insert(problem);
            return;
        }
        let lists = match part {
            RequestPart::Query => vec![&mut self.query],
            RequestPart::Form => vec![&mut self.form],
            RequestPart::Json => vec![&mut self.json],
            RequestPart::Headers => vec![&mut self.headers],
            RequestPart::Parameters => vec![&mut self.query, &mut self.form, &mut self.json],
        };
        for list in lists {
            list.put(name, effect);
        }
    }

    /// BLAKE3 over `http-cache/redaction/1\0` and, for each ignored name in the order of parts and of bytes, a byte for the
    /// part, the length as a 32-bit little-endian number, and the name in lower case.
    fn digest(&self) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"http-cache/redaction/1\0");
        let mut any = false;
        for (part, names) in (1_u8..).zip([&self.query, &self.form, &self.json, &self.headers]) {
            for name in names.ignored() {
                any = true;
                hasher.update(&[part]);
                hasher.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
                hasher.update(name.as_bytes());
            }
        }
        any.then(|| *hasher.finalize().as_bytes())
    }
}

/// Fields without which a stored response is not understood, or is taken for another one.
const NEEDED: [HeaderName; 11] = [
    header::AGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::VARY,
];

fn problem(part: RequestPart, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a name is empty".to_owned());
    }
    if part != RequestPart::Headers {
        return None;
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => Some(format!("`{}` is no name of a header field", name.escape_debug())),
        // Targeted fields (RFC 9213) end so, too.
        Ok(name) if NEEDED.contains(&name) || name.as_str().ends_with("cache-control") => {
            Some(format!("without the field `{name}` an answer cannot be stored"))
        }
        Ok(_) => None,
    }
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyType {
    Form,
    Json,
    Other,
}

impl BodyType {
    fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        match &*essence {
            b"application/x-www-form-urlencoded" => Self::Form,
            b"application/json" => Self::Json,
            other if other.ends_with(b"+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests;
