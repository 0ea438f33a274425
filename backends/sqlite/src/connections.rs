//! One connection that writes, a few that read, and patience with other processes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cache_api::{BodyId, Error, ErrorKind, Result};
use futures_util::TryStreamExt as _;
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, query,
    sqlite::{SqliteConnectOptions, SqliteRow, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use crate::{
    error::{error, failed, is_busy},
    row::Query,
};

/// How long SQLite itself waits for another process, before this crate waits and asks again. Its own waits
/// grow to 100 ms, at which a busy file passes a waiter over; ours stay short.
const SLICE: Duration = Duration::from_millis(60);

/// The connections to one database.
///
/// A file has one writer and up to `readers` others, opened when needed. A database in memory lives in the
/// one connection, which does everything.
pub(crate) struct Database {
    pub(crate) path: Option<PathBuf>,
    pub(crate) options: SqliteConnectOptions,
    pub(crate) patience: Duration,
    /// Whether an empty file is laid out.
    pub(crate) create: bool,
    writer: Mutex<Slot>,
    idle: std::sync::Mutex<Vec<SqliteConnection>>,
    readers: Semaphore,
    closed: AtomicBool,
}

#[derive(Default)]
struct Slot {
    connection: Option<SqliteConnection>,
    /// A transaction may be open in it.
    dirty: bool,
}

impl Database {
    /// Opens a file, or a database in memory, and lays it out where it is empty and `create` says so.
    pub(crate) async fn open(
        path: Option<PathBuf>,
        create: bool,
        readers: usize,
        patience: Duration,
    ) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .foreign_keys(false)
            .busy_timeout(SLICE)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("temp_store", "MEMORY")
            // A log that one large body blew up is cut back at the next checkpoint.
            .pragma("journal_size_limit", "16777216")
            .disable_statement_logging();
        let options = match &path {
            Some(path) => options.filename(path),
            None => options.in_memory(true),
        };
        let database = Self {
            path,
            options,
            patience,
            create,
            writer: Mutex::default(),
            idle: std::sync::Mutex::default(),
            readers: Semaphore::new(readers.max(1)),
            closed: AtomicBool::new(false),
        };
        let connection = database.first_connection().await?;
        database.writer.lock().await.connection = Some(connection);
        Ok(database)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| ":memory:".into(), |path| path.display().to_string())
    }

    async fn connect(&self, operation: &'static str, reads_only: bool) -> Result<SqliteConnection> {
        let options = self.options.clone();
        let options = if reads_only { options.pragma("query_only", "ON") } else { options };
        let mut patience = Patience::new(self.patience);
        loop {
            match options.connect().await {
                Ok(connection) => return Ok(connection),
                Err(cause) if is_busy(&cause) && patience.wait().await => {}
                Err(cause) => return Err(failed(operation, cause)),
            }
        }
    }

    /// Runs one statement that reads; `query` makes it anew for each attempt.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
        query: impl Fn() -> Query,
    ) -> Result<Vec<SqliteRow>> {
        self.read_until(operation, query, |_| false).await
    }

    /// The same, without waiting to be told the end once the rows are `complete`, which is a hop between
    /// threads: about 15 µs with bare sqlx.
    pub(crate) async fn read_until(
        &self,
        operation: &'static str,
        query: impl Fn() -> Query,
        complete: impl Fn(&[SqliteRow]) -> bool,
    ) -> Result<Vec<SqliteRow>> {
        let mut patience = Patience::new(self.patience);
        loop {
            let outcome = if self.path.is_none() {
                let mut slot = self.slot(operation).await?;
                rows(slot.connection(operation)?, query(), &complete).await
            } else {
                let mut reader = self.reader(operation).await?;
                let outcome = rows(reader.connection(operation)?, query(), &complete).await;
                if outcome.is_err() {
                    reader.connection = None;
                }
                outcome
            };
            match outcome {
                Ok(rows) => return Ok(rows),
                Err(cause) if is_busy(&cause) && patience.wait().await => {}
                Err(cause) => return Err(failed(operation, cause)),
            }
        }
    }

    async fn reader(&self, operation: &'static str) -> Result<Reader<'_>> {
        let permit = self.readers.acquire().await.map_err(|_| closed(operation))?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect(operation, true).await?,
        };
        Ok(Reader { connection: Some(connection), database: self, _permit: permit })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writing connection, without an open transaction.
    async fn slot(&self, operation: &'static str) -> Result<Write<'_>> {
        let slot = self.writer.lock().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(closed(operation));
        }
        let mut write = Write { slot, operation, in_memory: self.path.is_none() };
        if write.slot.dirty {
            // In memory only: a transaction was cut off. What it had asked for is answered before this.
            write.roll_back().await?;
        }
        if write.slot.connection.is_none() {
            write.slot.connection = Some(self.connect(operation, false).await?);
        }
        Ok(write)
    }

    /// Begins a transaction that writes, with nothing done in it yet.
    pub(crate) async fn begin(&self, operation: &'static str) -> Result<Write<'_>> {
        let (write, _) = self.begin_with(operation, || query("BEGIN IMMEDIATE")).await?;
        Ok(write)
    }

    /// Begins a transaction that writes; `query` begins with `BEGIN IMMEDIATE` and may do more.
    ///
    /// Only this waits for other processes: once it has begun, nothing finds the database locked.
    pub(crate) async fn begin_with(
        &self,
        operation: &'static str,
        query: impl Fn() -> Query,
    ) -> Result<(Write<'_>, Vec<SqliteRow>)> {
        let mut patience = Patience::new(self.patience);
        let mut write = self.slot(operation).await?;
        loop {
            write.slot.dirty = true;
            match query().fetch_all(write.connection(operation)?).await {
                Ok(rows) => return Ok((write, rows)),
                Err(cause) if is_busy(&cause) => {
                    write.roll_back().await?;
                    if !patience.wait().await {
                        return Err(failed(operation, cause));
                    }
                }
                Err(cause) => return Err(failed(operation, cause)),
            }
        }
    }

    /// Runs a whole transaction in one go; see [`transaction!`](crate::row::transaction).
    pub(crate) async fn run(
        &self,
        operation: &'static str,
        query: impl Fn() -> Query,
    ) -> Result<Vec<SqliteRow>> {
        let (mut write, rows) = self.begin_with(operation, query).await?;
        write.slot.dirty = false;
        Ok(rows)
    }

    /// Runs a statement that must stand outside of a transaction, such as a checkpoint.
    pub(crate) async fn pragma(&self, operation: &'static str, sql: &'static str) -> Result<Vec<SqliteRow>> {
        let mut write = self.slot(operation).await?;
        query(sql).fetch_all(write.connection(operation)?).await.map_err(|cause| failed(operation, cause))
    }

    /// Moves the log into the file and closes all connections. Reads under way end first.
    pub(crate) async fn close(&self) -> Result<()> {
        let mut slot = self.writer.lock().await;
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.readers.close();
        let idle = std::mem::take(&mut *self.idle());
        for reader in idle {
            let _ = reader.close().await;
        }
        let dirty = std::mem::take(&mut slot.dirty);
        let Some(mut connection) = slot.connection.take().filter(|_| !dirty) else {
            return Ok(());
        };
        if self.path.is_some() {
            // Busy readers of other processes leave some of the log behind, for whoever closes last.
            let _ = query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_all(&mut connection).await;
        }
        connection.close().await.map_err(|cause| failed("close", cause))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

async fn rows(
    connection: &mut SqliteConnection,
    query: Query,
    complete: &impl Fn(&[SqliteRow]) -> bool,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut stream = query.fetch(connection);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
        if complete(&rows) {
            break;
        }
    }
    Ok(rows)
}

fn closed(operation: &'static str) -> Error {
    error(ErrorKind::Closed, operation)
}

/// A reading connection, which goes back when dropped. A read that was cut off leaves it clean: SQLite's side
/// resets the statement when nobody takes its rows.
struct Reader<'a> {
    connection: Option<SqliteConnection>,
    database: &'a Database,
    _permit: SemaphorePermit<'a>,
}

impl Reader<'_> {
    fn connection(&mut self, operation: &'static str) -> Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or_else(|| closed(operation))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.database.closed.load(Ordering::Acquire)
        {
            self.database.idle().push(connection);
        }
    }
}

