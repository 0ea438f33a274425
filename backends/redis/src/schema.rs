//! Names of keys and channels.
//!
//! All keys of a resource have one hash tag, `{PREFIX:NAMESPACE:SHARD}`, so that they lie in one slot of a
//! cluster and a script can take them all at once. Neither a prefix nor a namespace contains a colon at its end
//! or a brace, so that no two of them begin alike.

use std::fmt::Write as _;

use cache_api::{BodyId, CacheKey, Namespace};

/// In how many shards a namespace lies. It is part of the layout: all users of a namespace must agree.
pub(crate) const SHARDS: u8 = u8::MAX;

/// The keys of one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// As `http-cache:1:default`: the `1` is the version of the layout.
    base: String,
}

/// The keys of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Shard(String);

impl Keys {
    pub(crate) fn new(prefix: &str, namespace: &Namespace) -> Self {
        Self { base: format!("{prefix}:1:{namespace}") }
    }

    pub(crate) fn shard(&self, number: u8) -> Shard {
        Shard(format!("{{{}:{number:02x}}}:", self.base))
    }

    /// The shard of a resource.
    pub(crate) fn of(&self, key: &CacheKey) -> Shard {
        self.shard(shard_number(key))
    }

    /// The channel of what happens in the namespace.
    pub(crate) fn events(&self) -> String {
        format!("{{{}}}:events", self.base)
    }

    /// A channel by which one subscription talks to itself. In a cluster it is one node's, as the other.
    pub(crate) fn echo(&self, subscription: &str) -> String {
        format!("{{{}}}:events:{subscription}", self.base)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Shard> + '_ {
        (0..=SHARDS).map(|number| self.shard(number))
    }
}

/// FNV-1a over the key, folded: even keys that are no digests are spread.
pub(crate) fn shard_number(key: &CacheKey) -> u8 {
    let hash = key
        .as_bytes()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_le_bytes().into_iter().fold(0, |fold, byte| fold ^ byte)
}

impl Shard {
    /// Its state: epoch and removals.
    pub(crate) fn state(&self) -> String {
        format!("{}s", self.0)
    }

    /// The index of its variants.
    pub(crate) fn index(&self) -> String {
        format!("{}i", self.0)
    }

    /// The index of its variants by tag.
    pub(crate) fn tags(&self) -> String {
        format!("{}t", self.0)
    }

    /// The bodies to be deleted, by time.
    pub(crate) fn due(&self) -> String {
        format!("{}d", self.0)
    }

    /// The index of what was cleared.
    pub(crate) fn cleared(&self) -> String {
        format!("{}c", self.0)
    }

    /// What the keys of resources begin with.
    pub(crate) fn resources(&self) -> String {
        format!("{}r:", self.0)
    }

    /// What the keys of bodies begin with.
    pub(crate) fn bodies(&self) -> String {
        format!("{}b:", self.0)
    }

    pub(crate) fn resource(&self, key: &CacheKey) -> String {
        format!("{}r:{key}", self.0)
    }

    pub(crate) fn body(&self, body: &BodyId) -> String {
        format!("{}b:{body}", self.0)
    }

    pub(crate) fn lease(&self, key: &CacheKey) -> String {
        format!("{}l:{key}", self.0)
    }

    /// A key that nothing but the check at connecting uses.
    pub(crate) fn probe(&self, name: &str) -> String {
        format!("{}p:{name}", self.0)
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The bytes of some lower-case hex; `None` for anything else.
pub(crate) fn unhex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_resource_have_one_hash_tag() {
        let keys = Keys::new("http-cache", &Namespace::new("a-b").unwrap());
        let key = CacheKey::from_bytes([7; 32]);
        let shard = keys.of(&key);
        let tag = format!("{{http-cache:1:a-b:{:02x}}}:", shard_number(&key));
        let body = BodyId::from_bytes([1; 16]);
        for name in [
            shard.state(),
            shard.index(),
            shard.tags(),
            shard.due(),
            shard.cleared(),
            shard.resource(&key),
            shard.body(&body),
            shard.lease(&key),
            shard.probe("a"),
        ] {
            assert!(name.starts_with(&tag), "{name} does not begin with {tag}");
        }
    }

    #[test]
    fn keys_are_spread_over_all_shards() {
        let mut seen = [0_u32; 256];
        for number in 0..25_600_u32 {
            let mut bytes = [0; 32];
            bytes[8..12].copy_from_slice(&number.to_le_bytes());
            seen[usize::from(shard_number(&CacheKey::from_bytes(bytes)))] += 1;
        }
        assert!(seen.iter().all(|count| (30..300).contains(count)), "{seen:?}");
    }

    #[test]
    fn hex_and_back() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(unhex(b"00abff"), Some([0, 0xab, 0xff]));
        assert_eq!(unhex::<3>(b"00abf"), None);
        assert_eq!(unhex::<3>(b"00ABFF"), None);
        assert_eq!(unhex::<2>(b"00abff"), None);
    }
}
