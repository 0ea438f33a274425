use std::{fmt, sync::Arc, time::Duration};

use cache_api::{Limits, Namespace, Result};
use mongodb::{Client, Database};

use crate::{
    MongoStorage,
    connect::{Server, Target},
    error::config,
    schema::Times,
    storage::Inner,
    url,
};

/// Settings of a [`MongoStorage`].
///
/// ```no_run
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_mongo::MongoStorage;
///
/// let storage = MongoStorage::builder().url("mongodb://app:secret@db.internal/app")?.build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MongoStorageBuilder {
    pub(crate) target: Target,
    pub(crate) namespace: Namespace,
    pub(crate) prefix: String,
    pub(crate) limits: Limits,
    pub(crate) clock_skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) lazy: bool,
}

impl Default for MongoStorageBuilder {
    fn default() -> Self {
        Self {
            target: Target::Unset,
            namespace: Namespace::default(),
            prefix: "http_cache".to_owned(),
            limits: Limits::default(),
            clock_skew: Duration::from_secs(60),
            max_entry_size: None,
            connect_timeout: None,
            timeout: Duration::from_secs(10),
            lazy: false,
        }
    }
}

impl MongoStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](cache_api::ErrorKind::Config) when the URL is not one of MongoDB, names no database,
    /// has an unknown parameter or a wrong value, or one that would weaken what the cache promises; the message
    /// names it, and never the password.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::default().url(url)
    }

    /// Takes the server, the database, and what else it names, from a URL.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn url(self, url: &str) -> Result<Self> {
        url::apply(self, url)
    }

    /// Works over the user's own client, in its default database.
    ///
    /// Its time limits and its way to the server are its own; what it says of read and write concern and of read
    /// preference is set aside.
    pub fn client(mut self, client: Client) -> Self {
        self.target = Target::Client(client);
        self
    }

    /// Works in a database of the user's own client.
    pub fn database(mut self, database: Database) -> Self {
        self.target = Target::Database(database);
        self
    }

    /// The namespace; `default` by default.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// What the names of the collections begin with, before a `.`; `http_cache` by default. All users of an entry
    /// must agree.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The time limits of the storage.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How far the clocks of the servers and of the machines that use them may be apart; a minute by default.
    ///
    /// The server keeps everything that much longer.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// The largest body that is stored; unbounded by default.
    pub fn max_entry_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_entry_size = bytes.into();
        self
    }

    /// How long connecting, and finding the primary, may take; 5 seconds by default. Of no effect over the user's
    /// own client.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long one command may take, finding the primary included; 10 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether to connect with the first operation, rather than in [`build`](Self::build); `false` by default.
    ///
    /// What is wrong with the server then shows at that operation.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// Connects, creates the indexes where they are not there, and does once all that the storage will do, with
    /// documents of its own that it deletes.
    ///
    /// # Errors
    /// The kinds are those of [`ErrorKind`](cache_api::ErrorKind).
    ///
    /// - `Config`: no server or database is named, or a setting cannot work.
    /// - `Unavailable`, `Timeout`: nobody answers there, or there is no primary.
    /// - `Denied`: the server refuses the password, or the user lacks a permission.
    /// - `Incompatible`: a collection is a view, or has an index that is in the way; the server is too old.
    ///
    /// With [`lazy`](Self::lazy), only those of the kind `Config`.
    pub async fn build(self) -> Result<MongoStorage> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let is_name = !self.prefix.is_empty() && self.prefix.len() <= 64 && self.prefix.bytes().all(allowed);
        if !is_name || self.prefix.starts_with(['.', '-']) || self.prefix.starts_with("system.") {
            return Err(config(
                "connect",
                format!(
                    "{:?} cannot begin the names of collections: use 1 to 64 of letters, digits, '_', '-' and '.'",
                    self.prefix
                ),
            ));
        }
        if let Target::Unset = self.target {
            return Err(config(
                "connect",
                "no server is named: give the builder a URL, a client or a database",
            ));
        }
        let server = Server::new(self.target, self.prefix, self.connect_timeout, self.timeout);
        let times = Times { limits: self.limits, skew: self.clock_skew };
        let inner = Inner::new(Arc::new(server), self.namespace, times, self.max_entry_size);
        if !self.lazy {
            inner.ready().await?;
        }
        Ok(MongoStorage { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for MongoStorageBuilder {
    /// Shows neither user name nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStorageBuilder")
            .field("target", &format_args!("{}", self.target))
            .field("namespace", &self.namespace)
            .field("prefix", &self.prefix)
            .field("limits", &self.limits)
            .field("clock_skew", &self.clock_skew)
            .field("max_entry_size", &self.max_entry_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("lazy", &self.lazy)
            .finish()
    }
}
