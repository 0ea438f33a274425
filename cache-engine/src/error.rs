use std::{error::Error as StdError, fmt, sync::Arc};

use crate::policy::InvalidSetting;

/// Why a request has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The network failed. Callers that waited for one fetch share its error.
    Network(Arc<E>),
    /// The storage failed, and the engine is set to fail closed.
    Storage(cache_api::Error),
    /// The fetch was cut off: the runtime is shutting down.
    Interrupted,
    /// The request's controls contradict each other; nothing was sent.
    Setting(InvalidSetting),
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network(_) => "the origin could not be reached",
            Self::Storage(_) => "the cache's storage failed",
            Self::Interrupted => "the fetch was cut off",
            Self::Setting(_) => "the request's settings cannot be used together",
        })
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Network(error) => Some(&**error),
            Self::Storage(error) => Some(error),
            Self::Interrupted => None,
            Self::Setting(invalid) => Some(invalid),
        }
    }
}

/// Why a response's body broke off.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The network failed.
    Network(Arc<dyn StdError + Send + Sync>),
    /// The origin's body is not as long as its `Content-Length` says.
    Length {
        /// What `Content-Length` says.
        expected: u64,
        /// How many bytes came.
        received: u64,
    },
    /// What was stored could not be read to the end.
    Storage(cache_api::Error),
    /// The transfer was cut off: its task panicked, or the runtime shut down.
    Interrupted,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(_) => f.write_str("the response's body broke off"),
            Self::Length { expected, received } => {
                write!(f, "the response's body has {received} bytes where Content-Length says {expected}")
            }
            Self::Storage(_) => f.write_str("the stored body could not be read to its end"),
            Self::Interrupted => f.write_str("the transfer was cut off"),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Network(error) => Some(&**error),
            Self::Storage(error) => Some(error),
            Self::Length { .. } | Self::Interrupted => None,
        }
    }
}
