//! Finds the service that a backend needs, or starts one. (Feature `services`.)
//!
//! In this order: the URL in the service's environment variable; a server binary on `PATH`, started on a free
//! port with a directory of its own and stopped at the end, however this process ends; a container, with the
//! feature `docker`; else it is absent, with the reason and the way to get it.
//!
//! ```no_run
//! # use cache_conformance::{Opened, Subject, Suite, services};
//! # struct Mine(Option<String>);
//! # #[async_trait::async_trait]
//! # impl Subject for Mine {
//! #     async fn open(&self, _: &cache_api::Namespace, _: cache_api::Limits) -> Opened { unimplemented!() }
//! # }
//! fn main() -> std::process::ExitCode {
//!     let redis = services::redis::single();
//!     let url = redis.url().map(str::to_owned);
//!     Suite::new("redis", Mine(url)).presence(redis.presence()).shared().run()
//! } // `redis` is dropped here: a server that was started is stopped
//! ```
//!
//! # A service more
//!
//! One file with a [`Recipe`] and a function that calls [`find`]; `redis.rs` is the model.

use std::{any::Any, fmt, net::TcpListener, path::PathBuf, time::Duration};

use crate::Presence;

#[cfg(feature = "docker")]
mod docker;
pub mod dynamodb;
pub mod mongo;
mod own_server;
pub mod postgres;
mod process;
pub mod redis;
pub mod s3;
mod trials;

#[cfg(feature = "docker")]
pub use docker::Container;
pub use own_server::own_server;
pub use process::Process;
pub use trials::Trials;

/// How long a service may take until it answers.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A service that was found or started, or is absent. One that was started is stopped when this is dropped.
#[derive(Debug)]
pub struct Service(Found);

#[derive(Debug)]
enum Found {
    /// Somebody else runs it.
    Given(String),
    Started(Running),
    Absent {
        reason: String,
        remedy: String,
    },
}

impl Service {
    /// Where it is; `None` when it is absent.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match &self.0 {
            Found::Given(url) => Some(url),
            Found::Started(running) => Some(&running.url),
            Found::Absent { .. } => None,
        }
    }

    /// The process that was started for it, to be stopped or killed by a test; `None` where somebody else
    /// runs it. The first, where there are several.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.processes().next()
    }

    /// All processes that were started for it.
    pub fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let parts = match &mut self.0 {
            Found::Started(running) => running.parts.as_mut_slice(),
            _ => &mut [],
        };
        parts.iter_mut().filter_map(|part| {
            let part: &mut dyn Any = &mut **part;
            part.downcast_mut()
        })
    }

    /// Where its server is, as `host:port`; `None` when it is absent, or at more than one place.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        address(self.url()?)
    }

    /// Whether a process was started for it: then another can be, for [`own_server`].
    #[must_use]
    pub fn is_process(&self) -> bool {
        match &self.0 {
            Found::Started(running) => running.parts.iter().any(|part| {
                let part: &dyn Any = &**part;
                part.is::<Process>()
            }),
            _ => false,
        }
    }

    /// Starts its process again, where and over what it was, and waits until the port takes connections.
    ///
    /// # Errors
    /// [`NotStarted::Missing`] where no process was started, [`NotStarted::Failed`] when it does not come back.
    pub fn restart(&mut self) -> Result<(), NotStarted> {
        let address = self.address().ok_or_else(|| NotStarted::Missing("no server at one address".into()))?;
        let process = self.process().ok_or_else(|| NotStarted::Missing("no process was started".into()))?;
        process.restart(|| std::net::TcpStream::connect(&address).is_ok())
    }

    /// What to tell the [suite](crate::Suite::presence).
    #[must_use]
    pub fn presence(&self) -> Presence {
        match &self.0 {
            Found::Absent { reason, remedy } => Presence::absent(reason, remedy),
            _ => Presence::Here,
        }
    }
}

/// How to get one service.
pub trait Recipe {
    /// The environment variable that has the URL of a service to be used as it is.
    ///
    /// Its name begins with `CONFORMANCE_`: the suite must not run on what an application is configured with.
    fn variable(&self) -> &'static str;

    /// How to get the service, in one line, beside setting the [variable](Recipe::variable).
    fn remedy(&self) -> &'static str;

    /// Starts it from a binary of this machine, and waits until it answers.
    ///
    /// # Errors
    /// [`NotStarted::Missing`] when there is no such binary, [`NotStarted::Failed`] when it does not work.
    fn start(&self) -> Result<Running, NotStarted>;

    /// Starts it in a container, and waits until it answers.
    ///
    /// # Errors
    /// As [`start`](Recipe::start); an absent container engine is [`NotStarted::Missing`].
    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        Err(NotStarted::Missing("there is no container of it".into()))
    }
}

/// A service that was started: its URL, and what keeps it running for as long as it is not dropped.
pub struct Running {
    url: String,
    parts: Vec<Box<dyn Any + Send>>,
}

impl Running {
    /// What was started, in the order in which it is to be stopped.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), parts: Vec::new() }
    }

    /// Keeps a [`Process`], a container or a directory until the service is dropped.
    #[must_use]
    pub fn with(mut self, part: impl Any + Send) -> Self {
        self.parts.push(Box::new(part));
        self
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// Why a service was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// What would start it is not on this machine: the next way is tried.
    Missing(String),
    /// It should have started, and did not: that is not hidden behind another way.
    Failed(String),
}

impl NotStarted {
    /// It did not start, since that failed.
    pub fn failed(what: &str, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {cause}"))
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) | Self::Failed(what) => f.write_str(what),
        }
    }
}

