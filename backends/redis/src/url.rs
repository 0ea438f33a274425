//! `redis:` URLs and their kin.

use std::borrow::Cow;

use cache_api::{Error, ErrorKind, Parameters, Result};

use crate::{
    RedisStorageBuilder,
    connect::{Kind, Server, Target},
    error::error,
};

const SCHEMES: &str = "redis://, rediss://, redis+unix://, redis-cluster://, rediss-cluster://, \
    redis-sentinel://, rediss-sentinel:// (or valkey for redis)";

/// Takes into the builder what a URL describes. The forms are in the crate's documentation.
pub(crate) fn apply(mut builder: RedisStorageBuilder, url: &str) -> Result<RedisStorageBuilder> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| config(format!("the URL of a Redis storage begins with one of {SCHEMES}")))?;
    if rest.contains('#') {
        return Err(config("a Redis URL has no fragment: write a '#' in a password as %23"));
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let scheme = scheme.replacen("valkey", "redis", 1);
    let (kind, tls) = match &*scheme {
        "redis" => (Kind::Single, false),
        "rediss" => (Kind::Single, true),
        "redis+unix" | "unix" => (Kind::Socket(decoded(location)?), false),
        "redis-cluster" => (Kind::Cluster, false),
        "rediss-cluster" => (Kind::Cluster, true),
        "redis-sentinel" => (sentinel(location)?, false),
        "rediss-sentinel" => (sentinel(location)?, true),
        _ => return Err(config(format!("the scheme of the URL is none of {SCHEMES}"))),
    };
    let mut server = Server::new(kind, Vec::new());
    server.tls = tls;
    place(&mut server, location)?;
    builder = parameters(builder, &mut server, query)?;
    builder.target = Target::Server(server);
    Ok(builder)
}

/// User, password, hosts and path.
fn place(server: &mut Server, location: &str) -> Result<()> {
    if matches!(server.kind, Kind::Socket(_)) {
        return Ok(());
    }
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    if let Some(user) = user {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        server.username = Some(decoded(name)?).filter(|name| !name.is_empty());
        server.password = Some(decoded(password)?).filter(|password| !password.is_empty());
    }
    let default_port = if matches!(server.kind, Kind::Sentinel { .. }) { 26_379 } else { 6_379 };
    let hosts = hosts.split(',').map(|host| host_and_port(host, default_port));
    server.hosts = hosts.collect::<Result<_>>()?;
    if matches!(server.kind, Kind::Single) && server.hosts.len() > 1 {
        return Err(config(
            "several hosts are a cluster or sentinels: write redis-cluster:// or redis-sentinel://",
        ));
    }
    let database = match &server.kind {
        Kind::Sentinel { .. } => path.split_once('/').map_or("", |(_, database)| database),
        _ => path,
    };
    match (&server.kind, database.trim_end_matches('/')) {
        (_, "") => {}
        (Kind::Cluster, _) => return Err(config("a cluster has no numbered databases: leave the path away")),
        (_, database) => server.database = number("the path", database)?,
    }
    Ok(())
}

fn sentinel(location: &str) -> Result<Kind> {
    let path = location.split_once('/').map_or("", |(_, path)| path);
    let master = decoded(path.split('/').next().unwrap_or(""))?;
    if master.is_empty() {
        return Err(config(
            "a Sentinel URL names the master in its path, as redis-sentinel://host1,host2/mymaster",
        ));
    }
    Ok(Kind::Sentinel { master, username: None, password: None })
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let host = decoded(host)?;
    if host.is_empty() {
        return Err(config("the Redis URL names no host: write redis://localhost/"));
    }
    let port = port.map_or(Ok(default_port), |port| number("the port", port))?;
    Ok((host, port))
}

fn parameters(
    mut builder: RedisStorageBuilder,
    server: &mut Server,
    query: &str,
) -> Result<RedisStorageBuilder> {
    let mut parameters = Parameters::new("redis", query)?;
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
    for (name, field) in [
        ("clock_skew", &mut builder.clock_skew),
        ("timeout", &mut builder.timeout),
        ("connect_timeout", &mut builder.connect_timeout),
    ] {
        if let Some(duration) = parameters.duration(name)? {
            *field = duration;
        }
    }
    if let Some(lazy) = parameters.flag("lazy")? {
        builder.lazy = lazy;
    }
    if let Some(file) = parameters.text("ca") {
        builder.tls.ca = Some(file.into());
    }
    let (certificate, key) = (parameters.text("cert"), parameters.text("key"));
    credentials(server, &mut parameters)?;
    parameters.finish()?;
    builder.tls.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => builder.tls.identity,
        _ => return Err(config("cert and key go together: the URL has only one of them")),
    };
    Ok(builder)
}

