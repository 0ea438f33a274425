//! Names of objects, and how a namespace is laid out.
//!
//! What decides is in one object a resource, replaced by compare-and-set. An object store has no transaction over
//! two objects and no conditional deletion; from that the rest follows:
//!
//! - *A resource is registered before it is stored.* A purge or `clear` first leaves a mark in `s`, then lists `t/`
//!   or `r/` and rewrites every resource that it finds, one that holds nothing too. A commit sees to it that its
//!   resource is listed, reads the resource, then the marks, and replaces what it read. So either it sees the mark,
//!   or the rewriting comes in between and its replacing fails. Where the resource is still what the ticket's
//!   lookup read, byte for byte, and has live variants with all the tags, the marks need not be read: a purge since
//!   would have rewritten it. A purge deletes the registrations that it listed, of the resources that it rewrote:
//!   whoever made one earlier, and has not committed, reads the resource again and registers again.
//! - *What is deleted has a name that is never used again*: bodies, registrations (`t/`), guards (`d/`). A deletion
//!   that comes late, or twice, finds nothing. Leases are the exception, since they are advice.
//! - *A resource's object is deleted in three steps*, when nothing in it can matter to any ticket alive: it is
//!   replaced by a record that says so, which refuses commits for a minute; a guard is left; it is deleted. A
//!   deletion that a client repeats may come minutes later and hit a record made anew, perhaps a removal's. Tickets
//!   of that record name its generation, and so are refused ever after; those of an absent resource name none: as
//!   long as there is a guard, they are refused too, and the resource gets a generation.
//! - *A stored body is swept under its resource's eyes*: the record first says that it is gone (one that was
//!   retired), or that no ticket as old as it commits any more (one never committed). A commit replaces the same
//!   record, so one of the two comes second and sees the other.

use std::time::{Duration, SystemTime};

use cache_api::{BodyId, CacheKey, Namespace, TagDigest};
use object_store::path::Path;

/// The version of this layout: others lie beside it, untouched.
const LAYOUT: &str = "http-cache-1";

/// The names of the objects of one namespace: `[PREFIX/]http-cache-1/NAMESPACE/…`.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    root: String,
}

/// The kinds of objects that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `r/SS/KEY`: resources.
    Resources,
    /// `b/SS/KEY/BODY/N`: frames of stored bodies.
    Bodies,
    /// `t/SS/TAG/KEY/UNIQUE`: registrations.
    Tags,
    /// `l/SS/KEY`: leases.
    Leases,
    /// `d/SS/KEY/UNIQUE`: guards of deleted resources.
    Guards,
    /// `p/UNIQUE`: what `build` tries out.
    Probes,
}

impl Names {
    pub(crate) fn new(prefix: &str, namespace: &Namespace) -> Self {
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self { root: format!("{prefix}{slash}{LAYOUT}/{namespace}") }
    }

    fn path(&self, rest: &str) -> Path {
        Path::from(format!("{}/{rest}", self.root))
    }

    pub(crate) fn all(&self, kind: Kind) -> Path {
        self.path(kind.letter())
    }

    pub(crate) fn marks(&self) -> Path {
        self.path("s")
    }

    pub(crate) fn resource(&self, key: &CacheKey) -> Path {
        self.path(&format!("r/{}/{key}", shard(key.as_bytes())))
    }

    pub(crate) fn lease(&self, key: &CacheKey) -> Path {
        self.path(&format!("l/{}/{key}", shard(key.as_bytes())))
    }

    pub(crate) fn body(&self, key: &CacheKey, body: BodyId) -> Path {
        self.path(&format!("b/{}/{key}/{body}", shard(key.as_bytes())))
    }

    /// In the order of their numbers where a store lists by name.
    pub(crate) fn frame(&self, key: &CacheKey, body: BodyId, number: u32) -> Path {
        self.path(&format!("b/{}/{key}/{body}/{number:08x}", shard(key.as_bytes())))
    }

    pub(crate) fn registered(&self, tag: &TagDigest) -> Path {
        self.path(&format!("t/{}/{tag}", shard(tag.as_bytes())))
    }

    pub(crate) fn registration(&self, tag: &TagDigest, key: &CacheKey, unique: &str) -> Path {
        self.path(&format!("t/{}/{tag}/{key}/{unique}", shard(tag.as_bytes())))
    }

    pub(crate) fn guards(&self, key: &CacheKey) -> Path {
        self.path(&format!("d/{}/{key}", shard(key.as_bytes())))
    }

    pub(crate) fn guard(&self, key: &CacheKey, unique: &str) -> Path {
        self.path(&format!("d/{}/{key}/{unique}", shard(key.as_bytes())))
    }

