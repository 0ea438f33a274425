use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::row::{
    TermsRow, corrupt, from_micros, micros, terms_from, terms_row, version_from, version_number,
};
use crate::{CborSerializer, Error, ErrorKind, Head, Place, Result, Selector, SelectorDigest, Serializer};

/// Heads in JSON, so that a person can read them in a database client; frames as the default serializer
/// writes them.
///
/// Field values that are not UTF-8 stand as `{"hex": "…"}`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct JsonSerializer;

impl JsonSerializer {
    /// The serializer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

const FORMAT: &str = "http-cache/1";

#[async_trait]
impl Serializer for JsonSerializer {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        let failed = |e| Error::new(ErrorKind::Other, "encode").with_source(e);
        let head = serde_json::value::to_raw_value(&Document::of(head)).map_err(failed)?;
        let sealed = Sealed { format: FORMAT.to_owned(), checksum: checksum(place, head.get()), head };
        serde_json::to_vec(&sealed).map(Bytes::from).map_err(failed)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        let failed = |e| Error::new(ErrorKind::Corrupt, "decode").with_source(e);
        let sealed: Sealed = serde_json::from_slice(&bytes).map_err(failed)?;
        if sealed.format != FORMAT {
            return Err(corrupt("a format of another release"));
        }
        if sealed.checksum != checksum(place, sealed.head.get()) {
            return Err(corrupt("the checksum does not match: damaged, or from another place"));
        }
        serde_json::from_str::<Document>(sealed.head.get()).map_err(failed)?.head()
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        CborSerializer::new().encode_frame(place, plaintext).await
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        CborSerializer::new().decode_frame(place, bytes).await
    }
}

fn checksum(place: &Place, head: &str) -> String {
    let seed = xxhash_rust::xxh3::xxh3_64(&place.to_bytes());
    format!("{:016x}", xxh3_64_with_seed(head.as_bytes(), seed))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    checksum: String,
    head: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    method: String,
    url: String,
    status: u16,
    version: u8,
    requested_at: u64,
    responded_at: u64,
    headers: Vec<(String, Value)>,
    selectors: Vec<(String, Option<String>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<TermsRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { hex: String },
}

impl Document {
    fn of(head: &Head) -> Self {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Bytes { hex: to_hex(value.as_bytes()) },
            };
            (name.as_str().to_owned(), value)
        };
        let selector = |s: &Selector| (s.name.as_str().to_owned(), s.value.map(|digest| to_hex(&digest.0)));
        Self {
            method: head.method.as_str().to_owned(),
            url: head.url.to_string(),
            status: head.status.as_u16(),
            version: version_number(head.version),
            requested_at: micros(head.requested_at),
            responded_at: micros(head.responded_at),
            headers: head.headers.iter().map(field).collect(),
            selectors: head.selectors.iter().map(selector).collect(),
            terms: head.terms.map(terms_row),
        }
    }

    fn head(self) -> Result<Head> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let value = match value {
                Value::Text(text) => text.into_bytes(),
                Value::Bytes { hex } => from_hex(&hex)?,
            };
            let value = HeaderValue::from_maybe_shared(Bytes::from(value))
                .map_err(|_| corrupt("not a field value"))?;
            headers.try_append(field_name(&name)?, value).map_err(|_| corrupt("too many fields"))?;
        }
        let mut head = Head::new(
            Method::from_bytes(self.method.as_bytes()).map_err(|_| corrupt("not a method"))?,
            self.url,
            StatusCode::from_u16(self.status).map_err(|_| corrupt("not a status"))?,
            headers,
            from_micros(self.requested_at)?,
            from_micros(self.responded_at)?,
        );
        head.version = version_from(self.version)?;
        head.terms = self.terms.map(terms_from).transpose()?;
        for (name, value) in self.selectors {
            let value = match value {
                None => None,
                Some(hex) => {
                    Some(SelectorDigest(from_hex(&hex)?.try_into().map_err(|_| corrupt("not a selector"))?))
                }
            };
            head.selectors.push(Selector { name: field_name(&name)?, value });
        }
        Ok(head)
    }
}

fn field_name(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| corrupt("not a field name"))
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn from_hex(hex: &str) -> Result<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(corrupt("not hex"));
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect::<Option<_>>()
        .ok_or_else(|| corrupt("not hex"))
}
