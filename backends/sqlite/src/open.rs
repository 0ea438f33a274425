//! Opening a database for the first time, and saying what stands against it.

use cache_api::{Error, ErrorKind, Result};
use sqlx::{ConnectOptions as _, SqliteConnection, query};

use crate::{
    connections::{Database, Patience},
    error::{error, is_busy},
    schema::{self, Identity},
};

impl Database {
    /// A connection to a database that is laid out.
    pub(crate) async fn first_connection(&self) -> Result<SqliteConnection> {
        let mut patience = Patience::new(self.patience);
        loop {
            match self.try_first_connection().await {
                Ok((connection, Identity::Ours)) => return self.with_wal(connection).await,
                Ok((_, identity)) => return Err(self.not_ours(identity)),
                Err(cause) if is_busy(&cause) && patience.wait().await => {}
                Err(cause) => return Err(self.cannot_open(cause)),
            }
        }
    }

    async fn try_first_connection(&self) -> Result<(SqliteConnection, Identity), sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let identity = schema::prepare(&mut connection, self.create).await?;
        Ok((connection, identity))
    }

    async fn with_wal(&self, mut connection: SqliteConnection) -> Result<SqliteConnection> {
        let row = query("SELECT journal_mode FROM pragma_journal_mode").persistent(false);
        let rows = row.fetch_all(&mut connection).await.map_err(|cause| self.cannot_open(cause))?;
        let mode = rows.first().and_then(|row| crate::row::get::<String>(row, 0)).unwrap_or_default();
        if self.path.is_some() && mode != "wal" {
            return Err(error(ErrorKind::Config, "open").with_message(format!(
                "{}: the file system does not take a write-ahead log (journal mode {mode:?}); put the file on a local disk",
                self.name()
            )));
        }
        Ok(connection)
    }

    fn not_ours(&self, identity: Identity) -> Error {
        let name = self.name();
        if identity == Identity::Empty {
            return error(ErrorKind::Config, "open")
                .with_message(format!("{name} is empty: there is no cache in it"));
        }
        error(ErrorKind::Incompatible, "open").with_message(match identity {
            Identity::Newer(version) => format!(
                "{name} has the layout {version} of a newer release, this one knows {}: update this program, or give it another file",
                schema::VERSION
            ),
            _ => format!(
                "{name} is the SQLite database of another application: give the cache a file of its own"
            ),
        })
    }

    fn cannot_open(&self, cause: sqlx::Error) -> Error {
        let name = self.name();
        let kind = crate::error::kind(&cause);
        let message = match kind {
            ErrorKind::Incompatible => {
                format!(
                    "{name} is not an SQLite database: give the cache a file of its own, or delete this one"
                )
            }
            ErrorKind::Denied => format!(
                "{name} cannot be opened for writing: the file and its directory (for the -wal and -shm files) must be writable"
            ),
            ErrorKind::Corrupt => format!("{name} is damaged: delete it with its -wal and -shm files"),
            ErrorKind::Full => format!("{name}: the disk is full"),
            ErrorKind::Unavailable => format!("{name} is locked by another process"),
            _ => format!("{name} cannot be opened"),
        };
        error(kind, "open").with_message(message).with_source(cause)
    }
}
