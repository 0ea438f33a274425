use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use cache_api::{ErrorKind, Limits, Namespace, Result};

use crate::{
    DynamoDbStorage,
    connect::Identity,
    error::{config, error},
    purges::Known,
    schema::Keys,
    storage::Inner,
    url,
};

/// Settings of a [`DynamoDbStorage`].
///
/// ```no_run
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_dynamodb::DynamoDbStorage;
///
/// let storage = DynamoDbStorage::builder().table("http-cache").region("eu-west-1").build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct DynamoDbStorageBuilder {
    pub(crate) client: Option<Client>,
    pub(crate) table: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) identity: Identity,
    pub(crate) namespace: Namespace,
    pub(crate) limits: Limits,
    pub(crate) clock_skew: Duration,
    pub(crate) max_entry_size: Option<u64>,
    pub(crate) create_table: bool,
    pub(crate) billing: Billing,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) lazy: bool,
}

/// How a table that is [created](DynamoDbStorageBuilder::create_table) is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Billing {
    /// By request.
    #[default]
    OnDemand,
    /// By capacity, in units a second.
    Provisioned {
        /// Read capacity units.
        read: u32,
        /// Write capacity units.
        write: u32,
    },
}

impl Default for DynamoDbStorageBuilder {
    fn default() -> Self {
        Self {
            client: None,
            table: None,
            region: None,
            endpoint: None,
            identity: Identity::default(),
            namespace: Namespace::default(),
            limits: Limits::default(),
            clock_skew: Duration::from_secs(60),
            max_entry_size: None,
            create_table: false,
            billing: Billing::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            lazy: false,
        }
    }
}

impl DynamoDbStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the form.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one of DynamoDB, or has an unknown parameter or a wrong value; the
    /// message names it.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::default().url(url)
    }

    /// Takes the table, and what else it names, from a URL.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn url(self, url: &str) -> Result<Self> {
        url::apply(self, url)
    }

    /// Works over a client of the user's own, with its region, credentials, time limits and retries. The table is still
    /// to be named.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The table's name, or its ARN.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// The region; by default that of the environment.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Another endpoint than the region's: DynamoDB Local, or one of a VPC.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// An access key, in place of what the environment has: variables, profiles, SSO, the role of a container or
    /// machine, in the client library's order.
    pub fn credentials(
        mut self,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        self.identity = Identity::Key {
            id: access_key_id.into(),
            secret: secret_access_key.into(),
            token: session_token,
        };
        self
    }

    /// The profile of the shared configuration files to take credentials, and the region, from.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.identity = Identity::Profile(profile.into());
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

    /// How far the clocks of AWS and of the machines that use the table may be apart; a minute by default.
    ///
    /// Items are kept that much longer, and a purge that another process made within it refuses a commit once.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// The largest body that is stored; unbounded by default.
    pub fn max_entry_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_entry_size = bytes.into();
        self
    }

    /// Whether to create the table, and have DynamoDB delete what expires, where that is not so; `false` by default.
    ///
    /// That needs permissions which a cache does not need otherwise.
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// How a table that is created is paid for; on demand by default.
    pub fn billing(mut self, billing: Billing) -> Self {
        self.billing = billing;
        self
    }

    /// How long connecting may take; 5 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long DynamoDB may take for an answer; 5 seconds by default. With its repetitions a request may take twice as
    /// long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether to leave the table alone until the first operation, rather than try it in [`build`](Self::build);
    /// `false` by default.
    ///
    /// What is wrong with it then shows at that operation, and [`create_table`](Self::create_table) does nothing.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// Connects, and does once all that the storage will do, with an item of its own that it deletes.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: no table or region is named, a setting cannot work, or there is no such table.
    /// - [`ErrorKind::Denied`]: there are no credentials, AWS refuses them, or they lack a permission.
    /// - [`ErrorKind::Incompatible`]: the table has other keys.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Timeout`]: DynamoDB cannot be reached, or is throttled.
    ///
    /// With [`lazy`](Self::lazy), only those of the kind `Config` that are about the settings.
    pub async fn build(self) -> Result<DynamoDbStorage> {
        let Some(table) = self.table.clone().filter(|table| !table.is_empty()) else {
            return Err(config("no table is named: give the builder a URL, or a table"));
        };
        if self.lazy && self.create_table {
            return Err(config("`lazy` leaves the table alone, and `create_table` does not: choose one"));
        }
        let (client, place) = self.connect().await?;
        let inner = Inner {
            client,
            table: table.into(),
            place: place.into(),
            keys: Keys::new(&self.namespace),
            namespace: self.namespace,
            limits: self.limits,
            skew: self.clock_skew,
            max_entry_size: self.max_entry_size,
            known: Known::new()?,
            closed: AtomicBool::new(false),
        };
        if !self.lazy {
            match inner.probe().await {
                Err(missing) if self.create_table && missing.kind() == ErrorKind::Config => {
                    inner.create(self.billing).await?;
                    inner.probe().await?;
                }
                probed => probed?,
            }
            if self.create_table {
                inner.enable_expiry().await?;
            }
        }
        Ok(DynamoDbStorage { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for DynamoDbStorageBuilder {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStorageBuilder")
            .field("client", &self.client.as_ref().map(|_| "own client"))
            .field("table", &self.table)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint.as_deref().map(url::without_credentials))
            .field("identity", &self.identity)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .field("clock_skew", &self.clock_skew)
            .field("max_entry_size", &self.max_entry_size)
            .field("create_table", &self.create_table)
            .field("billing", &self.billing)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("lazy", &self.lazy)
            .finish()
    }
}

/// A setting that only a URL has a form for.
pub(crate) fn url_error(message: impl Into<std::borrow::Cow<'static, str>>) -> cache_api::Error {
    error(ErrorKind::Config, "url").with_message(message)
}
