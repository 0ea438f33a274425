//! What the builder configures of the cache itself.

use std::sync::Arc;
use std::time::Duration;

use cache_api::{KeyFn, Redactor, Serializer, Storage};
use cache_engine::Clock;
use cache_engine::policy::{Fallback, Mode, Options};
use http::HeaderName;

use super::CachedClientBuilder;
use crate::storage::{StorageBuilder, StorageChoice};

/// Where answers are kept. The last of these counts; without any of them it is in memory.
impl<C> CachedClientBuilder<C> {
    /// Keeps answers in this storage, which other clients may share.
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = StorageChoice::Given(storage);
        self
    }

    /// Keeps answers in the storage that a backend's builder describes. It is opened by
    /// [`CachedClientBuilder::build`].
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # async fn example() -> client_reqwest::Result<()> {
    /// use client_reqwest::{CachedClient, SqliteStorage};
    ///
    /// let file = SqliteStorage::builder().path("http-cache.sqlite").max_size(512 << 20);
    /// let client = CachedClient::builder().storage_builder(file).build().await?;
    /// # Ok(()) }
    /// ```
    pub fn storage_builder(mut self, builder: impl StorageBuilder) -> Self {
        self.storage = StorageChoice::Built(Box::pin(builder.open()));
        self
    }

    /// Keeps answers in the storage that this URL names; [`storage_from_url`](crate::storage_from_url) lists them.
    /// It is opened by [`CachedClientBuilder::build`].
    pub fn storage_url(mut self, url: impl Into<String>) -> Self {
        self.storage = StorageChoice::Url(url.into());
        self
    }

    /// Keeps answers where [`CachedClient::for_app`](crate::CachedClient::for_app) does, and keeps those that say
    /// nothing of their freshness for ten minutes, unless [`CachedClientBuilder::fallback`] or
    /// [`CachedClientBuilder::options`] is set afterwards.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.storage = StorageChoice::App(name.into());
        self.fallback(Fallback::ten_minutes())
    }

    /// Caches nothing. The client has the same type and behaves the same in all else.
    pub fn disabled(mut self) -> Self {
        self.storage = StorageChoice::Disabled;
        self
    }
}

/// What is cached, for whom, and for how long.
impl<C> CachedClientBuilder<C> {
    /// All settings of the policy at once, in place of those set before.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Whether one user or several are behind this cache; [`Mode::Private`] by default.
    ///
    /// A private cache tells requests apart by `Authorization` and `Cookie`, so that one client may speak for
    /// several users. A shared cache goes by what the origin says (`private`, `Vary`, RFC 9111 §3.5 for
    /// `Authorization`) and by the [tenant](CachedClientBuilder::tenant): an answer that depends on a cookie and
    /// does not say so is served to all.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.options.mode = mode;
        self
    }

    /// How long answers are fresh that say nothing of it (GET and HEAD, 2xx); by default the heuristic of RFC 9111
    /// §4.2.2 decides.
    pub fn fallback(mut self, fallback: impl Into<Option<Fallback>>) -> Self {
        self.options.fallback = fallback.into();
        self
    }

    /// The tenant on whose behalf requests are made that name none of their own: what is stored for one tenant is
    /// never served to another. None by default.
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// How keys are made, in place of the default: method class, URL and body, and in private mode `Authorization`
    /// and `Cookie`. A key that leaves out what answers depend on serves one user's answer to another.
    pub fn key_fn(mut self, key: Arc<dyn KeyFn>) -> Self {
        self.engine = self.engine.key(key);
        self
    }

    /// Requests that differ in these fields are different resources, whatever `Vary` says; none by default, beside
    /// `Authorization` and `Cookie` in private mode. Not together with [`key_fn`](Self::key_fn), which decides alone.
    pub fn match_headers(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.engine = self.engine.match_headers(fields);
        self
    }

    /// Requests that differ in any field are different resources, but for the fields of a connection and those that are
    /// others for each request: [`DefaultKey::with_all_headers`](cache_api::DefaultKey::with_all_headers) lists them. Not
    /// together with [`key_fn`](Self::key_fn).
    pub fn match_all_headers(mut self) -> Self {
        self.engine = self.engine.match_all_headers();
        self
    }

    /// What of requests leaves no trace in the storage (tokens and keys in URLs, forms, JSON bodies and header fields), and
    /// what of that does not count in the key. By default nothing is redacted.
    ///
    /// [`Redactor::default`] knows usual names of secrets, and keeps telling requests apart by them. What a redactor
    /// [ignores](Redactor::ignore) does not tell them apart: see there before several users go through one client.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # async fn example() -> client_reqwest::Result<()> {
    /// use client_reqwest::{CachedClient, Redactor, RequestPart};
    ///
    /// let redactor = Redactor::default().ignore(RequestPart::Query, ["utm_source", "utm_campaign"]);
    /// let client = CachedClient::builder().storage_url("memory://").redactor(redactor).build().await?;
    /// # Ok(()) }
    /// ```
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.options.redactor = redactor;
        self
    }

    /// The largest body that is stored, in bytes; no limit by default beside the storage's own.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.engine = self.engine.max_body(bytes);
        self
    }

    /// The response fields that name an answer's tags, as words between commas or white space; `Cache-Tag` and
    /// `Surrogate-Key` by default. [`CachedClient::purge_tags`](crate::CachedClient::purge_tags) removes by them.
    pub fn tag_fields(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.engine = self.engine.tag_fields(fields);
        self
    }

    /// The most tags that an entry may have; 128 by default. An answer with more is not stored.
    pub fn max_tags(mut self, tags: usize) -> Self {
        self.engine = self.engine.max_tags(tags);
        self
    }

    /// The name under which the cache speaks in the `Cache-Status` field (RFC 9211) of each answer that passed
    /// through it, `http-cache` by default; `None` turns the field off.
    pub fn cache_status<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.cache_status = name.into().map(Into::into);
        self
    }
}

