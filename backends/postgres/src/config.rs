use std::{fmt, sync::Arc, time::Duration};

use cache_api::{ErrorKind, EventOrigin, Limits, Namespace, Result};
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::{
    PostgresStorage,
    connections::{Connections, TIMEOUT},
    error::error,
    notices::Notices,
    schema::{Schema, check_name},
    url,
};

/// Settings of a [`PostgresStorage`].
///
/// ```no_run
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_postgres::PostgresStorageBuilder;
///
/// let storage = PostgresStorageBuilder::from_url("postgres://app:secret@db.internal/app")?
///     .schema("http_cache")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PostgresStorageBuilder {
    server: Server,
    namespace: Namespace,
    limits: Limits,
    schema: Schema,
    lazy: bool,
    max_connections: u32,
    acquire_timeout: Duration,
    timeout: Duration,
    prepared_statements: bool,
    max_entry_size: u64,
}

#[derive(Clone)]
enum Server {
    Unset,
    Options(Box<PgConnectOptions>),
    Pool(PgPool),
}

impl Default for PostgresStorageBuilder {
    fn default() -> Self {
        Self {
            server: Server::Unset,
            namespace: Namespace::default(),
            limits: Limits::default(),
            schema: Schema::default(),
            lazy: false,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(10),
            timeout: TIMEOUT,
            prepared_statements: true,
            max_entry_size: 256 * 1024 * 1024,
        }
    }
}

impl PostgresStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one of PostgreSQL, or has an unknown parameter or a wrong
    /// value; the message names it, and never the password.
    pub fn from_url(url: &str) -> Result<Self> {
        url::builder(url)
    }

    /// Connects by these options of sqlx, with connections of its own.
    pub fn connect_options(mut self, options: PgConnectOptions) -> Self {
        self.server = Server::Options(Box::new(options));
        self
    }

    /// Works over the user's own pool, whose settings stay as they are. Closing the storage leaves it open.
    pub fn pool(mut self, pool: PgPool) -> Self {
        self.server = Server::Pool(pool);
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

    /// The schema in which the tables are; `http_cache` by default. It is the cache's alone.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema.name = name.into();
        self
    }

    /// Whether to create schema and tables where they are not there, and to change those of an older release; `true`
    /// by default.
    pub fn create(mut self, create: bool) -> Self {
        self.schema.create = create;
        self
    }

    /// Whether tables that are created are `UNLOGGED`: written faster, not replicated, and emptied by a crash of
    /// the server. `false` by default; tables that are there already stay as they are.
    pub fn unlogged(mut self, unlogged: bool) -> Self {
        self.schema.unlogged = unlogged;
        self
    }

    /// Whether to connect at the first use only, and report there what stands against it; `false` by default.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// The most connections at a time; 10 by default. Of no effect over the user's own pool.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long an operation waits for a connection, free or new; 10 seconds by default. Of no effect over the
    /// user's own pool.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long one statement may take; 30 seconds by default. Beyond, its connection is closed, and it may have
    /// happened or not. The server goes on with it unless its own `statement_timeout` is as short.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether statements are prepared once a connection; `true` by default.
    ///
    /// `false` is for poolers that share connections between transactions and know no prepared statements (such
    /// as PgBouncer before 1.21). It costs a transaction of four round trips for each statement.
    pub fn prepared_statements(mut self, prepared: bool) -> Self {
        self.prepared_statements = prepared;
        self
    }

    /// The largest entry that is stored, encoded; 256 MiB by default.
    pub fn max_entry_size(mut self, bytes: u64) -> Self {
        self.max_entry_size = bytes;
        self
    }

    /// The statements that lay the schema out, for an administrator to run where the cache may not.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the schema's name is not one of those allowed.
    pub fn layout(&self) -> Result<String> {
        check_name(&self.schema.name)?;
        Ok(self.schema.layout())
    }

    /// The statements that bring the schema of a release before this one up to date, for its owner to run where the
    /// cache may not. Replicas of that release go on working in it; those that start later refuse it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the schema's name is not one of those allowed.
    pub fn layout_upgrade(&self) -> Result<String> {
        check_name(&self.schema.name)?;
        Ok(self.schema.upgrade())
    }

    /// Connects, lays the schema out where it is new, and brings it up to date where it is older; nothing of that
    /// where it is to be [`lazy`](Self::lazy).
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: no server is named, the schema's name is not allowed, the database is not there,
    ///   or the schema is not laid out, or as an older release did it, and must not be changed.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Timeout`]: nothing answers there, or it has no connection left.
    /// - [`ErrorKind::Denied`]: the server refuses the user or the password, or the role lacks a permission.
    /// - [`ErrorKind::Incompatible`]: the schema is another application's, or of a newer release; the server is
    ///   older than PostgreSQL 13.
    pub async fn build(self) -> Result<PostgresStorage> {
        check_name(&self.schema.name)?;
        let connections = match self.server {
            Server::Unset => {
                return Err(error(ErrorKind::Config, "open")
                    .with_message("no server is named: use `from_url`, `connect_options` or `pool`"));
            }
            Server::Options(options) => {
                Connections::new(*options, self.max_connections, self.acquire_timeout)
            }
            Server::Pool(pool) => Connections::over(pool),
        };
        let connections = connections.with_prepared(self.prepared_statements).with_timeout(self.timeout);
        let storage = PostgresStorage::new(
            Notices::new(Arc::new(connections)),
            EventOrigin::random()?,
            self.schema,
            self.namespace,
            self.limits,
            self.max_entry_size,
        );
        if !self.lazy {
            storage.inner.ready().await?;
        }
        Ok(storage)
    }
}

impl fmt::Debug for PostgresStorageBuilder {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match &self.server {
            Server::Unset => "unset".to_owned(),
            Server::Options(options) => crate::connections::place(options),
            Server::Pool(pool) => crate::connections::place(&pool.connect_options()),
        };
        f.debug_struct("PostgresStorageBuilder")
            .field("server", &server)
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .field("schema", &self.schema)
            .field("lazy", &self.lazy)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("timeout", &self.timeout)
            .field("prepared_statements", &self.prepared_statements)
            .field("max_entry_size", &self.max_entry_size)
            .finish()
    }
}
