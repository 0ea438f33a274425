//! How a command ends, and the exit codes that say so.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use cache_api::ErrorKind;

use crate::output::style::BAD;

/// What the help says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done; also where the reader of the output went away
  1    done, and something is wrong: damage was found, something was left behind, or nothing was to be shown
  2    the command line or a URL in it is wrong, or its Cargo feature is off
  3    the storage is not there, cannot be opened or reached, or failed
  4    not confirmed: nothing was changed
  5    anything else, such as an address that is taken or an output that cannot be written
  130  interrupted";

/// How a command ends that could be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It did what it should, and there is something to look into.
    Problems,
    Interrupted,
}

impl Outcome {
    pub(crate) fn problems_if(problems: bool) -> Self {
        if problems { Self::Problems } else { Self::Done }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Problems => 1,
            Outcome::Interrupted => 130,
        })
    }
}

/// Why a command could not be run to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    Usage(anyhow::Error),
    Storage(anyhow::Error),
    Declined(String),
    Output(io::Error),
    Other(anyhow::Error),
}

pub(crate) type Result<T = Outcome, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(anyhow::Error::msg(message.into()))
    }

    pub(crate) fn other(what: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(anyhow::Error::new(error).context(what))
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says on stderr what stands against an outcome.
    pub(crate) fn warn(why: &anyhow::Error) {
        complain(&format!("{why:#}"));
    }

    /// Says it on stderr.
    pub(crate) fn report(self) -> ExitCode {
        let (code, text) = match self {
            Self::Usage(error) => (2, format!("{error:#}")),
            Self::Storage(error) => (3, format!("{error:#}")),
            Self::Declined(message) => (4, message),
            Self::Output(error) => (5, format!("the output cannot be written: {error}")),
            Self::Other(error) => (5, format!("{error:#}")),
        };
        complain(&text);
        ExitCode::from(code)
    }
}

fn complain(text: &str) {
    // Where this cannot be written, there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{BAD}error:{BAD:#} {text}");
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<cache_api::Error> for Failure {
    fn from(error: cache_api::Error) -> Self {
        // What a URL says is the command line's fault, not the store's.
        let usage = error.kind() == ErrorKind::Config && matches!(error.operation(), "url" | "pattern");
        let error = anyhow::Error::new(error);
        if usage { Self::Usage(error) } else { Self::Storage(error) }
    }
}

impl From<client_reqwest::Error> for Failure {
    fn from(error: client_reqwest::Error) -> Self {
        let of_store = error.source().and_then(|source| source.downcast_ref::<cache_api::Error>());
        match of_store {
            Some(store) if store.operation() != "url" => Self::Storage(anyhow::Error::new(error)),
            _ => Self::Usage(anyhow::Error::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_is_usage_and_what_a_store_says_is_not() {
        for (operation, kind, usage) in [
            ("url", ErrorKind::Config, true),
            ("pattern", ErrorKind::Config, true),
            ("open", ErrorKind::Config, false),
            ("open", ErrorKind::Incompatible, false),
            ("lookup", ErrorKind::Unavailable, false),
        ] {
            let failure = Failure::from(cache_api::Error::new(kind, operation));
            assert_eq!(matches!(failure, Failure::Usage(_)), usage, "{operation} {kind}");
            assert_eq!(matches!(failure, Failure::Storage(_)), !usage, "{operation} {kind}");
        }
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_closed_pipe());
        assert!(!Failure::from(io::Error::from(io::ErrorKind::StorageFull)).is_closed_pipe());
    }
}
