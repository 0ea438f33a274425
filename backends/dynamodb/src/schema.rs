//! How what lies in the table is named. The table itself is in the crate's documentation.

use std::{fmt::Write as _, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use cache_api::{BodyId, CacheKey, Namespace, TagDigest, VariantId};

use crate::attribute::{Item, string};

/// The partition key.
pub(crate) const PK: &str = "pk";

/// The sort key.
pub(crate) const SK: &str = "sk";

/// When DynamoDB may delete an item, in seconds since 1970.
pub(crate) const EXPIRES: &str = "expires_at";

/// The sort key of a resource's record.
pub(crate) const RECORD: &str = "r";

/// What the sort key of a small body begins with. It sorts after [`RECORD`].
pub(crate) const SMALL: &str = "s:";

/// The sort key where a partition has one item.
pub(crate) const ONLY: &str = "-";

/// Over how many partitions the index of all resources, and that of all bodies, are spread.
pub(crate) const SHARDS: u8 = 16;

/// Over how many partitions the index of one tag is spread.
pub(crate) const TAG_SHARDS: u8 = 4;

/// What one variant's attribute in a record is called.
pub(crate) fn variant_name(id: &VariantId) -> String {
    format!("v{id}")
}

/// The sort key of a body beside its record.
pub(crate) fn small(body: &BodyId) -> String {
    format!("{SMALL}{body}")
}

/// The whole key of an item.
pub(crate) fn key_of(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), AttributeValue::S(pk.into())), (SK.to_owned(), AttributeValue::S(sk.into()))])
}

/// The two parts of an item's key.
pub(crate) fn parts(item: &Item) -> Option<(&str, &str)> {
    Some((string(item, PK)?, string(item, SK)?))
}

/// The names of a namespace's partitions.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// `http-cache:1:NAMESPACE:`, where 1 is the layout's version. A namespace has no colon.
    prefix: Arc<str>,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self { prefix: format!("http-cache:1:{namespace}:").into() }
    }

    /// A resource: its record, and small bodies.
    pub(crate) fn resource(&self, key: &CacheKey) -> String {
        format!("{}r:{key}", self.prefix)
    }

    /// A resource's record.
    pub(crate) fn record(&self, key: &CacheKey) -> Item {
        key_of(self.resource(key), RECORD)
    }

    /// One frame of a stored body: a partition of its own, for a partition takes 1,000 units a second.
    pub(crate) fn frame(&self, body: &BodyId, number: u32) -> Item {
        key_of(format!("{}f:{body}:{number}", self.prefix), ONLY)
    }

    /// One shard of the index of all bodies.
    pub(crate) fn bodies(&self, shard: u8) -> String {
        format!("{}b:{shard}", self.prefix)
    }

    /// A body's place in the index of bodies: whether it is pending, committed or retired.
    pub(crate) fn body(&self, body: &BodyId) -> Item {
        key_of(self.bodies(shard(body.as_bytes(), SHARDS)), body.to_string())
    }

    /// One shard of the index of all resources.
    pub(crate) fn all(&self, shard: u8) -> String {
        format!("{}i:{shard}", self.prefix)
    }

    /// One shard of the index of one tag's resources.
    pub(crate) fn tag(&self, tag: &TagDigest, shard: u8) -> String {
        format!("{}t:{tag}:{shard}", self.prefix)
    }

    /// A resource's places in the index of all, and in those of its tags.
    pub(crate) fn registrations(&self, key: &CacheKey, tags: &[TagDigest]) -> Vec<Item> {
        let all = self.all(shard(key.as_bytes(), SHARDS));
        let tags = tags.iter().map(|tag| self.tag(tag, shard(key.as_bytes(), TAG_SHARDS)));
        std::iter::once(all).chain(tags).map(|pk| key_of(pk, key.to_string())).collect()
    }

    /// What remembers the last purge of a tag.
    pub(crate) fn purged(&self, tag: &TagDigest) -> Item {
        key_of(format!("{}p:{tag}", self.prefix), ONLY)
    }

    /// What remembers the last clear of a shard of all resources: each commit of a new resource reads it.
    pub(crate) fn cleared(&self, shard: u8) -> Item {
        key_of(format!("{}p:*:{shard}", self.prefix), ONLY)
    }

    /// The same for the shard of one resource.
    pub(crate) fn cleared_of(&self, key: &CacheKey) -> Item {
        self.cleared(shard(key.as_bytes(), SHARDS))
    }

    pub(crate) fn lease(&self, key: &CacheKey) -> Item {
        key_of(format!("{}l:{key}", self.prefix), ONLY)
    }

    /// What connecting tries its permissions on.
    pub(crate) fn probe(&self, id: &BodyId) -> Item {
        key_of(format!("{}x:{id}", self.prefix), ONLY)
    }
}

fn shard(id: &[u8], shards: u8) -> u8 {
    id.iter().fold(0, |all, byte| all ^ byte) % shards
}

/// The bytes that were written in hex.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        // `from_str_radix` would take a sign.
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// An update expression, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Expression(String);

impl Expression {
    pub(crate) fn push(&mut self, between: &str, piece: impl std::fmt::Display) {
        let between = if self.0.is_empty() { "" } else { between };
        // A string takes whatever is written to it.
        let _ = write!(self.0, "{between}{piece}");
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_share_no_names() {
        let of = |name: &str| Keys::new(&Namespace::new(name).unwrap());
        assert!(!of("ab").all(1).starts_with(&*of("a").prefix));
        assert_eq!(
            of("a").resource(&CacheKey::from_bytes([0xab; 32])),
            format!("http-cache:1:a:r:{}", "ab".repeat(32))
        );
    }

    #[test]
    fn hex_reads_back_and_nothing_else_does() {
        assert_eq!(unhex::<2>("0aff"), Some([0x0a, 0xff]));
        for wrong in ["0af", "0aff0", "0a+f", "0axf", "", "0aé"] {
            assert_eq!(unhex::<2>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shards_are_in_range() {
        for byte in 0..=255 {
            assert!(shard(&[byte, 3], TAG_SHARDS) < TAG_SHARDS && shard(&[byte], SHARDS) < SHARDS);
        }
    }
}
