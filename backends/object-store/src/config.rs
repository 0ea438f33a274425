use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use cache_api::{Limits, Namespace, Result};
use object_store::ObjectStore;

use crate::{
    ObjectStoreStorage,
    connect::{Link, Target},
    storage::Inner,
    url,
};

/// Settings of an [`ObjectStoreStorage`].
///
/// ```no_run
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_object_store::ObjectStoreStorage;
///
/// let storage = ObjectStoreStorage::builder().url("s3://my-bucket/http?region=eu-central-1")?.build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ObjectStoreStorageBuilder {
    pub(crate) target: Target,
    pub(crate) prefix: String,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) clock_skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) lazy: bool,
    pub(crate) create: bool,
}

impl Default for ObjectStoreStorageBuilder {
    fn default() -> Self {
        Self {
            target: Target::Unset,
            prefix: String::new(),
            namespace: Namespace::default(),
            limits: Limits::default(),
            clock_skew: Duration::from_secs(60),
            max_entry_size: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            lazy: false,
            create: true,
        }
    }
}

impl ObjectStoreStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](cache_api::ErrorKind::Config) when the URL is not one of an object store, or has an unknown parameter or a wrong
    /// value; the message names it.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::default().url(url)
    }

    /// Takes the store, and what else it names, from a URL.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn url(self, url: &str) -> Result<Self> {
        url::apply(self, url)
    }

    /// Works over a store of the user's own.
    ///
    /// Its retries and settings are its own. One that ignores conditional puts is refused by
    /// [`build`](Self::build); `LocalFileSystem` has none: use [`directory`](Self::directory).
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.target = Target::Given(store);
        self
    }

    /// Works in the files below a directory, which is created.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.target = Target::Directory(directory.into());
        self
    }

    /// Works in memory of this process: for tests. Clones of what is built share it.
    pub fn memory(mut self) -> Self {
        self.target = Target::Memory;
        self
    }

    /// What the names of all objects begin with, before `http-cache-1/`; nothing by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The namespace; `default` by default.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The time limits of the storage.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How far the clocks of the machines that use the store may be apart; a minute by default.
    ///
    /// A sweep leaves that much longer what refuses writes under way: removals, marks, registrations.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// The largest body that is stored; unbounded by default.
    pub fn max_entry_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_entry_size = bytes.into();
        self
    }

    /// How long connecting may take; 5 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one request may take, retries included; 30 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether to connect with the first operation, rather than in [`build`](Self::build); `false` by default.
    ///
    /// What is wrong with the store then shows at that operation.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// Whether to create what is not there: the directory, the namespace's first object; `true` by default.
    ///
    /// With `false` only a cache that is there is opened, for whoever wants to look into it: [`build`](Self::build) asks
    /// the store for it, [`lazy`](Self::lazy) or not, and writes nothing.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Connects, and does once what the cache relies on, in an object that it deletes.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`](cache_api::ErrorKind::Config): no store is named, a setting cannot work, there is no such bucket, or
    ///   no cache in it where none is to be created.
    /// - [`ErrorKind::Unavailable`](cache_api::ErrorKind::Unavailable), [`ErrorKind::Timeout`](cache_api::ErrorKind::Timeout): nobody answers there.
    /// - [`ErrorKind::Denied`](cache_api::ErrorKind::Denied): the store refuses the credentials, or they lack a permission.
    /// - [`ErrorKind::Incompatible`](cache_api::ErrorKind::Incompatible): the store ignores conditional puts, or has none.
    ///
    /// With [`lazy`](Self::lazy), only those of the kind `Config` that show without asking the store.
    pub async fn build(self) -> Result<ObjectStoreStorage> {
        let link = Arc::new(Link::open(&self)?);
        let inner = Inner::new(link, self.namespace, self.limits, self.clock_skew, self.max_entry_size);
        let inner = Arc::new(inner);
        if !self.create {
            inner.expect_marks("connect").await?;
        } else if !self.lazy {
            inner.ready("connect").await?.prepare_marks("connect").await?;
        }
        Ok(ObjectStoreStorage { inner })
    }
}

impl fmt::Debug for ObjectStoreStorageBuilder {
    /// Shows no settings of the client, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreStorageBuilder")
            .field("target", &self.target.to_string())
            .field("prefix", &self.prefix)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .field("clock_skew", &self.clock_skew)
            .field("max_entry_size", &self.max_entry_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("lazy", &self.lazy)
            .field("create", &self.create)
            .finish()
    }
}
