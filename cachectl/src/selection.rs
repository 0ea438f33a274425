//! Which entries a command is for.

use std::time::Duration;

use cache_admin::{EntryFilter, State, UrlPattern};
use clap::{Args, ValueEnum};
use url::Url;

use crate::args::duration;

/// Only those entries; all conditions have to hold.
#[derive(Args, Default)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct Selection {
    /// In one of these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    pub(crate) state: Vec<StateName>,
    /// Stored, or last confirmed, longer ago than that
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) older_than: Option<Duration>,
    /// With such a URL: a host, with scheme, port and path where they count, as '*.example.com/api/**'
    #[arg(long, value_parser = pattern, value_name = "PATTERN")]
    pub(crate) pattern: Option<UrlPattern>,
    /// With this tag; of several, with each
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateName {
    /// Served without asking the origin
    Fresh,
    /// Within a window in which it may be served stale
    Stale,
    /// Used after validation only
    Expired,
    /// Its head cannot be read
    Invalid,
}

impl From<StateName> for State {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Fresh => Self::Fresh,
            StateName::Stale => Self::Stale,
            StateName::Expired => Self::Expired,
            StateName::Invalid => Self::Invalid,
        }
    }
}

impl Selection {
    pub(crate) fn is_everything(&self) -> bool {
        let Self { state, older_than, pattern, tag } = self;
        state.is_empty() && older_than.is_none() && pattern.is_none() && tag.is_empty()
    }

    /// The tag, where nothing else is asked for.
    pub(crate) fn only_tag(&self) -> Option<&str> {
        match (&*self.tag, &*self.state, &self.older_than, &self.pattern) {
            ([tag], [], None, None) => Some(tag),
            _ => None,
        }
    }

    pub(crate) fn filter(&self) -> EntryFilter {
        let mut filter = EntryFilter::all();
        for state in &self.state {
            filter = filter.state((*state).into());
        }
        for tag in &self.tag {
            filter = filter.tag(tag);
        }
        if let Some(age) = self.older_than {
            filter = filter.older_than(age);
        }
        if let Some(pattern) = &self.pattern {
            filter = filter.pattern(pattern.clone());
        }
        filter
    }
}

fn pattern(text: &str) -> Result<UrlPattern, String> {
    text.parse().map_err(|error: cache_api::Error| format!("{:#}", anyhow::Error::new(error)))
}

/// A URL by which entries are stored.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.has_host() {
        true => Ok(url),
        false => Err("write it whole, as https://example.com/path".to_owned()),
    }
}