    pub(crate) fn probe(&self, unique: &str) -> Path {
        self.path(&format!("p/{unique}"))
    }

    /// The parts of a name after its kind and shard; `None` where there is no such name.
    pub(crate) fn parts<'a, const N: usize>(&self, kind: Kind, path: &'a Path) -> Option<[&'a str; N]> {
        let rest = path.as_ref().strip_prefix(&self.root)?.strip_prefix('/')?;
        let mut parts = rest.strip_prefix(kind.letter())?.strip_prefix('/')?.split('/');
        let shard = parts.next()?;
        let parts: Vec<_> = parts.collect();
        (shard.len() == 2).then(|| parts.try_into().ok())?
    }
}

impl Kind {
    fn letter(self) -> &'static str {
        match self {
            Self::Resources => "r",
            Self::Bodies => "b",
            Self::Tags => "t",
            Self::Leases => "l",
            Self::Guards => "d",
            Self::Probes => "p",
        }
    }
}

/// Spreads names over 256 beginnings, which are 256 directories of a file system.
///
/// All bytes take part, so that it does not matter where in a key the randomness lies.
fn shard(id: &[u8]) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(id);
    format!("{:02x}", hash & 0xff)
}

/// A name that nobody else gives: a time, in milliseconds, and randomness.
pub(crate) fn unique(now: SystemTime, random: BodyId) -> String {
    format!("{:012x}{random}", millis(now))
}

/// When a [`unique`] name was given.
pub(crate) fn named_at(unique: &str) -> Option<SystemTime> {
    let (time, random) = unique.split_at_checked(12)?;
    unhex::<16>(random)?;
    let millis = u64::from_str_radix(time, 16).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Twelve digits of hex are enough until the year 10889.
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).min((1 << 48) - 1)
}

pub(crate) fn key(name: &str) -> Option<CacheKey> {
    unhex(name).map(CacheKey::from_bytes)
}

pub(crate) fn body(name: &str) -> Option<BodyId> {
    unhex(name).map(BodyId::from_bytes)
}

pub(crate) fn tag(name: &str) -> Option<TagDigest> {
    unhex(name).map(TagDigest::from_bytes)
}

/// The bytes of some lower-case hex; `None` for anything else.
fn unhex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
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
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new("pre/fix", &Namespace::new("a-b").unwrap())
    }

    #[test]
    fn names_are_read_back() {
        let names = names();
        let (the_key, the_body) = (CacheKey::from_bytes([7; 32]), BodyId::from_bytes([1; 16]));
        let the_tag = TagDigest::from_bytes([2; 16]);
        let path = names.resource(&the_key);
        assert!(path.as_ref().starts_with("pre/fix/http-cache-1/a-b/r/"), "{path}");
        let [name] = names.parts(Kind::Resources, &path).unwrap();
        assert_eq!(key(name), Some(the_key));
        let path = names.frame(&the_key, the_body, 300);
        let [first, second, number] = names.parts(Kind::Bodies, &path).unwrap();
        assert_eq!((key(first), body(second), number), (Some(the_key), Some(the_body), "0000012c"));
        let path = names.registration(&the_tag, &the_key, "u");
        let [first, second, unique] = names.parts(Kind::Tags, &path).unwrap();
        assert_eq!((tag(first), key(second), unique), (Some(the_tag), Some(the_key), "u"));
        assert!(names.parts::<1>(Kind::Resources, &path).is_none());
        assert!(names.parts::<2>(Kind::Tags, &path).is_none());
        let other = Names::new("pre/fix", &Namespace::new("a").unwrap());
        assert!(other.parts::<3>(Kind::Tags, &path).is_none());
    }

    #[test]
    fn a_unique_name_tells_when() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(named_at(&unique(now, BodyId::from_bytes([9; 16]))), Some(now));
        for bad in ["", "0123", "zzzzzzzzzzzz00112233445566778899aabbccddeeff", "018bcfe5687b"] {
            assert_eq!(named_at(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_spread() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..4096_u32 {
            let mut bytes = [0; 32];
            bytes[8..12].copy_from_slice(&number.to_le_bytes());
            seen.insert(shard(&bytes));
        }
        assert_eq!(seen.len(), 256);
    }

    #[test]
    fn only_lower_case_hex_is_read() {
        assert_eq!(unhex::<3>("00abff"), Some([0, 0xab, 0xff]));
        assert_eq!(unhex::<3>("00abf"), None);
        assert_eq!(unhex::<3>("00ABFF"), None);
    }
}
