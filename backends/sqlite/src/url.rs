//! `sqlite:` URLs.

use std::borrow::Cow;

use cache_api::{Error, ErrorKind, Limits, Parameters, Result};

use crate::{SqliteStorageBuilder, error::error};

/// The builder that a URL describes. The forms are in the crate's documentation.
pub(crate) fn builder(url: &str) -> Result<SqliteStorageBuilder> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Err(config(
            "the URL of an SQLite storage begins with \"sqlite:\", as sqlite:///var/cache/http.sqlite",
        ));
    };
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    if rest.contains('#') {
        return Err(config("an SQLite URL has no fragment: write a '#' in a path as %23"));
    }
    let location = location.strip_prefix("//").unwrap_or(location);
    let mut builder = SqliteStorageBuilder::default();
    builder = match &*Parameters::decoded("sqlite", location)? {
        "" => {
            return Err(config(
                "the SQLite URL names no file: write sqlite://cache.sqlite or sqlite::memory:",
            ));
        }
        ":memory:" => builder.in_memory(),
        path => builder.path(path),
    };
    let mut parameters = Parameters::new("sqlite", query)?;
    if let Some(namespace) = parameters.namespace()? {
        builder = builder.namespace(namespace);
    }
    if let Some(bytes) = parameters.bound("max_size")? {
        builder = builder.max_size(bytes);
    }
    if let Some(bytes) = parameters.size("max_entry_size")? {
        builder = builder.max_entry_size(bytes);
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder = builder.limits(Limits::default().with_max_retention(retention));
    }
    if let Some(create) = parameters.flag("create_dir")? {
        builder = builder.create_dir(create);
    }
    if let Some(create) = parameters.flag("create")? {
        builder = builder.create(create);
    }
    parameters.finish()?;
    Ok(builder)
}

fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "url").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_file() {
        for (url, path) in [
            ("sqlite:cache.sqlite", "cache.sqlite"),
            ("sqlite://cache.sqlite", "cache.sqlite"),
            ("sqlite://Dir/cache.sqlite", "Dir/cache.sqlite"),
            ("sqlite:///var/cache/x.sqlite", "/var/cache/x.sqlite"),
            ("sqlite:/var/cache/x.sqlite", "/var/cache/x.sqlite"),
            ("sqlite:///my%20files/50%25%3F.sqlite", "/my files/50%?.sqlite"),
            ("sqlite:///my files/x.sqlite?namespace=a", "/my files/x.sqlite"),
        ] {
            let shown = format!("{:?}", builder(url).unwrap());
            assert!(shown.contains(&format!("File({path:?})")), "{url}: {shown}");
        }
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite::memory:?max_size=1MiB"] {
            let shown = format!("{:?}", builder(url).unwrap());
            assert!(shown.contains("location: Memory"), "{url}: {shown}");
        }
    }

    #[test]
    fn parameters_are_taken_or_named() {
        let builder_of = |query: &str| builder(&format!("sqlite://x.sqlite?{query}"));
        let shown = format!(
            "{:?}",
            builder_of("namespace=a-b&max_size=2MiB&max_retention=30d&create_dir=false&create=false")
                .unwrap()
        );
        for part in ["a-b", "2097152", "max_retention: 2592000s", "create_dir: false", "create: false"] {
            assert!(shown.contains(part), "{shown}");
        }
        let shown = format!("{:?}", builder_of("max_size=none").unwrap());
        assert!(shown.contains("max_size: Set(None)"), "{shown}");
        for (query, part) in [
            (
                "max-size=1",
                "\"max-size\"; known are namespace, max_size, max_entry_size, max_retention, create_dir, create",
            ),
            ("max_size=1GB", "max_size is no size"),
            ("max_entry_size=none", "max_entry_size is no size"),
            ("max_size=99999999999999GiB", "no size"),
            ("max_size=1&max_size=2", "twice"),
            ("create_dir=1", "true nor false"),
            ("namespace=A", "is no namespace"),
        ] {
            let message = builder_of(query).unwrap_err().to_string();
            assert!(message.contains(part), "{query}: {message}");
        }
        for url in ["postgres://x", "sqlite:", "sqlite://", "sqlite://a#b", "sqlite://%ff"] {
            assert_eq!(builder(url).unwrap_err().kind(), ErrorKind::Config, "{url}");
        }
    }

    #[test]
    fn no_url_panics() {
        cache_conformance::urls_keep_secrets(
            &[
                "sqlite:///var/cache/x.sqlite?namespace=a&max_size=2MiB&create=false",
                "sqlite::memory:?max_retention=30d",
            ],
            builder,
        );
    }
}
