//! Connections, and statements over them: each a transaction of its own, in one round trip.
//!
//! A pool of our own rather than sqlx's, since that one asks the server twice more for each statement (before
//! it hands a connection out, and after it got it back). The user's own pool is taken as well.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cache_api::{ErrorKind, Result};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgRow},
    raw_sql,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    error::{cannot_connect, error, failed, is_broken, is_conflict, unanswered},
    row::Query,
};

/// A connection that was not used for so long is closed rather than used: what is between may have
/// forgotten it.
const IDLE: Duration = Duration::from_secs(240);

/// How often a statement is asked again that was rolled back for another's sake.
const CONFLICTS: u32 = 5;

/// How long a statement is waited for, where nothing else is set.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Connections {
    source: Source,
    /// Whether statements are prepared under a name, and kept.
    prepared: bool,
    /// How long a statement is waited for.
    timeout: Duration,
    closed: watch::Sender<bool>,
}

enum Source {
    Own(Box<Own>),
    Pool(PgPool),
}

struct Own {
    options: PgConnectOptions,
    permits: Arc<Semaphore>,
    wait: Duration,
    idle: Mutex<Vec<(PgConnection, Instant)>>,
}

/// Whether a statement may be asked again when nobody knows whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Safe,
    Never,
}

impl Connections {
    pub(crate) fn new(options: PgConnectOptions, max: u32, wait: Duration) -> Self {
        let permits =
            Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS)));
        let idle = Mutex::default();
        // Poolers such as PgBouncer refuse the setting, and no number here has a fraction.
        let options = options.disable_statement_logging().extra_float_digits(None);
        Self::from(Source::Own(Box::new(Own { options, permits, wait, idle })))
    }

    pub(crate) fn over(pool: PgPool) -> Self {
        Self::from(Source::Pool(pool))
    }

    pub(crate) fn with_prepared(self, prepared: bool) -> Self {
        Self { prepared, ..self }
    }

    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Server and database, as they may be shown.
    pub(crate) fn place(&self) -> String {
        match &self.source {
            Source::Own(own) => place(&own.options),
            Source::Pool(pool) => place(&pool.connect_options()),
        }
    }

    /// How to connect, and how long that may take.
    pub(crate) fn options(&self) -> (PgConnectOptions, Duration) {
        match &self.source {
            Source::Own(own) => (own.options.clone(), own.wait),
            Source::Pool(pool) => ((*pool.connect_options()).clone(), pool.options().get_acquire_timeout()),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns when they are closed.
    pub(crate) async fn closed(&self) {
        // The other end is this value: it stands.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared
    }

    /// The rows that a statement answers with.
    pub(crate) async fn run<'q>(
        &self,
        operation: &'static str,
        repeat: Repeat,
        statement: impl Fn() -> Query<'q> + Send + Sync,
    ) -> Result<Vec<PgRow>> {
        let (mut conflicts, mut broken) = (0, false);
        loop {
            let mut lent = self.acquire().await?;
            // Given up, the connection is closed with it: the answer may come yet.
            let asked = timeout(self.timeout, self.ask(lent.connection()?, statement())).await;
            let cause = match asked.map_err(|_| unanswered(operation, self.timeout))? {
                Ok(rows) => {
                    lent.give_back();
                    return Ok(rows);
                }
                Err(cause) => cause,
            };
            if is_broken(&cause) {
                // Most likely the server was restarted: the others are broken too.
                lent.forget_others();
                if repeat == Repeat::Safe && !broken {
                    broken = true;
                    continue;
                }
            } else if self.prepared {
                lent.give_back();
            }
            if is_conflict(&cause) && conflicts < CONFLICTS {
                conflicts += 1;
                sleep(Duration::from_millis(1 << conflicts)).await;
                continue;
            }
            return Err(failed(operation, cause));
        }
    }

    async fn ask(
        &self,
        connection: &mut PgConnection,
        statement: Query<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if self.prepared {
            return statement.fetch_all(connection).await;
        }
        // A pooler between would send the parts of an unprepared statement over two connections of its own.
        raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED").execute(&mut *connection).await?;
        let rows = statement.persistent(false).fetch_all(&mut *connection).await?;
        raw_sql("COMMIT").execute(connection).await?;
        Ok(rows)
    }

    /// A connection, for what is more than one statement: it is closed thereafter, unless given back.
    pub(crate) async fn acquire(&self) -> Result<Lent<'_>> {
        if self.is_closed() {
            return Err(error(ErrorKind::Closed, "connect"));
        }
        match &self.source {
            Source::Own(own) => own.acquire().await,
            Source::Pool(pool) => {
                let connection =
                    pool.acquire().await.map_err(|cause| cannot_connect(&self.place(), cause))?;
                Ok(Lent(Some(Held::Pooled(connection))))
            }
        }
    }

    /// Closes the connections; a pool that is the user's stays open.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        if let Source::Own(own) = &self.source {
            own.permits.close();
            for (connection, _) in own.take_idle() {
                let _ = connection.close().await;
            }
        }
    }
}

impl From<Source> for Connections {
    fn from(source: Source) -> Self {
        Self { source, prepared: true, timeout: TIMEOUT, closed: watch::Sender::new(false) }
    }
}

impl Own {
    async fn acquire(&self) -> Result<Lent<'_>> {
        let permit = timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await.map_err(|_| {
            error(ErrorKind::Timeout, "connect")
                .with_message("all connections are in use: raise max_connections")
        })?;
        let permit = permit.map_err(|_| error(ErrorKind::Closed, "connect"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some((connection, since)) = idle {
            if since.elapsed() < IDLE {
                return Ok(Lent(Some(Held::Own(self, connection, permit))));
            }
            // It was the one used last: the others were unused for longer still.
            self.take_idle();
        }
        let connection = match timeout(self.wait, self.options.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        let connection = connection.map_err(|cause| cannot_connect(&place(&self.options), cause))?;
        Ok(Lent(Some(Held::Own(self, connection, permit))))
    }

    fn take_idle(&self) -> Vec<(PgConnection, Instant)> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection in use. Dropped before it is given back (its future was), it is closed: an answer may be
/// under way on it. Whatever it was asked ends on the server, as one transaction.
pub(crate) struct Lent<'a>(Option<Held<'a>>);

enum Held<'a> {
    Own(&'a Own, PgConnection, OwnedSemaphorePermit),
    Pooled(PoolConnection<Postgres>),
}

impl Lent<'_> {
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection> {
        match &mut self.0 {
            Some(Held::Own(_, connection, _)) => Ok(connection),
            Some(Held::Pooled(connection)) => Ok(connection),
            None => Err(error(ErrorKind::Closed, "connect")),
        }
    }

    pub(crate) fn give_back(mut self) {
        if let Some(Held::Own(own, connection, permit)) = self.0.take()
            && !own.permits.is_closed()
        {
            own.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
            drop(permit);
        }
    }

    fn forget_others(mut self) {
        if let Some(Held::Own(own, ..)) = self.0.take() {
            own.take_idle();
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(Held::Pooled(connection)) = self.0.take() {
            drop(connection.detach());
        }
    }
}

pub(crate) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("place", &self.place()).finish_non_exhaustive()
    }
}
