//! `postgres:` and `postgresql:` URLs.

use std::{borrow::Cow, time::Duration};

use cache_api::{Error, ErrorKind, Namespace, Result};
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::{PostgresStorageBuilder, error::error, schema::check_name};

/// The parameters that sqlx takes.
const PASSED_ON: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

const OURS: &str = "namespace, schema, create, unlogged, lazy, max_connections, acquire_timeout, \
                    prepared_statements, max_entry_size";

/// The builder that a URL describes. The parameters are in the crate's documentation.
pub(crate) fn builder(text: &str) -> Result<PostgresStorageBuilder> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(config(
            "the URL of a PostgreSQL storage begins with \"postgres://\", as postgres://user@host/database",
        ));
    }
    // Neither error is kept as the source: it might show a part of the URL.
    let mut url = Url::parse(text).map_err(|_| {
        config("the PostgreSQL URL cannot be read: write '@', ':', '/', '?', '#' and '%' in a password as %40 and so on")
    })?;
    if url.fragment().is_some() {
        return Err(config("a PostgreSQL URL has no fragment: write a '#' in a password as %23"));
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    let mut builder = PostgresStorageBuilder::default();
    let mut seen = Vec::new();
    for (name, value) in &pairs {
        if seen.contains(&name) {
            return Err(config(format!("the PostgreSQL URL has the parameter {name:?} twice")));
        }
        seen.push(name);
        builder = match name.as_str() {
            "namespace" => builder.namespace(Namespace::new(value)?),
            "schema" => {
                check_name(value)?;
                builder.schema(value)
            }
            "create" => builder.create(flag(name, value)?),
            "unlogged" => builder.unlogged(flag(name, value)?),
            "lazy" => builder.lazy(flag(name, value)?),
            "prepared_statements" => builder.prepared_statements(flag(name, value)?),
            "max_connections" => match value.parse() {
                Ok(connections @ 1..) => builder.max_connections(connections),
                _ => {
                    return Err(config(format!(
                        "{name}={value:?} in the PostgreSQL URL is no number from 1"
                    )));
                }
            },
            "acquire_timeout" => builder.acquire_timeout(seconds(name, value)?),
            "max_entry_size" => builder.max_entry_size(size(name, value)?),
            passed_on if PASSED_ON.contains(&passed_on) || passed_on.starts_with("options[") => {
                url.query_pairs_mut().append_pair(name, value);
                builder
            }
            _ => {
                return Err(config(format!(
                    "the PostgreSQL URL has the unknown parameter {name:?}; known are {OURS}, and of the \
                     connection {}",
                    PASSED_ON.join(", ")
                )));
            }
        };
    }
    let options: PgConnectOptions = url.as_str().parse().map_err(|_| {
        config("a parameter of the connection (sslmode, port, hostaddr) in the PostgreSQL URL has no valid value")
    })?;
    Ok(builder.connect_options(options))
}

fn seconds(name: &str, value: &str) -> Result<Duration> {
    let seconds: Option<u64> = value.strip_suffix('s').unwrap_or(value).parse().ok().filter(|s| *s > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| {
        config(format!("{name}={value:?} in the PostgreSQL URL is no time: write seconds, as 10 or 10s"))
    })
}

/// A number of bytes: digits, with `KiB`, `MiB` or `GiB` where wanted.
fn size(name: &str, value: &str) -> Result<u64> {
    let (digits, unit) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((value.strip_suffix(suffix)?, unit)))
        .unwrap_or((value, 1_u64));
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| {
        config(format!("{name}={value:?} in the PostgreSQL URL is no size: write bytes, or as 64MiB or 2GiB"))
    })
}

fn flag(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(config(format!("{name}={value:?} in the PostgreSQL URL is neither true nor false"))),
    }
}

fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "url").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_and_the_rest_is_passed_on() {
        let url = "postgresql://app:s%40cret@db.internal:6432/shop?namespace=a-b&schema=cache_x&create=false\
            &unlogged=true&lazy=true&max_connections=3&acquire_timeout=2s&prepared_statements=false\
            &max_entry_size=2MiB&sslmode=require&application_name=shop&options[statement_timeout]=5s";
        let shown = format!("{:?}", builder(url).unwrap());
        for part in [
            "db.internal:6432/shop",
            "a-b",
            "cache_x",
            "create: false",
            "unlogged: true",
            "lazy: true",
            "max_connections: 3",
            "acquire_timeout: 2s",
            "prepared_statements: false",
            "2097152",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (rest, part) in [
            ("db?name_space=1", "known are namespace, schema"),
            ("db?statement-cache-capacity=0", "unknown parameter"),
            ("db?schema=pg_x", "is no schema"),
            ("db?namespace=A", "is no namespace"),
            ("db?lazy=1", "true nor false"),
            ("db?lazy=true&lazy=true", "twice"),
            ("db?max_connections=0", "from 1"),
            ("db?acquire_timeout=soon", "no time"),
            ("db?max_entry_size=1GB", "no size"),
            ("db?sslmode=perhaps", "sslmode"),
            ("db#x", "fragment"),
        ] {
            let error = builder(&format!("postgres://u:hunter2@h/{rest}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{rest}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for url in ["sqlite://x", "postgres:", "mysql://u:hunter2@h/db", "postgres://u:hunter2@h:port/db"] {
            let error = builder(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