/// Looks for a service in the order above.
#[must_use]
pub fn find(recipe: &dyn Recipe) -> Service {
    let variable = recipe.variable();
    if let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) {
        return Service(Found::Given(url));
    }
    match started(recipe) {
        Ok(running) => Service(Found::Started(running)),
        Err(reason) => Service(Found::Absent {
            reason: format!("{variable} is not set, {reason}"),
            remedy: format!("{}, or set {variable}", recipe.remedy()),
        }),
    }
}

/// Starts a service whatever the environment has: for tests that stop it, or take more of it than a namespace.
#[must_use]
pub fn own(recipe: &dyn Recipe) -> Service {
    match started(recipe) {
        Ok(running) => Service(Found::Started(running)),
        Err(reason) => Service(Found::Absent { reason, remedy: recipe.remedy().to_owned() }),
    }
}

/// Started in the first way that there is, or why in none.
fn started(recipe: &dyn Recipe) -> Result<Running, String> {
    let mut missing = Vec::new();
    for start in ways() {
        match start(recipe) {
            Ok(running) => return Ok(running),
            Err(NotStarted::Missing(what)) => missing.push(what),
            Err(NotStarted::Failed(what)) => return Err(what),
        }
    }
    Err(missing.join(", "))
}

type Way = fn(&dyn Recipe) -> Result<Running, NotStarted>;

fn ways() -> &'static [Way] {
    &[
        |recipe| recipe.start(),
        #[cfg(feature = "docker")]
        |recipe| recipe.contain(),
    ]
}

/// The `host:port` of a URL that names one, be it in its parameter `endpoint`.
#[must_use]
pub fn address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest
        .split_once("endpoint=http://")
        .map_or(rest, |(_, endpoint)| endpoint.split('&').next().unwrap_or_default());
    let authority = rest.split(['/', '?', '#']).next()?;
    let address = authority.rsplit('@').next()?;
    let (host, port) = address.rsplit_once(':')?;
    let one = !host.is_empty() && !address.contains(',') && port.parse::<u16>().is_ok();
    one.then(|| address.to_owned())
}

/// The URL with another `host:port` in the place of its own; as it is where it names none.
#[must_use]
pub fn at_address(url: &str, other: &str) -> String {
    match address(url) {
        // User names and passwords are encoded, so that nothing before it is like it.
        Some(own) => url.replacen(&own, other, 1),
        None => url.to_owned(),
    }
}

/// The first of these binaries that is on `PATH`, or in one of the directories.
///
/// # Errors
/// [`NotStarted::Missing`] when none is.
pub fn binary(names: &[&str], directories: &[&str]) -> Result<PathBuf, NotStarted> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths: Vec<PathBuf> =
        std::env::split_paths(&path).chain(directories.iter().map(PathBuf::from)).collect();
    let found = names
        .iter()
        .flat_map(|name| paths.iter().map(move |path| path.join(name)))
        .find(|file| file.is_file());
    found.ok_or_else(|| NotStarted::Missing(format!("there is no {} on PATH", names.join(" or "))))
}

/// A port of 127.0.0.1 that nobody listens on now.
///
/// # Errors
/// [`NotStarted::Failed`] when there is none.
pub fn free_port() -> Result<u16, NotStarted> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| NotStarted::failed("no free port", e))?;
    Ok(listener.local_addr().map_err(|e| NotStarted::failed("no free port", e))?.port())
}

/// A directory of its own for a service, deleted with the [`Process`] that works in it.
///
/// # Errors
/// [`NotStarted::Failed`] when it cannot be created.
pub fn directory() -> Result<tempfile::TempDir, NotStarted> {
    tempfile::Builder::new()
        .prefix("cache-conformance-")
        .tempdir()
        .map_err(|e| NotStarted::failed("no temporary directory", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Recipe for Nothing {
        fn variable(&self) -> &'static str {
            "CONFORMANCE_NOTHING_URL"
        }

        fn remedy(&self) -> &'static str {
            "install nothing"
        }

        fn start(&self) -> Result<Running, NotStarted> {
            binary(&["no-such-server", "nor-this"], &[]).map(|_| Running::new("nothing://"))
        }
    }

    #[test]
    fn what_is_absent_says_why_and_how_to_get_it() {
        let service = find(&Nothing);
        assert_eq!(service.url(), None);
        let Presence::Absent { reason, remedy } = service.presence() else {
            panic!("nothing was found: {service:?}");
        };
        assert!(
            reason.contains("CONFORMANCE_NOTHING_URL is not set, there is no no-such-server"),
            "{reason}"
        );
        assert_eq!(remedy, "install nothing, or set CONFORMANCE_NOTHING_URL");
    }

    #[test]
    fn addresses_in_urls() {
        for (url, found, moved) in [
            ("redis://127.0.0.1:6379/", Some("127.0.0.1:6379"), "redis://h:1/"),
            ("postgres://u:p%40s@db:5432/x?a=b:1", Some("db:5432"), "postgres://u:p%40s@h:1/x?a=b:1"),
            ("http://[::1]:80", Some("[::1]:80"), "http://h:1"),
            ("s3://b/p?endpoint=http://a:9&x=y", Some("a:9"), "s3://b/p?endpoint=http://h:1&x=y"),
            ("redis-cluster://a:1,b:2/", None, "redis-cluster://a:1,b:2/"),
            ("http://host/", None, "http://host/"),
        ] {
            assert_eq!(address(url).as_deref(), found);
            assert_eq!(at_address(url, "h:1"), moved);
        }
    }
}
