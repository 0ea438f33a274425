use std::{fmt, sync::Arc};

use crate::{Error, ErrorKind, Result};

/// Declares a fixed-size identifier that shows as lower-case hex.
macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The identifier made of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes, as a storage keeps them.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads the identifier back from a store.
            ///
            /// # Errors
            /// [`ErrorKind::Corrupt`] when `bytes` has another length.
            pub fn try_from_slice(bytes: &[u8]) -> Result<Self> {
                bytes.try_into().map(Self).map_err(|_| {
                    Error::new(ErrorKind::Corrupt, "decode")
                        .with_message(concat!(stringify!($name), " of a wrong length"))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes_id! {
    /// A resource: the 32-byte digest that a [`KeyFn`](crate::KeyFn) makes of a request.
    CacheKey, 32
}

bytes_id! {
    /// One variant of a resource, as `Vary` tells them apart. [`VariantId::ONLY`] where nothing varies.
    VariantId, 16
}

bytes_id! {
    /// One body: random, and never used again for another.
    BodyId, 16
}

bytes_id! {
    /// The generation of a resource: it changes with each removal, and with nothing else.
    ///
    /// [`Generation::NONE`] stands for a resource that was not removed within living memory. Where a record
    /// can be lost and made anew, generations must be [random](Generation::random): a counter that starts
    /// again would bring an old one back.
    Generation, 16
}

bytes_id! {
    /// The purge epoch of a namespace: what `clear` (and, where a store orders them so, a purge by tag) moves.
    Epoch, 16
}

bytes_id! {
    /// A tag, as a storage sees it.
    TagDigest, 16
}

impl VariantId {
    /// The variant of a resource whose responses name no request field in `Vary`.
    pub const ONLY: Self = Self([0; 16]);
}

impl Generation {
    /// The generation of a resource that was not removed within living memory.
    pub const NONE: Self = Self([0; 16]);

    /// A new generation.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        random().map(Self)
    }

    /// The generation for a counter that lives as long as all that compares it.
    #[must_use]
    pub fn from_counter(counter: u64) -> Self {
        Self(u128::from(counter).to_be_bytes())
    }
}

impl Epoch {
    /// The epoch of a namespace in which nothing was purged yet.
    pub const NONE: Self = Self([0; 16]);

    /// A new epoch.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        random().map(Self)
    }
}

impl BodyId {
    /// A new body's id.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        random().map(Self)
    }
}

impl TagDigest {
    /// The digest of a tag.
    #[must_use]
    pub fn of(tag: &str) -> Self {
        Self::truncate(blake3::Hasher::new().update(b"http-cache/tag/1\0").update(tag.as_bytes()))
    }

    /// The digest of a tag under a secret: who reads the store cannot test a guess.
    #[must_use]
    pub fn keyed(secret: &[u8; 32], tag: &str) -> Self {
        Self::truncate(blake3::Hasher::new_keyed(secret).update(tag.as_bytes()))
    }

    fn truncate(hasher: &blake3::Hasher) -> Self {
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::new(ErrorKind::Other, "random").with_source(e))?;
    Ok(bytes)
}

/// The version of a stored variant: its body, and how often its head was replaced since.
///
/// A version never comes back, since a [`BodyId`] is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The body.
    pub body: BodyId,
    /// 0 when the body was committed; one more at each head that replaced another.
    pub head: u32,
}

/// A part of a store that shares nothing with the others.
///
/// It matches `[a-z0-9_-]{1,48}`, so that every store can use it in a name between delimiters.
///
/// ```
/// use cache_api::Namespace;
///
/// assert_eq!(Namespace::new("search-api")?.as_str(), "search-api");
/// assert!(Namespace::new("Search:API").is_err());
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 48;

    /// The namespace of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the name does not match `[a-z0-9_-]{1,48}`.
    pub fn new(name: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.bytes().all(allowed) {
            return Err(Error::new(ErrorKind::Config, "namespace").with_message(format!(
                "{name:?} is no namespace: use 1 to {} of a-z, 0-9, '_' and '-'",
                Self::MAX_LEN
            )));
        }
        Ok(Self(name.into()))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    /// The namespace `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_delimitable() {
        for good in ["a", "default", "a-b_c9", &"x".repeat(48)] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a:b", "a b", "{a}", "é", "a/b", &"x".repeat(49)] {
            assert!(Namespace::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn ids_read_back_from_their_bytes_only() {
        let id = BodyId::random().unwrap();
        assert_eq!(BodyId::try_from_slice(id.as_bytes()).unwrap(), id);
        assert!(BodyId::try_from_slice(&id.as_bytes()[1..]).unwrap_err().is_corrupt());
        assert_ne!(BodyId::random().unwrap(), id);
    }

    #[test]
    fn a_keyed_tag_is_another() {
        assert_ne!(TagDigest::of("product-1"), TagDigest::keyed(&[7; 32], "product-1"));
        assert_ne!(TagDigest::of("product-1"), TagDigest::of("product-2"));
    }
}