/// Database, user and password, of the sentinels too.
fn credentials(server: &mut Server, parameters: &mut Parameters) -> Result<()> {
    if let Some(user) = parameters.text("user") {
        server.username = Some(user);
    }
    if let Some(password) = parameters.text("password") {
        server.password = Some(password);
    }
    let database = parameters.parsed("db", "a number that a database has")?;
    let sentinel_user = parameters.text("sentinel_user");
    let sentinel_password = parameters.text("sentinel_password");
    let unused = |name| config(format!("the parameter {name:?} means nothing with this scheme"));
    match (&server.kind, database) {
        (_, None) => {}
        (Kind::Cluster, Some(_)) => return Err(unused("db")),
        (_, Some(database)) => server.database = database,
    }
    if let Kind::Sentinel { username, password, .. } = &mut server.kind {
        *username = sentinel_user;
        *password = sentinel_password;
    } else if sentinel_user.is_some() {
        return Err(unused("sentinel_user"));
    } else if sentinel_password.is_some() {
        return Err(unused("sentinel_password"));
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String> {
    Parameters::decoded("redis", text)
}

/// What is wrong with a password must not show it: these name the place, never the value of one.
fn number<T: std::str::FromStr>(place: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| {
        config(format!(
            "{place} of the Redis URL is no number, or too large; write '/', ':' and '@' in a password as %2F, \
             %3A and %40"
        ))
    })
}

fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "url").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        match RedisStorageBuilder::from_url(url).unwrap().target {
            Target::Server(server) => server,
            _ => panic!("{url} names no server"),
        }
    }

    #[test]
    fn each_form_names_its_servers() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://u:p@h:7/3?namespace=a", "redis://h:7/3"),
            ("rediss://h/?db=4", "rediss://h:6379/4"),
            ("valkeys://[::1]:7", "rediss://::1:7/0"),
            ("redis+unix:///run/my%20redis.sock", "redis+unix:///run/my redis.sock"),
            ("redis-cluster://u:p@a,b:7,c/", "redis-cluster://a:6379,b:7,c:6379"),
            ("rediss-cluster://a", "rediss-cluster://a:6379"),
            ("redis-sentinel://:p@a,b:7/main/2", "redis-sentinel://a:26379,b:7/main/2"),
        ] {
            assert_eq!(server(url).to_string(), shown, "{url}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let url = "redis://us%40er:p%3Aa%2Fs%25s@h/";
        let found = server(url);
        assert_eq!(found.username.as_deref(), Some("us@er"));
        assert_eq!(found.password.as_deref(), Some("p:a/s%s"));
        let shown = format!("{:?}", RedisStorageBuilder::from_url(url).unwrap());
        assert!(!shown.contains("us@er") && !shown.contains("p:a"), "{shown}");
        let named = "redis-sentinel://a/m?password=one&sentinel_password=two&sentinel_user=three";
        let Kind::Sentinel { username, password, .. } = server(named).kind else { panic!() };
        assert_eq!((username.as_deref(), password.as_deref()), (Some("three"), Some("two")));
    }

    #[test]
    fn parameters_are_taken_or_named() {
        let query = "prefix=a&max_entry_size=2MiB&max_retention=30d&clock_skew=5s&timeout=500ms&lazy=true";
        let shown = format!("{:?}", RedisStorageBuilder::from_url(&format!("redis://h?{query}")).unwrap());
        for part in ["2097152", "2592000s", "clock_skew: 5s", "timeout: 500ms", "lazy: true", "prefix: \"a\""]
        {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        for (url, part) in [
            ("redis://h?ttl=1", "\"ttl\"; known are namespace, prefix, max_entry_size, max_retention"),
            ("redis://h?timeout=soon", "timeout is no duration"),
            ("redis://h?max_entry_size=1GB", "max_entry_size is no size"),
            ("redis://h?db=x", "the value of db is not a number"),
            ("redis://h?lazy=1", "true nor false"),
            ("redis://h?db=1&db=2", "twice"),
            ("redis://h?cert=a.pem", "go together"),
            ("redis://h?sentinel_user=a", "means nothing"),
            ("redis-cluster://h?db=1", "means nothing"),
            ("redis-cluster://h/1", "no numbered databases"),
            ("redis://a,b", "redis-cluster://"),
            ("redis-sentinel://h", "names the master"),
            ("redis://h:x", "the port"),
            ("redis://h/x", "the path"),
            ("redis://", "no host"),
            ("redis://h#f", "no fragment"),
            ("postgres://h", "none of redis://"),
            ("redis:h", "begins with one of"),
            ("redis://h?namespace=A", "is no namespace"),
        ] {
            let error = RedisStorageBuilder::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
        // What is written in two ways is one.
        for (query, part) in [("timeout=5", "timeout: 5s"), ("max_entry_size=none", "max_entry_size: None")] {
            let shown =
                format!("{:?}", RedisStorageBuilder::from_url(&format!("redis://h?{query}")).unwrap());
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        // A password with an unencoded '/' or '?' lands in places where a number or a parameter is expected.
        for url in ["redis://u:top/secret@h/", "redis://u:1?secret@h/", "redis://h?pass_word=secret"] {
            let error = RedisStorageBuilder::from_url(url).unwrap_err();
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("top"), "{error}");
        }
    }

    #[test]
    fn no_url_panics_and_nothing_shows_a_password() {
        cache_conformance::urls_keep_secrets(
            &[
                "redis://u:{password}@h:7/3?namespace=a&timeout=5s&prefix=b",
                "rediss-sentinel://:{password}@a,[::1]:7/main/2?sentinel_user=c&lazy=true",
                "redis-cluster://u:{password}@a,b?max_entry_size=2MiB",
                "redis-sentinel://a/m?password=one&sentinel_password={password}",
                "redis://h?password={password}&db=4",
            ],
            RedisStorageBuilder::from_url,
        );
    }
}
