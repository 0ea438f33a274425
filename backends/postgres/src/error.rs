use std::{io, time::Duration};

use cache_api::{Error, ErrorKind};

/// A prepared statement of another client is there, or ours is not.
const SHARED_EXISTS: &str = "42P05";
const SHARED_MISSING: &str = "26000";

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("postgres")
}

/// What became of `operation` when PostgreSQL, or the way to it, answered `cause`.
pub(crate) fn failed(operation: &'static str, cause: sqlx::Error) -> Error {
    let error = error(kind(&cause), operation);
    let error = match code(&cause).as_deref() {
        Some("HC001") => stricter(operation),
        Some(SHARED_EXISTS | SHARED_MISSING) => error.with_message(
            "a pooler between shares the server's connections and knows no prepared statements: set \
             prepared_statements to false, or update it (PgBouncer 1.21, max_prepared_statements)",
        ),
        Some("42501") => error.with_message(
            "the role lacks a permission on the cache's schema: give it the GRANTs of the crate's README",
        ),
        Some("42P01" | "42883" | "42703" | "3F000") => error.with_message(
            "a table or function of the cache is not there: was its schema dropped? Start again to lay it out",
        ),
        Some("25006") => error.with_message(
            "this server takes no writes: name the primary, not a replica (lookups too read the primary)",
        ),
        _ => error,
    };
    error.with_source(cause)
}

/// Nothing came within the time that a statement has: it may have happened, or happen yet.
pub(crate) fn unanswered(operation: &'static str, timeout: Duration) -> Error {
    error(ErrorKind::Timeout, operation)
        .with_message(format!("no answer within {timeout:?}: look at the server's load, or raise timeout"))
}

/// What the session is set to would keep statements from seeing what was committed while they waited.
pub(crate) fn stricter(operation: &'static str) -> Error {
    error(ErrorKind::Config, operation).with_message(
        "the cache needs READ COMMITTED: ALTER ROLE … SET default_transaction_isolation = 'read committed'",
    )
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), its class where that says enough.
pub(crate) fn kind(cause: &sqlx::Error) -> ErrorKind {
    let Some(code) = code(cause) else {
        return match cause {
            sqlx::Error::PoolTimedOut => ErrorKind::Timeout,
            sqlx::Error::PoolClosed => ErrorKind::Closed,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => ErrorKind::Unavailable,
            sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => ErrorKind::Config,
            _ => ErrorKind::Other,
        };
    };
    match (code.get(..2).unwrap_or_default(), &*code) {
        (_, "HC001" | "3D000" | SHARED_EXISTS | SHARED_MISSING) => ErrorKind::Config,
        (_, "42501") | ("28", _) => ErrorKind::Denied,
        (_, "42P01" | "42883" | "42703" | "3F000") => ErrorKind::Incompatible,
        (_, "53100" | "54000") => ErrorKind::Full,
        (_, "57014") => ErrorKind::Timeout,
        (_, "25006") | ("08" | "40" | "53" | "55" | "57", _) => ErrorKind::Unavailable,
        ("XX", _) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

/// Whether the transaction was rolled back for another's sake: asked again, it works.
pub(crate) fn is_conflict(cause: &sqlx::Error) -> bool {
    matches!(code(cause).as_deref(), Some("40001" | "40P01"))
}

/// Whether the connection broke, or the server ended it: what was asked may have happened or not.
pub(crate) fn is_broken(cause: &sqlx::Error) -> bool {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        _ => code(cause).is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
    }
}

/// Whether a `UNIQUE` constraint refused a row.
pub(crate) fn is_duplicate(cause: &sqlx::Error) -> bool {
    cause.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What stands against connecting, and how to mend it.
pub(crate) fn cannot_connect(place: &str, cause: sqlx::Error) -> Error {
    let message = match (code(&cause).as_deref(), &cause) {
        (Some("28P01" | "28000"), _) => {
            format!("{place} refuses this user or password: check them, and pg_hba.conf")
        }
        (Some("3D000"), _) => format!("{place}: there is no such database: create it with CREATE DATABASE"),
        (Some("42501"), _) => format!("{place}: the role may not connect: GRANT CONNECT ON DATABASE … TO …"),
        (Some("53300"), _) => format!(
            "{place} has no connection left: raise max_connections on the server, or lower it in the cache"
        ),
        (Some("57P03"), _) => format!("{place} is starting up or shutting down"),
        (None, sqlx::Error::Io(io)) => format!("{place} {}", reason(io)),
        (None, sqlx::Error::Tls(_)) => {
            format!("{place}: no TLS connection: check sslmode and sslrootcert")
        }
        (None, sqlx::Error::Configuration(_)) => format!("{place}: a setting of the connection is wrong"),
        _ => format!("{place}: no connection"),
    };
    error(kind(&cause), "connect").with_message(message).with_source(cause)
}

fn reason(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => "refuses the connection: is PostgreSQL running there?",
        io::ErrorKind::TimedOut => "does not answer: check host, port and firewall",
        _ => "cannot be reached: check host and port",
    }
}

pub(crate) fn code(cause: &sqlx::Error) -> Option<String> {
    cause.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}
