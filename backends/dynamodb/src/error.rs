use std::{borrow::Cow, error::Error as StdError, fmt};

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use cache_api::{Error, ErrorKind};

/// An error of this backend.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).with_backend("dynamodb")
}

pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "connect").with_message(message)
}

/// Others were faster each time.
pub(crate) fn contended(operation: &'static str) -> Error {
    error(ErrorKind::Unavailable, operation)
        .with_message("others write the same resource all the time: try again later")
}

/// What became of `operation` when DynamoDB, or the way to it, answered `cause`.
///
/// A service's answer may quote what was stored, or how a request was signed: of it only the code, the request's id and,
/// where it is about the request's form, the words are kept.
pub(crate) fn failed<E>(operation: &'static str, cause: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (kind, message) = match &cause {
        SdkError::ServiceError(service) => by_code(service.err()),
        SdkError::TimeoutError(_) => (ErrorKind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (ErrorKind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            (ErrorKind::Unavailable, Some("DynamoDB cannot be reached: check region, endpoint and network"))
        }
        _ => by_text(&DisplayErrorContext(&cause).to_string()),
    };
    let failed = error(kind, operation);
    let failed = match message {
        Some(message) => failed.with_message(message),
        None => failed,
    };
    match cause {
        SdkError::ServiceError(service) => failed.with_source(Answer::of(service.err(), kind)),
        cause => match cause.into_source() {
            Ok(source) => failed.with_source(source),
            Err(_) => failed,
        },
    }
}

/// Whether the request was refused for its form, such as an item that would be too large.
pub(crate) fn is_invalid<E: ProvideErrorMetadata>(cause: &SdkError<E>) -> bool {
    cause.code() == Some("ValidationException")
}

/// Whether the same request may come through a moment later.
pub(crate) fn is_passing<E: ProvideErrorMetadata>(cause: &SdkError<E>) -> bool {
    matches!(
        cause.code(),
        Some(
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
                | "TransactionInProgressException"
                | "ReplicatedWriteConflictException"
                | "InternalServerError"
        )
    )
}

fn by_code(cause: &impl ProvideErrorMetadata) -> (ErrorKind, Option<&'static str>) {
    let says = |words: &str| cause.message().is_some_and(|message| message.contains(words));
    match cause.code().unwrap_or_default() {
        "ResourceNotFoundException" => (
            ErrorKind::Config,
            Some("there is no such table in that region: create it, or let `create_table` do so"),
        ),
        "AccessDeniedException" | "AccessDenied" => (
            ErrorKind::Denied,
            Some("the credentials lack a permission: the crate's documentation has the policy to attach"),
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "AuthFailure" => (
            ErrorKind::Denied,
            Some(
                "AWS refuses the credentials: check the key's id, secret, session token and expiry, and the region",
            ),
        ),
        "ValidationException" if says("Item size") || says("item size") => {
            (ErrorKind::Full, Some("an item would be larger than the 400 KB that DynamoDB takes"))
        }
        "ValidationException" if says("key") || says("schema") => INCOMPATIBLE,
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => (
            ErrorKind::Unavailable,
            Some("the table, or one partition of it, is throttled: raise its capacity, or bill it on demand"),
        ),
        "TransactionConflictException"
        | "TransactionCanceledException"
        | "TransactionInProgressException" => {
            (ErrorKind::Unavailable, Some("others write the same items all the time: try again later"))
        }
        "InternalServerError" | "ServiceUnavailable" | "ReplicatedWriteConflictException" => {
            (ErrorKind::Unavailable, None)
        }
        "LimitExceededException" => {
            (ErrorKind::Unavailable, Some("the account has too many table operations under way"))
        }
        _ => (ErrorKind::Other, None),
    }
}

pub(crate) const INCOMPATIBLE: (ErrorKind, Option<&str>) = (
    ErrorKind::Incompatible,
    Some("the table has other keys: it needs the partition key `pk` and the sort key `sk`, both strings"),
);

/// What failed before anything was sent, such as finding credentials.
fn by_text(text: &str) -> (ErrorKind, Option<&'static str>) {
    if text.contains("redential") {
        return (
            ErrorKind::Denied,
            Some("no credentials were found, or they cannot be used: set them, a profile or a role"),
        );
    }
    if text.contains("region") {
        return (ErrorKind::Config, Some("no region is set: name one in the URL, or in AWS_REGION"));
    }
    (ErrorKind::Unavailable, None)
}

/// What of a service's answer may be shown.
#[derive(Debug)]
struct Answer {
    code: String,
    message: Option<String>,
    request: Option<String>,
}

impl Answer {
    fn of(cause: &impl ProvideErrorMetadata, kind: ErrorKind) -> Self {
        let quotable =
            matches!(kind, ErrorKind::Config | ErrorKind::Incompatible | ErrorKind::Full | ErrorKind::Other)
                || cause.code() == Some("AccessDeniedException");
        Self {
            code: cause.code().unwrap_or("unknown").to_owned(),
            message: cause.message().filter(|_| quotable).map(str::to_owned),
            request: cause.meta().extra("aws_request_id").map(str::to_owned),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(request) = &self.request {
            write!(f, " (request {request})")?;
        }
        Ok(())
    }
}

impl StdError for Answer {}
