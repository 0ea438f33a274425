use std::borrow::Cow;

use cache_api::{Error, ErrorKind};
use redis::{ErrorKind as Cause, RedisError, ServerErrorKind as Server};

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("redis")
}

pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "connect").with_message(message)
}

/// What became of `operation` when the server, or the way to it, answered `cause`.
pub(crate) fn failed(operation: &'static str, cause: RedisError) -> Error {
    let (kind, message) = explain(&cause);
    let error = error(kind, operation);
    match message {
        Some(message) => error.with_message(message),
        None => error,
    }
    .with_source(cause)
}

fn explain(cause: &RedisError) -> (ErrorKind, Option<&'static str>) {
    if cause.is_timeout() {
        return (ErrorKind::Timeout, None);
    }
    match cause.kind() {
        Cause::AuthenticationFailed => return DENIED,
        Cause::InvalidClientConfig | Cause::EmptySentinelList => return (ErrorKind::Config, None),
        Cause::MasterNameNotFoundBySentinel => {
            return (
                ErrorKind::Config,
                Some("the sentinels know no master of that name: check the path of the URL"),
            );
        }
        Cause::Server(Server::NoPerm) => return NO_PERMISSION,
        Cause::Server(Server::ReadOnly) => {
            return (
                ErrorKind::Unavailable,
                Some("the server is a read-only replica: name the primary, or use Sentinel or Cluster"),
            );
        }
        Cause::Server(Server::ClusterDown) => {
            return (ErrorKind::Unavailable, Some("the cluster is down: not all of its slots are served"));
        }
        Cause::Server(Server::BusyLoading) => {
            return (ErrorKind::Unavailable, Some("the server is loading its data"));
        }
        Cause::Server(Server::Moved | Server::CrossSlot) => {
            return (
                ErrorKind::Config,
                Some("the server is one of a cluster: connect with a redis-cluster:// URL"),
            );
        }
        Cause::Server(Server::MasterDown | Server::TryAgain | Server::Ask)
        | Cause::ClusterConnectionNotFound => {
            return (ErrorKind::Unavailable, None);
        }
        _ => {}
    }
    if cause.is_io_error() {
        return (ErrorKind::Unavailable, Some("the server cannot be reached: check host, port and TLS"));
    }
    by_text(cause)
}

const DENIED: (ErrorKind, Option<&'static str>) =
    (ErrorKind::Denied, Some("the server refuses the user name or password: check both in the URL"));

const NO_PERMISSION: (ErrorKind, Option<&'static str>) = (
    ErrorKind::Denied,
    Some(
        "the user lacks a permission: the crate's documentation lists the commands, keys and channels to allow",
    ),
);

/// Errors that a server names by a word, at the beginning or (from within a script) in the text.
fn by_text(cause: &RedisError) -> (ErrorKind, Option<&'static str>) {
    let code = cause.code().unwrap_or_default();
    let detail = cause.detail().unwrap_or_default();
    let says = |word: &str| code == word || detail.contains(word);
    if says("WRONGPASS") || says("NOAUTH") || detail.contains("unauthenticated") {
        return DENIED;
    }
    let refused =
        ["ACL failure", "no permissions", "can't run this command", "can't access", "can't publish"];
    if says("NOPERM") || refused.iter().any(|words| detail.contains(words)) {
        return NO_PERMISSION;
    }
    if says("READONLY") || detail.contains("read only replica") {
        return (
            ErrorKind::Unavailable,
            Some("the server is a read-only replica: name the primary, or use Sentinel or Cluster"),
        );
    }
    if says("OOM") {
        return (
            ErrorKind::Full,
            Some("the server is at its maxmemory and evicts nothing: raise it, or set maxmemory-policy"),
        );
    }
    if says("MISCONF") || says("NOREPLICAS") || says("BUSY") || says("CLUSTERDOWN") {
        return (ErrorKind::Unavailable, None);
    }
    if detail.contains("unknown command") {
        return (
            ErrorKind::Incompatible,
            Some("the server lacks a command: Redis 6.2, or Valkey, is needed"),
        );
    }
    (ErrorKind::Other, None)
}
