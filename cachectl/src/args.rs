//! The command line.

use std::time::Duration;

use cache_engine::policy::{Mode, Options};
use clap::{Args, Parser, ValueEnum};

use crate::{
    command::Command,
    encoding::Encoding,
    failure::{EXIT_CODES, Failure},
};

/// Looks into an HTTP cache and keeps it in order.
#[derive(Parser)]
#[command(name = "cachectl", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Global {
    /// Where the cache is, as sqlite:///var/cache/http.sqlite or redis://host
    #[arg(long, short, global = true, env = "CACHECTL_STORAGE", hide_env_values = true, value_name = "URL")]
    storage: Option<String>,
    /// Whether the cache's clients share it among users; decides what counts as fresh [default: private, for serve shared]
    #[arg(long, global = true, value_enum)]
    pub(crate) mode: Option<Users>,
    /// For how long past its freshness the clients serve what the origin fails to confirm, where it does not say itself
    #[arg(long, global = true, value_parser = duration, value_name = "DURATION")]
    stale_if_error: Option<Duration>,
    #[command(flatten)]
    pub(crate) encoding: Encoding,
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Users {
    /// One user
    Private,
    /// Several users
    Shared,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

impl From<Users> for Mode {
    fn from(users: Users) -> Self {
        match users {
            Users::Private => Self::Private,
            Users::Shared => Self::Shared,
        }
    }
}

impl Global {
    pub(crate) fn storage(&self) -> Result<&str, Failure> {
        let named = self.storage.as_deref().filter(|url| !url.is_empty());
        named
            .ok_or_else(|| Failure::usage("no storage is named: give --storage URL, or set CACHECTL_STORAGE"))
    }

    /// What the cache's clients go by.
    pub(crate) fn options(&self, default: Users) -> Options {
        Options::new().mode(self.mode.unwrap_or(default).into()).stale_if_error(self.stale_if_error)
    }
}

/// Reads seconds, or as `90s`, `15m`, `2h 30m`, `7days`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write seconds, or as 90s, 15m, 2h, 7days"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("2h 30m", 9000), ("7days", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-1", "1 parsec"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
