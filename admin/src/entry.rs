use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache_api::{CacheKey, Error, Found, Head, Result, StoredHead, TagDigest, VariantId, Version};
use cache_engine::policy::{Freshness, Options};
use http::{Method, StatusCode};

use crate::Admin;

/// One stored entry without its body, judged at the time it was looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryInfo {
    /// The resource.
    pub key: CacheKey,
    /// Which variant of it.
    pub variant: VariantId,
    /// Its version.
    pub version: Version,
    /// The length of its body in bytes of plaintext.
    pub len: u64,
    /// The digests of its tags. The tags themselves are not stored.
    pub tags: Arc<[TagDigest]>,
    /// When it was stored, or its head last replaced.
    pub stored_at: SystemTime,
    /// When the store may drop it.
    pub dead_at: SystemTime,
    /// When it was last used; `None` where the storage keeps no such time, and of an entry that was looked up
    /// ([`Admin::get`]) and not listed. Uses are recorded in batches: it may lag.
    pub used_at: Option<SystemTime>,
    /// Of what use it is now.
    pub state: State,
    uses: Option<u64>,
    head: StoredHead,
    freshness: Option<Freshness>,
    damage: Option<Arc<Error>>,
    seen_at: SystemTime,
}

/// Of what use a stored entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It is served without asking the origin.
    Fresh,
    /// Past its freshness, and within the time in which it may still be served while it is refreshed, or in place of a
    /// failing origin (RFC 5861), as itself or the options say.
    Stale,
    /// Past its freshness and its stale windows, or `no-cache`: the origin is asked first. With a validator that may cost
    /// no transfer.
    Expired,
    /// Its head cannot be read: damaged, of another serializer, key or release, or something else. It is a miss.
    Invalid,
}

impl State {
    /// The state of an entry with this freshness under these options.
    #[must_use]
    pub fn of(freshness: &Freshness, options: &Options, now: SystemTime) -> Self {
        if freshness.no_cache {
            return Self::Expired;
        }
        if freshness.is_fresh(now) {
            return Self::Fresh;
        }
        let windows = [freshness.stale_while_revalidate, freshness.stale_if_error, options.stale_if_error];
        let window = windows.into_iter().flatten().max().filter(|_| freshness.may_be_stale());
        match window {
            Some(window) if freshness.stale_for(now) < window => Self::Stale,
            _ => Self::Expired,
        }
    }
}

impl EntryInfo {
    /// Decodes the head of what was found, and judges it.
    ///
    /// # Errors
    /// Where the serializer fails otherwise than by the bytes: a key service that does not answer makes no entry
    /// invalid.
    pub(crate) async fn of(admin: &Admin, found: Found, now: SystemTime) -> Result<Self> {
        let place = admin.place(found.key, found.variant, found.version.body);
        let (freshness, damage) = match found.head.decode(&*admin.serializer, &place).await {
            Ok(head) => (Some(Freshness::of(head, &admin.options)), None),
            Err(error) if error.is_corrupt() => (None, Some(Arc::new(error))),
            Err(error) => return Err(error),
        };
        let state = match &freshness {
            Some(freshness) => State::of(freshness, &admin.options, now),
            None => State::Invalid,
        };
        let Found { key, variant, version, head, len, tags, stored_at, dead_at, used_at, uses, .. } = found;
        Ok(Self {
            key,
            variant,
            version,
            len,
            tags,
            stored_at,
            dead_at,
            used_at,
            state,
            uses,
            head,
            freshness,
            damage,
            seen_at: now,
        })
    }

    /// How often it was served without asking the origin since it was stored; `None` where the storage does not count,
    /// and of an entry that was looked up ([`Admin::get`]) and not listed.
    ///
    /// A stored answer that the origin confirms goes on counting, one that takes its place begins at 0. It is approximate
    /// ([`Found::uses`]): hits are told to the storage in batches, and this lags by those that other processes hold back.
    #[must_use]
    pub fn hits(&self) -> Option<u64> {
        self.uses
    }

    /// The head; `None` where it cannot be read.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.value().filter(|_| self.damage.is_none())
    }

    /// Why the head cannot be read.
    #[must_use]
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_deref()
    }

    /// The target URI, without fragment and credentials. Its query is as it was sent, and may hold secrets.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.head().map(|head| &*head.url)
    }

    /// The method of the request that was answered.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.head().map(|head| &head.method)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.head().map(|head| head.status)
    }

    /// When the response arrived, or was last confirmed by the origin.
    #[must_use]
    pub fn created(&self) -> Option<SystemTime> {
        self.head().map(|head| head.responded_at)
    }

    /// When it stops, or stopped, being fresh. What is `no-cache` is used only after validation, whatever this says.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.freshness.as_ref().map(Freshness::fresh_until)
    }

    /// Its age when it was looked at (RFC 9111 §4.2.3).
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.freshness.as_ref().map(|freshness| freshness.age(self.seen_at))
    }

    /// All that time does to it.
    #[must_use]
    pub fn freshness(&self) -> Option<&Freshness> {
        self.freshness.as_ref()
    }
}
