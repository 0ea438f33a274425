use cache_api::{Error, ErrorKind};

/// The primary result codes of SQLite (<https://www.sqlite.org/rescode.html>) that mean something here.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
}

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("sqlite")
}

/// What became of `operation` when SQLite answered `cause`.
pub(crate) fn failed(operation: &'static str, cause: sqlx::Error) -> Error {
    let error = error(kind(&cause), operation);
    let error = match error.kind() {
        ErrorKind::Corrupt => error.with_message(
            "the database file is damaged; close every program that uses it and delete it with its -wal and -shm",
        ),
        ErrorKind::Incompatible => error.with_message("the file is not an SQLite database"),
        _ => error,
    };
    error.with_source(cause)
}

pub(crate) fn kind(cause: &sqlx::Error) -> ErrorKind {
    let Some(code) = primary_code(cause) else {
        return match cause {
            sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
    };
    match code {
        code::BUSY | code::LOCKED | code::PROTOCOL | code::INTERRUPT | code::NOMEM => ErrorKind::Unavailable,
        code::PERM | code::READONLY | code::CANTOPEN | code::AUTH => ErrorKind::Denied,
        code::CORRUPT => ErrorKind::Corrupt,
        code::FULL => ErrorKind::Full,
        code::NOTADB => ErrorKind::Incompatible,
        _ => ErrorKind::Other,
    }
}

/// Whether another connection is in the way, so that the same call works later.
pub(crate) fn is_busy(cause: &sqlx::Error) -> bool {
    matches!(primary_code(cause), Some(code::BUSY | code::LOCKED | code::PROTOCOL))
}

/// Whether a `UNIQUE` constraint refused a row.
pub(crate) fn is_duplicate(cause: &sqlx::Error) -> bool {
    cause.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn primary_code(cause: &sqlx::Error) -> Option<i32> {
    let code: i32 = cause.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