/// The writing connection, and the transaction that is open in it.
///
/// Dropped before [`commit`](Write::commit) has returned, a file's connection is closed, which rolls back at
/// once (or after a `COMMIT` that was on its way); in memory the next user rolls back.
pub(crate) struct Write<'a> {
    slot: MutexGuard<'a, Slot>,
    operation: &'static str,
    in_memory: bool,
}

impl Write<'_> {
    fn connection(&mut self, operation: &'static str) -> Result<&mut SqliteConnection> {
        self.slot.connection.as_mut().ok_or_else(|| closed(operation))
    }

    pub(crate) async fn fetch(&mut self, query: Query) -> Result<Vec<SqliteRow>> {
        let operation = self.operation;
        query.fetch_all(self.connection(operation)?).await.map_err(|cause| failed(operation, cause))
    }

    /// How many rows it changed.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64> {
        let operation = self.operation;
        let done = query.execute(self.connection(operation)?).await;
        done.map(|done| done.rows_affected()).map_err(|cause| failed(operation, cause))
    }

    /// Ends a transaction that may or may not be open.
    async fn roll_back(&mut self) -> Result<()> {
        let operation = self.operation;
        let _ = query("ROLLBACK").execute(self.connection(operation)?).await;
        self.slot.dirty = false;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        self.execute(query("COMMIT")).await?;
        self.slot.dirty = false;
        Ok(())
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if self.slot.dirty && !self.in_memory {
            self.slot.connection = None;
            self.slot.dirty = false;
        }
    }
}

/// What is left of the time that one operation waits for other processes.
pub(crate) struct Patience {
    left: Duration,
}

impl Patience {
    pub(crate) fn new(left: Duration) -> Self {
        Self { left }
    }

    /// Waits a few milliseconds, not the same for each process; `false` when the time is used up.
    pub(crate) async fn wait(&mut self) -> bool {
        let random = BodyId::random().map_or(0, |id| id.as_bytes().first().copied().unwrap_or(0));
        let pause = Duration::from_millis(1 + u64::from(random % 8));
        let spent = SLICE + pause;
        if self.left < spent {
            return false;
        }
        self.left -= spent;
        tokio::time::sleep(pause).await;
        true
    }
}
