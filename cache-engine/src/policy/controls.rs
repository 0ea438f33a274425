use std::time::{Duration, SystemTime};

use cache_api::{Head, Secrets};
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use super::{Expiry, Freshness, InvalidSetting, Options, Reason};

/// What one request asks of the cache, beside its header fields. None of it is ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Controls {
    /// Answered from the store or with 504; the origin is not asked.
    pub only_if_cached: bool,
    /// Fetched anew without conditions; the answer replaces what is stored.
    pub reload: bool,
    /// Never a plain hit: what is stored is validated first.
    pub revalidate: bool,
    /// The answer is not stored; what is stored already may be served.
    pub no_store: bool,
    /// The cache is neither read nor written. (An unsafe method still invalidates.)
    pub bypass: bool,
    /// Any age will do, as `max-stale` without a value. `must-revalidate` and `no-cache` still hold.
    pub stale_ok: bool,
    /// The window of stale-if-error for this request, instead of all others; zero turns it off.
    pub stale_if_error: Option<Duration>,
    /// Whatever is stored will do, of any age, and even where `must-revalidate` or `no-cache` want it validated; the origin is
    /// asked only where nothing is. In a shared cache without a tenant these two hold, as with `stale_ok`.
    pub force_cache: bool,
    /// How long the answer is fresh, for all who get it out of the store; where the order of
    /// [precedence](Options::precedence) lets the request say it.
    /// What the origin answers later, to a request that says nothing of it, is dated anew.
    pub expiry: Option<Expiry>,
    /// The answer is stored although its header fields forbid it, as with [`Options::always_cache`].
    pub always_cache: bool,
    /// The storage is left as it is: what is stored may be served, and nothing is stored, freshened or removed, as with
    /// [`Options::read_only`].
    pub read_only: bool,
}

/// A request as the policy sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestView<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target URI.
    pub url: &'a Url,
    /// Its header fields, as the origin would see them.
    pub headers: &'a HeaderMap,
    /// What the caller asks of the cache.
    pub controls: Controls,
    /// The resource's key: it salts the digests of selecting fields.
    pub key: &'a [u8; 32],
    /// A number between 0 and 1, drawn for this request: by it and [`Options::early_refresh`] a fresh response is
    /// refreshed early. Never without.
    pub chance: Option<f64>,
    /// The values of the request that must leave no trace in the store; only for what becomes of an answer.
    pub secrets: Option<&'a Secrets>,
}

/// A stored response as the policy sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StoredView<'a> {
    /// What is stored of it beside the body.
    pub head: &'a Head,
    /// The length of the stored body, where it is known. Ranges are answered only then.
    pub body_len: Option<u64>,
    freshness: Option<Freshness>,
}

/// A response of the origin as the policy sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseView<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its protocol version.
    pub version: Version,
    /// Its header fields, as received.
    pub headers: &'a HeaderMap,
    /// When the request was sent.
    pub requested_at: SystemTime,
    /// When the response's head arrived.
    pub responded_at: SystemTime,
    /// Why it is kept out of the store, whatever the rules say of it.
    pub(crate) refused: Option<Reason>,
}

impl Controls {
    /// Nothing is asked.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            only_if_cached: false,
            reload: false,
            revalidate: false,
            no_store: false,
            bypass: false,
            stale_ok: false,
            stale_if_error: None,
            force_cache: false,
            expiry: None,
            always_cache: false,
            read_only: false,
        }
    }

    /// Whether they can be had together.
    ///
    /// # Errors
    /// The first two that contradict each other, by name.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        // Each contradiction has one of these.
        if !(self.only_if_cached
            || self.force_cache
            || self.bypass
            || self.no_store
            || self.always_cache
            || self.read_only)
        {
            return Ok(());
        }
        let stores = self.expiry.is_some_and(|expiry| expiry != Expiry::DoNotStore);
        let pairs = [
            ("only_if_cached", self.only_if_cached, "reload", self.reload),
            ("only_if_cached", self.only_if_cached, "revalidate", self.revalidate),
            ("only_if_cached", self.only_if_cached, "bypass", self.bypass),
            ("force_cache", self.force_cache, "reload", self.reload),
            ("force_cache", self.force_cache, "revalidate", self.revalidate),
            ("force_cache", self.force_cache, "bypass", self.bypass),
            ("bypass", self.bypass, "reload", self.reload),
            ("bypass", self.bypass, "revalidate", self.revalidate),
            ("bypass", self.bypass, "expiry", stores),
            ("bypass", self.bypass, "always_cache", self.always_cache),
            ("no_store", self.no_store, "expiry", stores),
            ("no_store", self.no_store, "always_cache", self.always_cache),
            ("read_only", self.read_only, "expiry", stores),
            ("read_only", self.read_only, "always_cache", self.always_cache),
            ("always_cache", self.always_cache, "expiry", self.expiry == Some(Expiry::DoNotStore)),
        ];
        match pairs.into_iter().find(|(_, one, _, other)| *one && *other) {
            Some((one, _, other, _)) => Err(InvalidSetting::new(one, format!("contradicts `{other}`"))),
            None => Ok(()),
        }
    }
}

impl<'a> RequestView<'a> {
    /// A request without controls.
    #[must_use]
    pub fn new(method: &'a Method, url: &'a Url, headers: &'a HeaderMap, key: &'a [u8; 32]) -> Self {
        Self { method, url, headers, controls: Controls::new(), key, chance: None, secrets: None }
    }

    /// The same with controls.
    #[must_use]
    pub fn with_controls(mut self, controls: Controls) -> Self {
        self.controls = controls;
        self
    }
}

impl<'a> RequestView<'a> {
    /// The same with a number between 0 and 1.
    #[must_use]
    pub fn with_chance(mut self, chance: impl Into<Option<f64>>) -> Self {
        self.chance = chance.into();
        self
    }

    /// The same with the values that must leave no trace in the store.
    #[must_use]
    pub fn with_secrets(mut self, secrets: impl Into<Option<&'a Secrets>>) -> Self {
        self.secrets = secrets.into();
        self
    }
}

impl<'a> StoredView<'a> {
    /// A stored response whose body's length is not known.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { head, body_len: None, freshness: None }
    }

    /// The same with the length of the stored body.
    #[must_use]
    pub fn with_body_len(mut self, len: impl Into<Option<u64>>) -> Self {
        self.body_len = len.into();
        self
    }

    /// The same with its freshness, computed earlier under the same options; it spares the parsing of its fields.
    #[must_use]
    pub fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = Some(freshness);
        self
    }

    /// Its freshness: the one given, or computed here.
    #[must_use]
    pub fn freshness(&self, options: &Options) -> Freshness {
        self.freshness.unwrap_or_else(|| Freshness::of(self.head, options))
    }
}

impl<'a> ResponseView<'a> {
    /// An HTTP/1.1 response.
    #[must_use]
    pub fn new(
        status: StatusCode,
        headers: &'a HeaderMap,
        requested_at: SystemTime,
        responded_at: SystemTime,
    ) -> Self {
        Self { status, version: Version::HTTP_11, headers, requested_at, responded_at, refused: None }
    }

    /// The same, kept out of the store for that reason.
    #[must_use]
    pub(crate) fn with_refusal(mut self, refused: Option<Reason>) -> Self {
        self.refused = refused;
        self
    }

    /// The same with another protocol version.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }
}
