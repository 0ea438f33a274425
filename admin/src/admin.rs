use std::{fmt, sync::Arc, time::SystemTime};

use cache_api::{
    BodyId, CacheKey, Error, ErrorKind, KeyFn, Keyed, Listing, Place, Result, Serializer, Storage, VariantId,
};
use cache_engine::{Clock, SystemClock, default_key, policy::Options};
use futures_util::future::BoxFuture;

use crate::Target;

/// Has a client tell the storage what it holds back.
type Flush = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// One storage, seen as a whole: lists its entries, removes, re-dates, copies and exports them.
///
/// Give it what the clients of the storage have: the same serializer, or each head is
/// [invalid](crate::State::Invalid), and the same options and key function, or it judges freshness and finds resources in
/// another way than they do. It holds no lock and may work beside them. It has neither deadlines nor a breaker: what it is
/// asked for may take as long as the store does.
///
/// It is cheap to clone.
///
/// ```
/// # async fn example() -> cache_api::Result<()> {
/// use std::{pin::pin, sync::Arc};
///
/// use cache_admin::{Admin, EntryFilter, UrlPattern};
/// use cache_api::{CborSerializer, Storage};
/// use cache_backend_memory::MemoryStorage;
/// use futures_util::TryStreamExt;
///
/// let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
/// let admin = Admin::new(storage, Arc::new(CborSerializer::new()));
/// let images = EntryFilter::all().pattern(UrlPattern::new("*.example.com", "/images/**")?);
/// let mut entries = admin.entries(&images)?;
/// while let Some(entry) = entries.try_next().await? {
///     println!("{:?} {} bytes, {:?}", entry.url(), entry.len, entry.state);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Admin {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    key: Option<Arc<dyn KeyFn>>,
    flush: Option<Arc<Flush>>,
}

impl Admin {
    /// Over that storage, whose entries are encoded so. With the policy's default options, the keys that go with them,
    /// and the system's clock.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, serializer: Arc<dyn Serializer>) -> Self {
        Self {
            storage,
            serializer,
            options: Options::new(),
            clock: Arc::new(SystemClock),
            key: None,
            flush: None,
        }
    }

    /// Judges freshness by these options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Finds resources by these keys. By default they are made as the engine makes them under the
    /// [options](Admin::with_options).
    #[must_use]
    pub fn with_key(mut self, key: Arc<dyn KeyFn>) -> Self {
        self.key = Some(key);
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Does this before it lists: has a client tell the storage of the uses that it held back, so that
    /// [`hits`](crate::EntryInfo::hits) has them. With [`Engine::flush_uses`](cache_engine::Engine::flush_uses) of an
    /// engine over the same storage.
    #[must_use]
    pub fn with_flush<F, Flushed>(mut self, flush: F) -> Self
    where
        F: Fn() -> Flushed + Send + Sync + 'static,
        Flushed: Future<Output = ()> + Send + 'static,
    {
        self.flush = Some(Arc::new(move || Box::pin(flush())));
        self
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The key of a resource; `None` where the key function lets such a request pass the cache.
    ///
    /// # Errors
    /// What the key function reports.
    pub async fn key_of(&self, target: &Target) -> Result<Option<CacheKey>> {
        let view = self.options.redactor.key_view(&target.request(self.storage.namespace()));
        let request = view.request();
        let keyed = match &self.key {
            Some(key) => key.key(&request).await?,
            None => Keyed::Key(default_key(self.options.mode).of(&request)),
        };
        Ok(match keyed {
            Keyed::Key(key) => Some(key),
            _ => None,
        })
    }

    pub(crate) async fn flush(&self) {
        if let Some(flush) = &self.flush {
            flush().await;
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn place(&self, key: CacheKey, variant: VariantId, body: BodyId) -> Place {
        Place::head(self.storage.namespace(), key, variant, body)
    }

    pub(crate) fn listing(&self) -> Result<&dyn Listing> {
        self.storage.abilities().listing.ok_or_else(|| self.lacks("list", "listing"))
    }

    pub(crate) fn lacks(&self, operation: &'static str, ability: &str) -> Error {
        Error::new(ErrorKind::Config, operation)
            .with_message(format!("{} has no {ability}: use another storage", self.storage))
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("storage", &self.storage.to_string())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
