use std::{sync::Arc, time::Duration};

use cache_api::{CacheKey, Head, TagDigest, VariantId};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::{clock::Clock, payload::Payload};

/// An entry to be stored, with all that must come back.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) key: CacheKey,
    pub(crate) variant: VariantId,
    pub(crate) head: Head,
    pub(crate) payload: Payload,
    /// Whether a body that fits inline is written as a stored one.
    pub(crate) stored: bool,
    pub(crate) tags: Arc<[TagDigest]>,
    /// From storing to `dead_at`.
    pub(crate) life: Duration,
}

impl Draft {
    /// An entry with an inline body of 100 bytes that lives for an hour.
    pub(crate) fn new(key: CacheKey, seed: u64, clock: &Clock) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("x-seed", HeaderValue::from(seed));
        let now = clock.now();
        let head =
            Head::new(Method::GET, "https://origin.example/resource", StatusCode::OK, headers, now, now);
        Self {
            key,
            variant: VariantId::ONLY,
            head,
            payload: Payload::new(seed, 100),
            stored: false,
            tags: Arc::new([]),
            life: Duration::from_secs(3600),
        }
    }

    pub(crate) fn variant(mut self, variant: VariantId) -> Self {
        self.variant = variant;
        self
    }

    /// A body of that length: inline if it fits.
    pub(crate) fn len(mut self, seed: u64, len: u64) -> Self {
        self.payload = Payload::new(seed, len);
        self
    }

    /// A body that is written frame by frame, however small.
    pub(crate) fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    pub(crate) fn tags(mut self, tags: &[TagDigest]) -> Self {
        self.tags = tags.into();
        self
    }

    pub(crate) fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.head.headers.append(HeaderName::from_static(name), value);
        self
    }
}
