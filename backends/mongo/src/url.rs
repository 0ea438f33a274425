//! `mongodb:` and `mongodb+srv:` URLs.

use std::borrow::Cow;

use cache_api::{Error, ErrorKind, Parameters, Result};
use mongodb::options::ConnectionString;

use crate::{MongoStorageBuilder, connect::Target, error::error};

/// The options of a connection string that the driver takes. They are written in upper or lower case.
const PASSED_ON: &[&str] = &[
    "appName",
    "authMechanism",
    "authMechanismProperties",
    "authSource",
    "connectTimeoutMS",
    "heartbeatFrequencyMS",
    "loadBalanced",
    "localThresholdMS",
    "maxConnecting",
    "maxIdleTimeMS",
    "maxPoolSize",
    "minPoolSize",
    "replicaSet",
    "retryReads",
    "retryWrites",
    "serverMonitoringMode",
    "serverSelectionTimeoutMS",
    "srvMaxHosts",
    "srvServiceName",
    "ssl",
    "tls",
    "tlsAllowInvalidCertificates",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "tlsInsecure",
];

/// Options by which a connection string says how consistent it shall be, and the one value of each that the cache
/// works by anyway.
const FIXED: &[(&str, &str)] = &[
    ("directConnection", "false"),
    ("journal", "true"),
    ("readConcernLevel", "majority"),
    ("readPreference", "primary"),
    ("w", "majority"),
];

