//! `postgres:` and `postgresql:` URLs.

use std::{borrow::Cow, num::NonZeroU32, time::Duration};

use cache_api::{Error, ErrorKind, Limits, Parameters, Result};
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
    "options[…]",
];

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
    let mut parameters = Parameters::new("postgres", url.query().unwrap_or_default())?;
    let mut builder = PostgresStorageBuilder::default();
    if let Some(namespace) = parameters.namespace()? {
        builder = builder.namespace(namespace);
    }
    if let Some(schema) = parameters.text("schema") {
        check_name(&schema)?;
        builder = builder.schema(schema);
    }
    if let Some(create) = parameters.flag("create")? {
        builder = builder.create(create);
    }
    if let Some(unlogged) = parameters.flag("unlogged")? {
        builder = builder.unlogged(unlogged);
    }
    if let Some(lazy) = parameters.flag("lazy")? {
        builder = builder.lazy(lazy);
    }
    if let Some(connections) = parameters.parsed::<NonZeroU32>("max_connections", "a number from 1")? {
        builder = builder.max_connections(connections.get());
    }
    if let Some(timeout) = duration(&mut parameters, "acquire_timeout")? {
        builder = builder.acquire_timeout(timeout);
    }
    if let Some(timeout) = duration(&mut parameters, "timeout")? {
        builder = builder.timeout(timeout);
    }
    if let Some(prepared) = parameters.flag("prepared_statements")? {
        builder = builder.prepared_statements(prepared);
    }
    if let Some(bytes) = parameters.size("max_entry_size")? {
        builder = builder.max_entry_size(bytes);
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder = builder.limits(Limits::default().with_max_retention(retention));
    }
    let passed_on = parameters.passed_on(PASSED_ON);
    parameters.finish()?;
    url.set_query(None);
    if !passed_on.is_empty() {
        url.query_pairs_mut().extend_pairs(passed_on);
    }
    let options: PgConnectOptions = url.as_str().parse().map_err(|_| {
        config("a parameter of the connection (sslmode, port, hostaddr) in the PostgreSQL URL has no valid value")
    })?;
    Ok(builder.connect_options(options))
}

/// A duration that is more than nothing.
fn duration(parameters: &mut Parameters, name: &'static str) -> Result<Option<Duration>> {
    match parameters.duration(name)? {
        Some(duration) if duration.is_zero() => {
            Err(config(format!("the value of {name} is to be more than 0")))
        }
        duration => Ok(duration),
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
            &unlogged=true&lazy=true&max_connections=3&acquire_timeout=2s&timeout=7s&prepared_statements=false\
            &max_entry_size=2MiB&max_retention=30d&sslmode=require&application_name=shop&options[statement_timeout]=5s";
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
            " timeout: 7s",
            "prepared_statements: false",
            "2097152",
            "max_retention: 2592000s",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (value, shown) in [("10", "10s"), ("10s", "10s"), ("500ms", "500ms"), ("2m", "120s")] {
            let builder = builder(&format!("postgres://h/db?acquire_timeout={value}")).unwrap();
            assert!(
                format!("{builder:?}").contains(&format!("acquire_timeout: {shown}")),
                "{value}: {builder:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (rest, part) in [
            ("db?name_space=1", "\"name_space\"; known are namespace, schema"),
            ("db?statement-cache-capacity=0", "unknown parameter"),
            ("db?pass_word=hunter2", "unknown parameter \"pass_word\""),
            ("db?password=hunter2&password=x", "twice"),
            ("db?schema=pg_x", "is no schema"),
            ("db?namespace=A", "is no namespace"),
            ("db?lazy=1", "true nor false"),
            ("db?lazy=true&lazy=true", "twice"),
            ("db?max_connections=0", "from 1"),
            ("db?acquire_timeout=soon", "acquire_timeout is no duration"),
            ("db?acquire_timeout=0", "acquire_timeout is to be more than 0"),
            ("db?timeout=0", "timeout is to be more than 0"),
            ("db?max_entry_size=1GB", "no size"),
            ("db?sslmode=perhaps", "sslmode"),
            ("db#x", "fragment"),
        ] {
            let error = builder(&format!("postgres://u:hunter2@h/{rest}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{rest}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for url in [
            "sqlite://x",
            "postgres:",
            "mysql://u:hunter2@h/db",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:1?hunter2@h/db",
        ] {
            let error = builder(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn no_url_panics_and_nothing_shows_a_password() {
        cache_conformance::urls_keep_secrets(
            &[
                "postgres://u:{password}@h:6432/db?namespace=a&schema=c&timeout=5s&sslmode=require",
                "postgresql://h/db?user=u&password={password}&max_connections=3&options[statement_timeout]=5s",
            ],
            builder,
        );
    }
}
