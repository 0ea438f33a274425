use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

use crate::policy::InvalidSetting;

/// A pattern as it was given.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Glob(String),
    Regex(String),
}

/// What of a URL it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Host,
    Path,
}

/// A pattern that can be matched.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Glob(GlobMatcher),
    Regex(Regex),
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
        }
    }
}

impl Pattern {
    /// The pattern, ready to be matched. `named` is the setting's name, given what follows that of its part.
    pub(super) fn compile(
        &self,
        part: Part,
        named: impl Fn(&str) -> String,
    ) -> Result<Matcher, InvalidSetting> {
        match self {
            Self::Glob(glob) => {
                if let Some(problem) = unmatched(glob, part) {
                    return Err(InvalidSetting::new(named(""), problem));
                }
                // Brackets are a class in a glob, and part of an address in a host.
                let text = match part {
                    Part::Host if glob.starts_with('[') && glob.ends_with(']') => globset::escape(glob),
                    Part::Host => glob.strip_suffix('.').unwrap_or(glob).to_ascii_lowercase(),
                    Part::Path => glob.clone(),
                };
                let mut builder = GlobBuilder::new(&text);
                // A host has no slash for `*` to stop at.
                builder.literal_separator(true).backslash_escape(true).empty_alternates(true);
                let glob = builder
                    .build()
                    .map_err(|error| InvalidSetting::new(named(""), "not a glob").with_source(error))?;
                Ok(Matcher::Glob(glob.compile_matcher()))
            }
            Self::Regex(regex) => {
                let not_one = |error| {
                    InvalidSetting::new(named("_regex"), "not a regular expression").with_source(error)
                };
                // On its own first: what closes a group too many would only be one within the anchors.
                Regex::new(regex).map_err(not_one)?;
                let anchored = RegexBuilder::new(&format!(r"\A(?:{regex})\z"))
                    .case_insensitive(part == Part::Host)
                    .build();
                anchored.map(Matcher::Regex).map_err(not_one)
            }
        }
    }
}

impl Matcher {
    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.is_match(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Why no URL can match a glob, where none can.
fn unmatched(glob: &str, part: Part) -> Option<&'static str> {
    match part {
        _ if glob.is_empty() => Some("empty: leave it out for all"),
        Part::Host if glob.contains("://") => Some("a host has no scheme"),
        Part::Host if glob.contains(['/', '@', '#']) => Some("not a host: the path has a setting of its own"),
        Part::Host if !glob.is_ascii() => Some("not ASCII: write an international name in its ASCII form"),
        Part::Host if glob.contains(':') && !glob.starts_with('[') => Some("the port does not count"),
        Part::Path if !glob.starts_with(['/', '*', '{', '[', '?', '\\']) => {
            Some("a path begins with a slash")
        }
        Part::Path if glob.contains('#') => Some("a path has no fragment"),
        _ => None,
    }
}
