//! A head as an array, in whichever format: what the serializers with a compact format share.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{Method, StatusCode, Version};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
    ser::SerializeTuple,
};

use super::header_block::{decode_headers, decode_selectors, encode_headers, encode_selectors};
use crate::{Error, ErrorKind, Head, Result, SetBy, Terms};

/// A head as an array. A later release appends elements; an older one passes over them.
pub(super) struct Row {
    status: u16,
    version: u8,
    method: String,
    url: String,
    requested_at: u64,
    responded_at: u64,
    headers: Block,
    selectors: Block,
    /// Left out where there are none, as by releases that knew none.
    terms: Option<TermsRow>,
}

/// [`Terms`]: by whom, whether they override, and until when.
pub(super) type TermsRow = (u8, bool, Option<u64>);

impl Row {
    const LEN: usize = 8;

    pub(super) fn of(head: &Head) -> Result<Self> {
        Ok(Self {
            status: head.status.as_u16(),
            version: version_number(head.version),
            method: head.method.as_str().to_owned(),
            url: head.url.to_string(),
            requested_at: micros(head.requested_at),
            responded_at: micros(head.responded_at),
            headers: Block(encode_headers(&head.headers)?),
            selectors: Block(encode_selectors(&head.selectors)?),
            terms: head.terms.map(terms_row),
        })
    }

    pub(super) fn head(self) -> Result<Head> {
        let mut head = Head::new(
            Method::from_bytes(self.method.as_bytes()).map_err(|_| corrupt("not a method"))?,
            self.url,
            StatusCode::from_u16(self.status).map_err(|_| corrupt("not a status"))?,
            decode_headers(self.headers.0.into())?,
            from_micros(self.requested_at)?,
            from_micros(self.responded_at)?,
        );
        head.version = version_from(self.version)?;
        head.selectors = decode_selectors(&self.selectors.0)?;
        head.terms = self.terms.map(terms_from).transpose()?;
        Ok(head)
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_tuple(Self::LEN + usize::from(self.terms.is_some()))?;
        row.serialize_element(&self.status)?;
        row.serialize_element(&self.version)?;
        row.serialize_element(&self.method)?;
        row.serialize_element(&self.url)?;
        row.serialize_element(&self.requested_at)?;
        row.serialize_element(&self.responded_at)?;
        row.serialize_element(&self.headers)?;
        row.serialize_element(&self.selectors)?;
        if let Some(terms) = &self.terms {
            row.serialize_element(terms)?;
        }
        row.end()
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct RowVisitor;

        impl<'de> Visitor<'de> for RowVisitor {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a head")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Row, A::Error> {
                fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
                    seq: &mut A,
                ) -> std::result::Result<T, A::Error> {
                    seq.next_element()?.ok_or_else(|| A::Error::custom("a head with too few elements"))
                }
                let row = Row {
                    status: next(&mut seq)?,
                    version: next(&mut seq)?,
                    method: next(&mut seq)?,
                    url: next(&mut seq)?,
                    requested_at: next(&mut seq)?,
                    responded_at: next(&mut seq)?,
                    headers: next(&mut seq)?,
                    selectors: next(&mut seq)?,
                    terms: seq.next_element()?,
                };
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(row)
            }
        }

        deserializer.deserialize_seq(RowVisitor)
    }
}

/// A byte string.
struct Block(Vec<u8>);

impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct BlockVisitor;

        impl Visitor<'_> for BlockVisitor {
            type Value = Block;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> std::result::Result<Block, E> {
                Ok(Block(bytes.to_vec()))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> std::result::Result<Block, E> {
                Ok(Block(bytes))
            }
        }

        deserializer.deserialize_byte_buf(BlockVisitor)
    }
}

pub(super) fn version_number(version: Version) -> u8 {
    match version {
        Version::HTTP_09 => 9,
        Version::HTTP_10 => 10,
        Version::HTTP_2 => 20,
        Version::HTTP_3 => 30,
        _ => 11,
    }
}

pub(super) fn version_from(number: u8) -> Result<Version> {
    Ok(match number {
        9 => Version::HTTP_09,
        10 => Version::HTTP_10,
        11 => Version::HTTP_11,
        20 => Version::HTTP_2,
        30 => Version::HTTP_3,
        _ => return Err(corrupt("not a protocol version")),
    })
}

pub(super) fn terms_row(terms: Terms) -> TermsRow {
    let by = match terms.by {
        SetBy::Request => 1,
        SetBy::Rule => 2,
        SetBy::Client => 3,
    };
    (by, terms.overrides, terms.fresh_until.map(micros))
}

pub(super) fn terms_from((by, overrides, fresh_until): TermsRow) -> Result<Terms> {
    let by = match by {
        1 => SetBy::Request,
        2 => SetBy::Rule,
        3 => SetBy::Client,
        _ => return Err(corrupt("not a setting")),
    };
    let fresh_until = fresh_until.map(from_micros).transpose()?;
    Ok(Terms::new(by).with_overrides(overrides).with_fresh_until(fresh_until))
}

/// Microseconds since the epoch; earlier times count as the epoch.
pub(super) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn from_micros(micros: u64) -> Result<SystemTime> {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_micros(micros))
        .ok_or_else(|| corrupt("a time out of range"))
}

pub(super) fn corrupt(message: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decode").with_message(message)
}
