use std::{borrow::Cow, error::Error as _};

use cache_api::{Error, ErrorKind};
use mongodb::error::{Error as Cause, ErrorKind as CauseKind, WriteFailure};

/// The code of a server that has a document of that `_id`.
const DUPLICATE_KEY: i32 = 11_000;

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("mongo")
}

pub(crate) fn config(operation: &'static str, message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, operation).with_message(message)
}

/// What became of `operation` when the server, or the way to it, answered `cause`.
pub(crate) fn failed(operation: &'static str, cause: Cause) -> Error {
    let (kind, message) = explain(&cause);
    let error = error(kind, operation);
    let error = match message {
        Some(message) => error.with_message(message),
        None => error,
    };
    // What a validator objects to is stored content.
    if code(&cause) == Some(121) { error } else { error.with_source(cause) }
}

/// The server's code in the source of an error that [`failed`] made.
pub(crate) fn server_code(error: &Error) -> Option<i32> {
    code(error.source()?.downcast_ref()?)
}

/// Whether somebody else has inserted a document of that `_id`.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    server_code(error) == Some(DUPLICATE_KEY)
}

/// Whether the server may have refused an update for what it found in the document: fields of other types.
pub(crate) fn is_misfit(error: &Error) -> bool {
    // BadValue, FailedToParse, TypeMismatch, PathNotViable, ConflictingUpdateOperators, CannotIncrement…
    matches!(server_code(error), Some(2 | 9 | 14 | 28 | 40 | 16_837 | 52))
}

fn code(cause: &Cause) -> Option<i32> {
    match &*cause.kind {
        CauseKind::Command(error) => Some(error.code),
        CauseKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        CauseKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

/// Whether the server said so, and is there: not where the way to it, or the wait for it, failed.
pub(crate) fn is_answer(cause: &Cause) -> bool {
    !matches!(
        &*cause.kind,
        CauseKind::Io(_)
            | CauseKind::ConnectionPoolCleared { .. }
            | CauseKind::ServerSelection { .. }
            | CauseKind::DnsResolve { .. }
            | CauseKind::Shutdown
    )
}

type Explained = (ErrorKind, Option<&'static str>);

fn explain(cause: &Cause) -> Explained {
    if let Some(code) = code(cause) {
        return by_code(code, cause);
    }
    match &*cause.kind {
        CauseKind::Authentication { .. } => DENIED,
        CauseKind::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => (ErrorKind::Timeout, None),
        CauseKind::Io(_) | CauseKind::ConnectionPoolCleared { .. } => {
            if denied(cause) {
                DENIED
            } else {
                (ErrorKind::Unavailable, None)
            }
        }
        CauseKind::ServerSelection { message, .. }
            if message.contains("SCRAM") || message.contains("uthent") =>
        {
            DENIED
        }
        CauseKind::ServerSelection { .. } => (
            ErrorKind::Unavailable,
            Some("no primary can be reached: check host, port, TLS and the name of the replica set"),
        ),
        CauseKind::DnsResolve { .. } => {
            (ErrorKind::Unavailable, Some("the host of the mongodb+srv URL cannot be resolved"))
        }
        CauseKind::InvalidArgument { .. } | CauseKind::InvalidTlsConfig { .. } => (ErrorKind::Config, None),
        CauseKind::IncompatibleServer { .. } | CauseKind::SessionsNotSupported => {
            (ErrorKind::Incompatible, Some("the server is too old: MongoDB 4.4 or newer is needed"))
        }
        CauseKind::Shutdown => (ErrorKind::Closed, Some("the client was shut down")),
        _ => (ErrorKind::Other, None),
    }
}

/// A pool that was cleared says why in its text alone.
fn denied(cause: &Cause) -> bool {
    matches!(&*cause.kind, CauseKind::ConnectionPoolCleared { message, .. } if message.contains("Authentication"))
}

const DENIED: Explained = (
    ErrorKind::Denied,
    Some("the server refuses the user name or password: check both, and authSource, in the URL"),
);

fn by_code(code: i32, cause: &Cause) -> Explained {
    match code {
        18 | 8000 if cause.to_string().contains("quota") => FULL,
        18 | 8000 => DENIED,
        13 => (
            ErrorKind::Denied,
            Some("the user lacks a permission: the crate's documentation lists the actions to allow"),
        ),
        24 | 50 | 64 => (ErrorKind::Timeout, None),
        // The host, its way, or its part in the replica set is changing.
        6 | 7 | 89 | 91 | 112 | 133 | 134 | 189 | 262 | 9001 | 10_107 | 11_600 | 11_602 | 13_388 | 13_435
        | 13_436 => (ErrorKind::Unavailable, None),
        79 | 100 => (
            ErrorKind::Config,
            Some("the replica set cannot acknowledge by a majority: check how many members it has"),
        ),
        14_031 | 12_501 => FULL,
        67 | 85 | 86 => (
            ErrorKind::Incompatible,
            Some("an index of another make is in the way: drop it, or choose another prefix"),
        ),
        20 | 72 | 166 => (
            ErrorKind::Incompatible,
            Some("a collection is a view, or of another kind: drop it, or choose another prefix"),
        ),
        59 | 115 => {
            (ErrorKind::Incompatible, Some("the server lacks a command: MongoDB 4.4 or newer is needed"))
        }
        DUPLICATE_KEY => (
            ErrorKind::Incompatible,
            Some("a document is in the way, or a unique index that is not the cache's: drop it"),
        ),
        121 => {
            (ErrorKind::Incompatible, Some("a collection has a validator that is not the cache's: drop it"))
        }
        _ => (ErrorKind::Other, None),
    }
}

const FULL: Explained = (ErrorKind::Full, Some("the server has no room left"));
