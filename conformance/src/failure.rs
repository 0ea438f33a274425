use std::{error::Error as StdError, fmt};

/// Why a case failed: what was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

/// What a case comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What was expected, and what was found.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }

    /// The same failure, found while doing that.
    pub(crate) fn while_doing(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }

    /// An error with all its causes.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self(message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<cache_api::Error> for Failure {
    fn from(error: cache_api::Error) -> Self {
        Self::of(&error).while_doing("unexpected error")
    }
}

/// Adds what was being done to a failure.
pub(crate) trait Context<T> {
    fn context(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|e| e.into().while_doing(what))
    }
}

/// Fails the case with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::failure::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the case unless what was found is what was expected.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return Err($crate::failure::Failure::new(format!(
                        "{}: expected {expected:?}, found {found:?}",
                        format_args!($($what)+)
                    )));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};
