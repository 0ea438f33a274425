use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use cache_api::{ErrorKind, EventOrigin, Limits, Namespace, Result};
use redis::{Client, aio::ConnectionLike, cluster::ClusterClient};
use tokio::sync::watch;

use crate::{
    RedisStorage,
    connect::{Server, Target, Way},
    error::{config, error},
    link::Shared,
    schema::Keys,
    storage::Inner,
    url,
};

/// Settings of a [`RedisStorage`].
///
/// ```no_run
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_redis::RedisStorage;
///
/// let storage = RedisStorage::builder().url("rediss://cache:secret@redis.internal/")?.build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RedisStorageBuilder {
    pub(crate) target: Target,
    pub(crate) namespace: Namespace,
    pub(crate) prefix: String,
    pub(crate) limits: Limits,
    pub(crate) clock_skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) tls: Tls,
    pub(crate) lazy: bool,
}

/// Files with certificates, in PEM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Default for RedisStorageBuilder {
    fn default() -> Self {
        Self {
            target: Target::Unset,
            namespace: Namespace::default(),
            prefix: "http-cache".to_owned(),
            limits: Limits::default(),
            clock_skew: Duration::from_secs(60),
            max_entry_size: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            tls: Tls::default(),
            lazy: false,
        }
    }
}

impl RedisStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one of Redis, or has an unknown parameter or a wrong value;
    /// the message names it.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::default().url(url)
    }

    /// Takes the server, and what else it names, from a URL.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn url(self, url: &str) -> Result<Self> {
        url::apply(self, url)
    }

    /// Works over a connection of the user's own: a
    /// [`MultiplexedConnection`](redis::aio::MultiplexedConnection), a
    /// [`ConnectionManager`](redis::aio::ConnectionManager), a
    /// [`ClusterConnection`](redis::cluster_async::ClusterConnection), or whatever else its clones share.
    ///
    /// Its time limits and its way to connect again are its own; that it must lead to a primary is the user's
    /// affair. It cannot listen: the storage has no [events](cache_api::Events), while others hear of its changes.
    pub fn connection(mut self, connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        self.target = Target::Given(Arc::new(Shared(connection)));
        self
    }

    /// Works over a client of the user's own: where and who it says, with the time limits of this builder.
    pub fn client(mut self, client: Client) -> Self {
        self.target = Target::Client(Box::new(client));
        self
    }

    /// Works over a cluster client of the user's own, with its time limits.
    ///
    /// It can [listen](cache_api::Events) if it was built with
    /// [`ProtocolVersion::RESP3`](redis::ProtocolVersion::RESP3).
    pub fn cluster_client(mut self, client: ClusterClient) -> Self {
        self.target = Target::Cluster(Box::new(client));
        self
    }

    /// The user name and password, in place of those of the URL.
    pub fn credentials(mut self, username: Option<&str>, password: &str) -> Self {
        if let Target::Server(server) = &mut self.target {
            server.username = username.map(str::to_owned);
            server.password = Some(password.to_owned());
        }
        self
    }

    /// The namespace; `default` by default.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// What all keys begin with, after a `{`; `http-cache` by default. All users of an entry must agree.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The time limits of the storage.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How far the clocks of the server and of the machines that use it may be apart; a minute by default.
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

    /// How long connecting may take; 5 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take for an answer; 5 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts the authorities of this PEM file, in place of those of the system.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca = Some(file.into());
        self
    }

    /// Shows this certificate to the server; both files are PEM.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Whether to connect with the first operation, rather than in [`build`](Self::build); `false` by default.
    ///
    /// What is wrong with the server then shows at that operation.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// Connects, and does once all that the storage will do, in keys of its own that it deletes.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: no server is named, or a setting cannot work.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Timeout`]: nobody answers there, the server is a replica, or
    ///   the cluster is down.
    /// - [`ErrorKind::Denied`]: the server refuses the password, or the user lacks a permission.
    /// - [`ErrorKind::Incompatible`]: the server lacks a command.
    ///
    /// With [`lazy`](Self::lazy), only those of the kind `Config`.
    pub async fn build(self) -> Result<RedisStorage> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.bytes().all(allowed) {
            return Err(config(format!(
                "{:?} cannot begin the names of keys: use 1 to 64 of letters, digits and -_.:/",
                self.prefix
            )));
        }
        let (Way { link, channel }, place) = self.connect().await?;
        let inner = Inner {
            link,
            channel,
            place: place.into(),
            keys: Keys::new(&self.prefix, &self.namespace),
            prefix: self.prefix.into(),
            namespace: self.namespace,
            limits: self.limits,
            skew: self.clock_skew,
            max_entry_size: self.max_entry_size,
            connect_timeout: self.connect_timeout,
            origin: EventOrigin::random()?,
            closed: watch::Sender::new(false),
        };
        let storage = RedisStorage { inner: Arc::new(inner) };
        if !self.lazy {
            storage.probe().await?;
        }
        Ok(storage)
    }

    async fn connect(&self) -> Result<(Way, String)> {
        match &self.target {
            Target::Unset => Err(error(ErrorKind::Config, "connect")
                .with_message("no server is named: give the builder a URL, a client or a connection")),
            Target::Given(link) => {
                Ok((Way { link: Arc::clone(link), channel: None }, "own connection".to_owned()))
            }
            Target::Client(client) => {
                Ok((self.manage(Client::clone(client)).await?, "own client".to_owned()))
            }
            Target::Cluster(client) => {
                let (client, listener) = (ClusterClient::clone(client), ClusterClient::clone(client));
                Ok((self.cluster(client, listener), "own cluster client".to_owned()))
            }
            Target::Server(server) => Ok((self.server(server).await?, server.to_string())),
        }
    }
}

impl fmt::Debug for RedisStorageBuilder {
    /// Shows neither user name nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match &self.target {
            Target::Unset => "unset".to_owned(),
            Target::Given(_) => "own connection".to_owned(),
            Target::Client(_) => "own client".to_owned(),
            Target::Cluster(_) => "own cluster client".to_owned(),
            Target::Server(server) => server.to_string(),
        };
        f.debug_struct("RedisStorageBuilder")
            .field("target", &target)
            .field("namespace", &self.namespace)
            .field("prefix", &self.prefix)
            .field("limits", &self.limits)
            .field("clock_skew", &self.clock_skew)
            .field("max_entry_size", &self.max_entry_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .field("lazy", &self.lazy)
            .finish()
    }
}

impl Server {
    /// A server that was not named yet.
    pub(crate) fn new(kind: crate::connect::Kind, hosts: Vec<(String, u16)>) -> Self {
        Self { kind, hosts, tls: false, username: None, password: None, database: 0 }
    }
}
