use std::time::{Duration, SystemTime};

use cache_api::{Filter, TagDigest};
use url::Url;

use crate::{EntryInfo, State, UrlPattern, target::bare};

/// Which entries are meant; all by default. Each condition narrows it, and the states widen each other.
///
/// The first tag and the times are the store's to look for; the rest is judged by the heads, each of which is read. No body
/// is.
///
/// ```
/// use std::time::Duration;
///
/// use cache_admin::{EntryFilter, State};
///
/// // What has not been confirmed for a day and would not be served any more without asking the origin.
/// let old = EntryFilter::all().state(State::Expired).older_than(Duration::from_secs(24 * 60 * 60));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EntryFilter {
    states: Vec<State>,
    tags: Vec<TagDigest>,
    stored_before: Option<SystemTime>,
    older_than: Option<Duration>,
    url: Option<Url>,
    pattern: Option<UrlPattern>,
}

impl EntryFilter {
    /// All entries, invalid ones too.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only entries in this state, or in another that was named before.
    pub fn state(mut self, state: State) -> Self {
        self.states.push(state);
        self
    }

    /// Only entries that have this tag, and each that was named before.
    pub fn tag(self, tag: &str) -> Self {
        self.tag_digest(TagDigest::of(tag))
    }

    /// Only entries that have the tag with this digest, and each that was named before.
    pub fn tag_digest(mut self, tag: TagDigest) -> Self {
        self.tags.push(tag);
        self
    }

    /// Only entries that were stored, or last confirmed, longer ago than that.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Only entries that were stored, or last confirmed, before this instant.
    pub fn stored_before(mut self, instant: SystemTime) -> Self {
        self.stored_before = Some(instant);
        self
    }

    /// Only entries of exactly this URL, whatever method, tenant or credentials they are stored under. Its fragment and
    /// credentials do not count.
    pub fn url(mut self, url: &Url) -> Self {
        self.url = Some(bare(url));
        self
    }

    /// Only entries whose URL the pattern matches. One whose head cannot be read has none.
    pub fn pattern(mut self, pattern: UrlPattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// The part that the store looks for.
    pub(crate) fn pushed(&self, now: SystemTime) -> Filter {
        let older = self.older_than.map(|age| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH));
        let mut filter = Filter::all();
        filter.tag = self.tags.first().copied();
        filter.stored_before = older.into_iter().chain(self.stored_before).min();
        filter
    }

    /// Whether the store's part is all of it.
    pub(crate) fn is_pushed(&self) -> bool {
        self.states.is_empty() && self.tags.len() < 2 && self.url.is_none() && self.pattern.is_none()
    }

    /// Whether an entry that the store found is meant.
    pub(crate) fn wants(&self, entry: &EntryInfo) -> bool {
        let url = || entry.url().and_then(|url| Url::parse(url).ok());
        (self.states.is_empty() || self.states.contains(&entry.state))
            && self.tags.iter().all(|tag| entry.tags.contains(tag))
            && self.url.as_ref().is_none_or(|wanted| url().is_some_and(|url| url == *wanted))
            && self.pattern.as_ref().is_none_or(|pattern| url().is_some_and(|url| pattern.matches(&url)))
    }
}
