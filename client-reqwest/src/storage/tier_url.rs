//! Memory in front of the store that a URL names: `[memory=64MiB][&memory_staleness=1s][&memory_age=60s]` among its
//! parameters.

use std::{borrow::Cow, sync::Arc};

use cache_api::{Result, Storage};
#[cfg(feature = "tiered")]
use {
    cache_api::{Error, ErrorKind, Parameters},
    cache_backend_tiered::TieredStorage,
    std::time::Duration,
};

const NAMES: [&str; 3] = ["memory", "memory_staleness", "memory_age"];

/// The URL without these parameters, and they themselves where there are any. The rest stays as it is written.
pub(super) fn split(url: &str) -> (Cow<'_, str>, Option<String>) {
    let Some((store, query)) = url.split_once('?') else { return (Cow::Borrowed(url), None) };
    let is_ours = |pair: &&str| NAMES.contains(&pair.split('=').next().unwrap_or_default());
    let (ours, theirs): (Vec<_>, Vec<_>) = query.split('&').partition(is_ours);
    if ours.is_empty() {
        return (Cow::Borrowed(url), None);
    }
    let store = if theirs.is_empty() { store.to_owned() } else { format!("{store}?{}", theirs.join("&")) };
    (Cow::Owned(store), Some(ours.join("&")))
}

/// What these parameters say.
#[cfg(feature = "tiered")]
#[derive(Debug)]
pub(super) struct Settings {
    capacity: u64,
    staleness: Option<Duration>,
    age: Option<Duration>,
}

#[cfg(feature = "tiered")]
impl Settings {
    pub(super) fn read(query: &str) -> Result<Self> {
        let mut parameters = Parameters::new("tiered", query)?;
        let capacity = parameters.size("memory")?;
        let staleness = parameters.duration("memory_staleness")?;
        let age = parameters.duration("memory_age")?;
        parameters.finish()?;
        let capacity = capacity.ok_or_else(|| {
            let message =
                "memory_staleness and memory_age take memory in front of the store: add memory=64MiB";
            Error::new(ErrorKind::Config, "url").with_backend("tiered").with_message(message)
        })?;
        Ok(Self { capacity, staleness, age })
    }

    /// Puts memory in front of that store.
    pub(super) fn over(self, store: Arc<dyn Storage>) -> Result<Arc<dyn Storage>> {
        let mut builder = TieredStorage::builder(store).max_capacity(self.capacity);
        if let Some(staleness) = self.staleness {
            builder = builder.max_staleness(staleness);
        }
        if let Some(age) = self.age {
            builder = builder.max_age(age);
        }
        Ok(Arc::new(builder.build()?))
    }
}

/// There are none.
#[cfg(not(feature = "tiered"))]
pub(super) enum Settings {}

#[cfg(not(feature = "tiered"))]
impl Settings {
    pub(super) fn over(self, _: Arc<dyn Storage>) -> Result<Arc<dyn Storage>> {
        match self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_url_stays_as_it_is() {
        for (url, store, memory) in [
            ("redis://h", "redis://h", None),
            ("redis://h?timeout=5s", "redis://h?timeout=5s", None),
            ("redis://u:p%3F@h/1?memory=64MiB", "redis://u:p%3F@h/1", Some("memory=64MiB")),
            (
                "sqlite://a%20b?memory_age=1m&max_size=1GiB&memory=1&x=%41",
                "sqlite://a%20b?max_size=1GiB&x=%41",
                Some("memory_age=1m&memory=1"),
            ),
            ("redis://h?memory", "redis://h", Some("memory")),
            ("redis://h?memory_size=1&Memory=2", "redis://h?memory_size=1&Memory=2", None),
        ] {
            let (found, parameters) = split(url);
            assert_eq!((&*found, parameters.as_deref()), (store, memory));
        }
    }

    #[cfg(feature = "tiered")]
    #[test]
    fn each_parameter_is_taken_or_named() {
        let settings = Settings::read("memory=64MiB&memory_staleness=500ms&memory_age=1m").unwrap();
        let shown = format!("{settings:?}");
        for part in ["67108864", "500ms", "60s"] {
            assert!(shown.contains(part), "{shown}");
        }
        for (query, part) in [
            ("memory=a", "the value of memory is no size: write bytes, or as 512MiB or 2GiB"),
            ("memory=1GiB&memory_age=x", "memory_age is no duration"),
            ("memory_age=1s", "add memory=64MiB"),
            ("memory=1&memory=2", "twice"),
        ] {
            let error = Settings::read(query).unwrap_err();
            assert_eq!((error.kind(), error.backend()), (ErrorKind::Config, Some("tiered")));
            assert!(error.to_string().contains(part), "{query}: {error}");
        }
    }
}