/// How the cache works.
impl<C> CachedClientBuilder<C> {
    /// How entries are encoded; CBOR by default.
    pub fn serializer(mut self, serializer: Arc<dyn Serializer>) -> Self {
        self.engine = self.engine.serializer(serializer);
        self
    }

    /// Where the cache gets the time from; the system's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.engine = self.engine.clock(clock);
        self
    }

    /// Whether a failing storage fails the request, with an error that [is the
    /// cache's](crate::Error::is_cache); by default the request goes to the origin.
    pub fn fail_closed(mut self, fail_closed: bool) -> Self {
        self.engine = self.engine.fail_closed(fail_closed);
        self
    }

    /// After how many failures in a row, operations that got no answer in time or no connection, the storage is left
    /// alone: requests then go to the origin without a wait, and with [`fail_closed`](Self::fail_closed) fail at once. 10
    /// by default; with 0 it is asked whatever happens.
    ///
    /// What is to be removed is removed from it all the same, or tried to be.
    pub fn storage_breaker_failures(mut self, failures: u32) -> Self {
        self.engine = self.engine.breaker_failures(failures);
        self
    }

    /// How often a storage that is left alone is tried beside the requests; one that answers is used again. One second
    /// by default.
    pub fn storage_probe_interval(mut self, interval: Duration) -> Self {
        self.engine = self.engine.probe_interval(interval);
        self
    }

    /// How long a lookup, or reading a few frames of a body, may take before the storage counts as failing; one
    /// second by default.
    pub fn storage_read_deadline(mut self, deadline: Duration) -> Self {
        self.engine = self.engine.read_deadline(deadline);
        self
    }

    /// How long writing a frame, a commit or a removal may take before the storage counts as failing; five seconds
    /// by default.
    pub fn storage_write_deadline(mut self, deadline: Duration) -> Self {
        self.engine = self.engine.write_deadline(deadline);
        self
    }

    /// How many bytes of a body may be outstanding for it to be fetched to its end and stored although the caller
    /// dropped it; 64 KiB by default.
    pub fn finish_dropped(mut self, bytes: u64) -> Self {
        self.engine = self.engine.finish_dropped(bytes);
        self
    }

    /// How long a request waits for another's fetch of the same resource, in this process or in another that shares the
    /// storage, before it fetches for itself; 30 seconds by default.
    pub fn wait_for_leader(mut self, wait: Duration) -> Self {
        self.engine = self.engine.wait_for_leader(wait);
        self
    }

    /// How long other processes wait for one that fetches and gives no more sign of life; 5 seconds by default.
    ///
    /// It is the time of the [lease](cache_api::Leases) that is taken before a fetch, and prolonged while it lasts. Zero
    /// takes none: each process then fetches for itself.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.engine = self.engine.lease(lease);
        self
    }

    /// How long it is remembered that an answer must not be stored, so that requests for its resource do not wait for
    /// each other in vain; 5 seconds by default.
    pub fn hit_for_miss(mut self, time: Duration) -> Self {
        self.engine = self.engine.hit_for_miss(time);
        self
    }

    /// How long [`CachedClient::close`](crate::CachedClient::close) waits for work in the background; ten seconds by
    /// default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.engine = self.engine.close_timeout(timeout);
        self
    }
}
