//! Collections, names of documents, indexes.

use std::time::{Duration, SystemTime};

use cache_api::{BodyId, CacheKey, Limits, Namespace, TagDigest};
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};

/// The collections of a cache, each named by the prefix and this.
pub(crate) const RESOURCES: &str = "resources";
pub(crate) const FRAMES: &str = "frames";
pub(crate) const LEASES: &str = "leases";
pub(crate) const PURGES: &str = "purges";
pub(crate) const COLLECTIONS: [&str; 4] = [RESOURCES, FRAMES, LEASES, PURGES];

/// The names of a namespace's documents.
///
/// Strings, and a `:` behind the namespace, which no namespace has: none is a prefix of another.
#[derive(Clone, Debug)]
pub(crate) struct Names(Namespace);

impl Names {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Self(namespace)
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.0
    }

    /// A resource, and its lease.
    pub(crate) fn resource(&self, key: &CacheKey) -> String {
        format!("{}:{key}", self.0)
    }

    /// The resource of that name.
    pub(crate) fn key(&self, name: &str) -> Option<CacheKey> {
        let hex = name.strip_prefix(self.0.as_str())?.strip_prefix(':')?;
        unhex(hex).map(CacheKey::from_bytes)
    }

    pub(crate) fn frame(&self, body: &BodyId, number: u32) -> String {
        format!("{}:{body}:{number:08x}", self.0)
    }

    /// What all frames of a body have in their field `b`.
    pub(crate) fn body(&self, body: &BodyId) -> String {
        format!("{}:{body}", self.0)
    }

    /// Everything of the namespace in a collection, behind this name.
    pub(crate) fn after(&self, name: &str) -> Bson {
        doc! { "$gt": name, "$lt": format!("{};", self.0) }.into()
    }

    /// What [`after`](Self::after) begins with.
    pub(crate) fn first(&self) -> String {
        format!("{}:", self.0)
    }
}

/// The bytes that these lower-case hex digits stand for.
pub(crate) fn unhex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

pub(crate) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// Tags as an array: in a document, and in a query.
pub(crate) fn tag_array<'a>(tags: impl IntoIterator<Item = &'a TagDigest>) -> Bson {
    Bson::Array(tags.into_iter().map(|tag| binary(tag.as_bytes())).collect())
}

/// Nanoseconds since 1970, saturating: the years 1677 to 2262.
pub(crate) fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => duration_nanos(after),
        Err(before) => duration_nanos(before.duration()).saturating_neg(),
    }
}

pub(crate) fn duration_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A date of the server, not before that instant.
pub(crate) fn date(nanos: i64) -> DateTime {
    DateTime::from_millis(nanos.div_euclid(1_000_000).saturating_add(1))
}

/// How long the server keeps what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) limits: Limits,
    pub(crate) skew: Duration,
}

impl Times {
    /// When a body that is let go at `now` may be deleted.
    pub(crate) fn retired(&self, now: SystemTime) -> i64 {
        nanos(now).saturating_add(duration_nanos(self.limits.read_grace))
    }

    /// Until when a body that is begun at `now` can be committed.
    pub(crate) fn pending(&self, now: SystemTime) -> i64 {
        nanos(now).saturating_add(duration_nanos(self.limits.max_write))
    }

    /// When the server deletes what is of use until then.
    pub(crate) fn gone(&self, until: i64) -> DateTime {
        let keep = self.limits.read_grace.saturating_add(self.skew);
        date(until.saturating_add(duration_nanos(keep)))
    }

    /// When the server deletes what was retired to be readable until then.
    pub(crate) fn retired_gone(&self, until: i64) -> DateTime {
        date(until.saturating_add(duration_nanos(self.skew)))
    }

    /// Until when a resource remembers its generation, whatever it holds: no ticket or registration that is
    /// older than `now` is of any use then.
    pub(crate) fn remembered(&self, now: SystemTime) -> i64 {
        nanos(now).saturating_add(duration_nanos(self.limits.tombstone()))
    }
}

/// The index by which the server deletes.
pub(crate) fn expiry_index() -> Document {
    doc! { "key": { "gone": 1 }, "name": "http_cache_gone", "expireAfterSeconds": 0 }
}

/// The index by which a purge finds what is registered for a tag.
pub(crate) fn tag_index() -> Document {
    doc! { "key": { "n": 1, "t": 1, "_id": 1 }, "name": "http_cache_tags" }
}

/// The index by which the frames of a body are found.
pub(crate) fn body_index() -> Document {
    doc! { "key": { "b": 1 }, "name": "http_cache_body" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_delimited_and_read_back() {
        let names = |name: &str| Names::new(Namespace::new(name).unwrap());
        let key = CacheKey::from_bytes([0xab; 32]);
        let (a, ab) = (names("a"), names("a-b"));
        assert_eq!(a.key(&a.resource(&key)), Some(key));
        assert_eq!(a.key(&ab.resource(&key)), None);
        assert_eq!(ab.key(&a.resource(&key)), None);
        assert_eq!(a.key("a:AB"), None);
        assert!(ab.resource(&key) < a.first() || *ab.resource(&key) >= *"a;");
    }

    #[test]
    fn times_survive_to_the_nanosecond_and_saturate() {
        for nanos_in in [0, 1, -1, 1_700_000_000_123_456_789, i64::MAX] {
            assert_eq!(nanos(time(nanos_in)), nanos_in);
        }
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(nanos(far), i64::MAX);
        assert!(date(1_000_001).timestamp_millis() >= 2);
        let times = Times { limits: Limits::default(), skew: Duration::MAX };
        assert!(times.gone(i64::MAX).timestamp_millis() > 0);
    }
}
