use std::{borrow::Cow, error::Error as StdError, io};

use cache_api::{Error, ErrorKind};
use object_store::Error as Cause;

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("object-store")
}

pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "connect").with_message(message)
}

/// What became of `operation` in the store that `place` names, when it answered `cause`.
pub(crate) fn failed(operation: &'static str, place: &str, cause: Cause) -> Error {
    let (kind, message) = explain(place, &cause);
    let error = error(kind, operation);
    match message {
        Some(message) => error.with_message(message),
        None => error,
    }
    .with_source(cause)
}

fn explain(place: &str, cause: &Cause) -> (ErrorKind, Option<Cow<'static, str>>) {
    let text = texts(cause);
    let says = |word: &str| text.contains(word);
    // S3 and GCS; Azure.
    if says("NoSuchBucket") || says("ContainerNotFound") || says("bucket does not exist") {
        let message =
            format!("there is no such bucket or container as that of {place}: create it, or correct the URL");
        return (ErrorKind::Config, Some(message.into()));
    }
    if says("InvalidAccessKeyId") || says("SignatureDoesNotMatch") || says("ExpiredToken") {
        return (
            ErrorKind::Denied,
            Some(
                "the store refuses these credentials: check the key, its secret and its session token".into(),
            ),
        );
    }
    match cause {
        Cause::PermissionDenied { .. } => {
            return (
                ErrorKind::Denied,
                Some(
                    "the store refuses the credentials, or they lack a permission: the crate's documentation \
                     lists what to allow"
                        .into(),
                ),
            );
        }
        Cause::Unauthenticated { .. } => {
            return (ErrorKind::Denied, Some("the store wants credentials, or refuses those given".into()));
        }
        Cause::NotImplemented { .. } | Cause::NotSupported { .. } => {
            return (
                ErrorKind::Incompatible,
                Some("the store cannot do what the cache needs, such as conditional puts".into()),
            );
        }
        Cause::UnknownConfigurationKey { .. } | Cause::InvalidPath { .. } => {
            return (ErrorKind::Config, None);
        }
        _ => {}
    }
    if let Some(kind) = io_kind(cause) {
        return kind;
    }
    match http_kind(cause) {
        Some(kind @ (ErrorKind::Timeout | ErrorKind::Other)) => (kind, None),
        Some(_) => (
            ErrorKind::Unavailable,
            Some(format!("{place} cannot be reached: check the endpoint, the region and the network").into()),
        ),
        None if says("SlowDown") || says("status code: 5") || says("status code: 429") => {
            (ErrorKind::Unavailable, None)
        }
        None => (ErrorKind::Other, None),
    }
}

fn causes(cause: &Cause) -> Vec<&(dyn StdError + 'static)> {
    let mut causes = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(cause);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

/// What the store said, wherever in the chain of causes it stands.
fn texts(cause: &Cause) -> String {
    causes(cause).into_iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What went wrong on the way to a server, where that is what went wrong.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn http_kind(cause: &Cause) -> Option<ErrorKind> {
    use object_store::client::{HttpError, HttpErrorKind};
    let error = causes(cause).into_iter().find_map(|error| error.downcast_ref::<HttpError>())?;
    Some(match error.kind() {
        HttpErrorKind::Timeout => ErrorKind::Timeout,
        HttpErrorKind::Decode => ErrorKind::Other,
        _ => ErrorKind::Unavailable,
    })
}

#[cfg(not(any(feature = "aws", feature = "azure", feature = "gcp")))]
fn http_kind(_: &Cause) -> Option<ErrorKind> {
    None
}

fn io_kind(cause: &Cause) -> Option<(ErrorKind, Option<Cow<'static, str>>)> {
    let kind = causes(cause).into_iter().find_map(|error| error.downcast_ref::<io::Error>())?.kind();
    Some(match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (ErrorKind::Full, None)
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Denied, Some("the directory cannot be written: check its owner and mode".into()))
        }
        io::ErrorKind::TimedOut => (ErrorKind::Timeout, None),
        // From a network, not from a file.
        _ if http_kind(cause).is_some() => return None,
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (ErrorKind::Config, Some("the path of the URL is no directory".into()))
        }
        _ => (ErrorKind::Other, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &'static str) -> Cause {
        Cause::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn causes_have_their_kinds() {
        let path = || "a/b".to_owned();
        for (cause, kind, part) in [
            (
                Cause::NotFound { path: path(), source: "<Code>NoSuchBucket</Code>".into() },
                ErrorKind::Config,
                "that of s3://b: create it",
            ),
            (
                Cause::PermissionDenied { path: path(), source: "AccessDenied".into() },
                ErrorKind::Denied,
                "lack a permission",
            ),
            (
                Cause::PermissionDenied { path: path(), source: "SignatureDoesNotMatch".into() },
                ErrorKind::Denied,
                "check the key, its secret",
            ),
            (Cause::Unauthenticated { path: path(), source: "?".into() }, ErrorKind::Denied, "credentials"),
            (
                Cause::NotImplemented { operation: "put".into(), implementer: "it".into() },
                ErrorKind::Incompatible,
                "conditional puts",
            ),
            (generic("status code: 503: SlowDown"), ErrorKind::Unavailable, "unavailable"),
            (generic("something"), ErrorKind::Other, "failed"),
            (
                Cause::Generic { store: "files", source: io::Error::from(io::ErrorKind::StorageFull).into() },
                ErrorKind::Full,
                "full",
            ),
            (
                Cause::Generic {
                    store: "files",
                    source: io::Error::from(io::ErrorKind::PermissionDenied).into(),
                },
                ErrorKind::Denied,
                "owner and mode",
            ),
        ] {
            let error = failed("lookup", "s3://b", cause);
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.source().is_some());
        }
    }
}
