//! `sqlite:` URLs.

use std::borrow::Cow;

use cache_api::{Error, ErrorKind, Namespace, Result};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::{SqliteStorageBuilder, error::error};

const PARAMETERS: &str = "namespace, max_size, max_entry_size, create_dir";

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
    builder = match &*decoded(location)? {
        "" => {
            return Err(config(
                "the SQLite URL names no file: write sqlite://cache.sqlite or sqlite::memory:",
            ));
        }
        ":memory:" => builder.in_memory(),
        path => builder.path(path),
    };
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Err(config(format!("the SQLite URL has the parameter {name:?} twice")));
        }
        builder = match &*name {
            "namespace" => builder.namespace(Namespace::new(&value)?),
            "max_size" if value == "none" => builder.max_size(None),
            "max_size" => builder.max_size(size(&name, &value)?),
            "max_entry_size" => builder.max_entry_size(size(&name, &value)?),
            "create_dir" => builder.create_dir(flag(&name, &value)?),
            _ => {
                return Err(config(format!(
                    "the SQLite URL has the unknown parameter {name:?}; known are {PARAMETERS}"
                )));
            }
        };
        seen.push(name);
    }
    Ok(builder)
}

fn decoded(location: &str) -> Result<Cow<'_, str>> {
    percent_decode_str(location)
        .decode_utf8()
        .map_err(|cause| config("the path of the SQLite URL is not UTF-8 when decoded").with_source(cause))
}

/// A number of bytes: digits, with `KiB`, `MiB` or `GiB` where wanted.
fn size(name: &str, value: &str) -> Result<u64> {
    let (digits, unit) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((value.strip_suffix(suffix)?, unit)))
        .unwrap_or((value, 1_u64));
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| {
        config(format!("{name}={value:?} in the SQLite URL is no size: write bytes, or as 512MiB or 2GiB"))
    })
}

fn flag(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(config(format!("{name}={value:?} in the SQLite URL is neither true nor false"))),
    }
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
        let shown = format!("{:?}", builder_of("namespace=a-b&max_size=2MiB&create_dir=false").unwrap());
        for part in ["a-b", "2097152", "create_dir: false"] {
            assert!(shown.contains(part), "{shown}");
        }
        for (query, part) in [
            ("max-size=1", "known are namespace"),
            ("max_size=1GB", "no size"),
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
}