/// Takes into the builder what a URL describes. The forms are in the crate's documentation.
pub(crate) fn apply(mut builder: MongoStorageBuilder, url: &str) -> Result<MongoStorageBuilder> {
    if !url.starts_with("mongodb://") && !url.starts_with("mongodb+srv://") {
        return Err(config(
            "the URL of a MongoDB storage begins with \"mongodb://\" or \"mongodb+srv://\", as \
             mongodb://user@host/database",
        ));
    }
    if url.contains('#') {
        return Err(config("a MongoDB URL has no fragment: write a '#' in a password as %23"));
    }
    let (location, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters = Parameters::new("mongo", &canonical(query))?;
    if let Some(namespace) = parameters.namespace()? {
        builder.namespace = namespace;
    }
    if let Some(prefix) = parameters.text("prefix") {
        builder.prefix = prefix;
    }
    if let Some(bytes) = parameters.bound("max_entry_size")? {
        builder.max_entry_size = bytes;
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder.limits = builder.limits.with_max_retention(retention);
    }
    if let Some(skew) = parameters.duration("clock_skew")? {
        builder.clock_skew = skew;
    }
    if let Some(timeout) = parameters.duration("timeout")? {
        builder.timeout = timeout;
    }
    if let Some(timeout) = parameters.duration("connect_timeout")? {
        builder.connect_timeout = Some(timeout);
    }
    if let Some(lazy) = parameters.flag("lazy")? {
        builder.lazy = lazy;
    }
    for (name, value) in FIXED {
        if parameters.text(name).is_some_and(|given| !given.eq_ignore_ascii_case(value)) {
            return Err(config(format!(
                "the value of {name} can be nothing but {value}: lookups read the primary, and nothing counts that a \
                 majority does not have"
            )));
        }
    }
    let options = parameters.passed_on(PASSED_ON);
    parameters.finish()?;
    // No error of the driver is kept: it might show a part of the URL.
    let url = ConnectionString::parse(rebuilt(location, &options)).map_err(|_| {
        config(
            "the MongoDB URL cannot be read: write '@', ':', '/', '?', '#' and '%' in a user name or password as %40 \
             and so on, and give each option of the connection (tls, authMechanism, maxPoolSize) a valid value",
        )
    })?;
    if url.default_database.is_none() {
        return Err(config("the MongoDB URL names no database: write mongodb://host/DATABASE"));
    }
    builder.target = Target::Url(Box::new(url));
    Ok(builder)
}

/// The query with the names of the driver's options as they are written here.
fn canonical(query: &str) -> String {
    let known = || PASSED_ON.iter().copied().chain(FIXED.iter().map(|(name, _)| *name));
    let pairs = query.split('&').map(|pair| {
        let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
        match known().find(|known| known.eq_ignore_ascii_case(given)) {
            Some(known) => Cow::from(format!("{known}={value}")),
            None => Cow::from(pair),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A connection string with these options alone.
fn rebuilt(location: &str, options: &[(String, String)]) -> String {
    let path = location.split_once("://").map_or("", |(_, rest)| rest);
    let slash = if path.contains('/') { "" } else { "/" };
    let options: Vec<String> =
        options.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    match &*options.join("&") {
        "" => format!("{location}{slash}"),
        options => format!("{location}{slash}?{options}"),
    }
}

fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "url").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(url: &str) -> Result<MongoStorageBuilder> {
        MongoStorageBuilder::from_url(url)
    }

    #[test]
    fn each_form_names_its_servers() {
        for (url, shown) in [
            ("mongodb://localhost/app", "mongodb://localhost:27017/app"),
            ("mongodb://u:p%40@a,b:7/app?replicaSet=r&namespace=x", "mongodb://a:27017,b:7/app"),
            (
                "mongodb+srv://u:p@cluster0.example.net/app?retryWrites=true&w=majority",
                "mongodb+srv://cluster0.example.net/app",
            ),
        ] {
            assert_eq!(builder(url).unwrap().target.to_string(), shown, "{url}");
        }
    }

    #[test]
    fn parameters_are_taken_and_the_rest_is_passed_on() {
        let url = "mongodb://us%40er:p%3Aa%2Fs@h/app?namespace=a-b&prefix=c_x&max_entry_size=2MiB&max_retention=30d\
            &clock_skew=5s&timeout=500ms&connect_timeout=2s&lazy=true&authsource=ad%26min&maxPoolSize=3&APPNAME=a%20b\
            &readPreference=primary&W=Majority&tls=true";
        let builder = builder(url).unwrap();
        let shown = format!("{builder:?}");
        for part in [
            "mongodb://h:27017/app",
            "a-b",
            "c_x",
            "2097152",
            "2592000s",
            "clock_skew: 5s",
            "timeout: 500ms",
            "Some(2s)",
            "lazy: true",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("us@er") && !shown.contains("p:a"), "{shown}");
        let Target::Url(url) = builder.target else { panic!("{shown}") };
        assert_eq!((url.max_pool_size, url.app_name.as_deref()), (Some(3), Some("a b")));
        assert!(url.tls.is_some() && url.write_concern.is_none() && url.read_preference.is_none());
        let credential = url.credential.unwrap();
        assert_eq!(credential.source.as_deref(), Some("ad&min"));
        assert_eq!(credential.password.as_deref(), Some("p:a/s"));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (rest, part) in [
            ("db?name_space=1", "\"name_space\"; known are namespace, prefix"),
            ("db?pass_word=hunter2", "unknown parameter \"pass_word\""),
            ("db?namespace=A", "is no namespace"),
            ("db?lazy=1", "true nor false"),
            ("db?lazy=true&lazy=true", "twice"),
            ("db?tls=true&TLS=true", "twice"),
            ("db?timeout=soon", "timeout is no duration"),
            ("db?max_entry_size=1GB", "no size"),
            ("db?w=1", "the value of w can be nothing but majority"),
            ("db?W=0", "the value of w can be nothing but majority"),
            ("db?readPreference=nearest", "the value of readPreference can be nothing but primary"),
            ("db?readConcernLevel=local", "readConcernLevel can be nothing but majority"),
            ("db?directConnection=true", "directConnection can be nothing but false"),
            ("db?journal=false", "journal can be nothing but true"),
            ("db?readPreferenceTags=a:b", "unknown parameter \"readPreferenceTags\""),
            ("db?maxPoolSize=many", "maxPoolSize"),
            ("db#x", "fragment"),
            ("", "names no database"),
            ("?lazy=true", "names no database"),
        ] {
            let error = builder(&format!("mongodb://u:hunter2@h/{rest}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{rest}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for url in [
            "postgres://u:hunter2@h/db",
            "mongodb:",
            "mongodb://u:hunter2@h:port/db",
            "mongodb://u:hunter2/x@h/db",
            "mongodb://u:1?hunter2@h/db",
            "mongodb://u:hunter2@h",
            "mongodb+srv://u:hunter2@a,b/db",
        ] {
            let error = builder(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn no_url_panics_and_nothing_shows_a_password() {
        cache_conformance::urls_keep_secrets(
            &[
                "mongodb://u:{password}@a,b:7/app?replicaSet=r&namespace=x&tls=true",
                "mongodb+srv://u:{password}@cluster0.example.net/app?w=majority&maxPoolSize=3",
                "mongodb://u:{password}@h/app?authMechanism=SCRAM-SHA-256&authSource=admin",
            ],
            MongoStorageBuilder::from_url,
        );
    }
}
