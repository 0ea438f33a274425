use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cache_api::{Error, ErrorKind, Limits, Namespace, Result};

use crate::{SqliteStorage, connections::Database, error::error, url};

/// The default bound of a file.
const FILE_SIZE: u64 = 1024 * 1024 * 1024;

/// The default bound of a database in memory.
const MEMORY_SIZE: u64 = 256 * 1024 * 1024;

/// Settings of an [`SqliteStorage`].
///
/// ```
/// # async fn example() -> cache_api::Result<()> {
/// use cache_backend_sqlite::SqliteStorage;
///
/// let storage = SqliteStorage::builder().path("http-cache.sqlite").max_size(512 << 20).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SqliteStorageBuilder {
    location: Location,
    namespace: Namespace,
    limits: Limits,
    max_size: MaxSize,
    max_entry_size: Option<u64>,
    create_dir: bool,
    create: bool,
    readers: usize,
    busy_timeout: Duration,
}

#[derive(Clone, Debug)]
enum Location {
    Unset,
    Memory,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug)]
enum MaxSize {
    Default,
    Set(Option<u64>),
}

impl Default for SqliteStorageBuilder {
    fn default() -> Self {
        Self {
            location: Location::Unset,
            namespace: Namespace::default(),
            limits: Limits::default(),
            max_size: MaxSize::Default,
            max_entry_size: None,
            create_dir: true,
            create: true,
            readers: 4,
            busy_timeout: Duration::from_secs(30),
        }
    }
}

impl SqliteStorageBuilder {
    /// The settings that a URL describes; the crate's documentation has the forms.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one of SQLite, or has an unknown parameter or a wrong value;
    /// the message names it.
    pub fn from_url(url: &str) -> Result<Self> {
        url::builder(url)
    }

    /// Keeps the entries in this file, which is created where it is not there.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.location = Location::File(path.into());
        self
    }

    /// Keeps the entries in memory, for as long as the storage lives.
    pub fn in_memory(mut self) -> Self {
        self.location = Location::Memory;
        self
    }

    /// The namespace; `default` by default.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The time limits of the storage.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The bytes of heads and bodies that the namespace keeps; beyond, what was least recently used goes.
    ///
    /// 1 GiB by default (256 MiB in memory); `None` for no bound.
    pub fn max_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_size = MaxSize::Set(bytes.into());
        self
    }

    /// The largest entry that is stored; a quarter of [`max_size`](Self::max_size) by default.
    pub fn max_entry_size(mut self, bytes: u64) -> Self {
        self.max_entry_size = Some(bytes);
        self
    }

    /// Whether to create the directory of the file (for this user alone) where it is not there; `true` by
    /// default.
    pub fn create_dir(mut self, create: bool) -> Self {
        self.create_dir = create;
        self
    }

    /// Whether to create what is not there: the file with its directory, its tables, the namespace; `true` by default.
    ///
    /// With `false` only a cache that is there is opened, for whoever wants to look into it.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How many connections read at a time beside the one that writes; 4 by default. In memory there is one
    /// connection for all.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// How long an operation waits for other processes that use the file before it fails with
    /// [`ErrorKind::Unavailable`]; 30 seconds by default.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the database, and lays it out where it is new.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: no path is set, the path is a directory or not UTF-8, the directory, file or namespace
    ///   is not there (and is not to be created), or its file system takes no write-ahead log.
    /// - [`ErrorKind::Denied`]: the file or its directory cannot be written.
    /// - [`ErrorKind::Incompatible`]: the file is not an SQLite database, one of another application, or one
    ///   of a newer release.
    /// - [`ErrorKind::Corrupt`], [`ErrorKind::Full`], [`ErrorKind::Unavailable`]: a damaged file, a full disk,
    ///   a file that another process keeps locked.
    pub async fn build(self) -> Result<SqliteStorage> {
        let (path, default_size) = match &self.location {
            Location::Unset => {
                return Err(config("no file is named: call `path` or `in_memory` on the builder".into()));
            }
            Location::Memory => (None, MEMORY_SIZE),
            Location::File(path) => (Some(usable(path, self.create, self.create_dir)?), FILE_SIZE),
        };
        let max_size = match self.max_size {
            MaxSize::Default => Some(default_size),
            MaxSize::Set(max_size) => max_size,
        };
        let max_entry_size = self.max_entry_size.unwrap_or_else(|| max_size.map_or(u64::MAX, |max| max / 4));
        let database = Database::open(path, self.create, self.readers, self.busy_timeout).await?;
        let storage =
            SqliteStorage::over(Arc::new(database), self.namespace, self.limits, max_size, max_entry_size);
        storage.with_namespace(self.create).await
    }
}

/// The absolute path of a file that can be written, created empty where it is not there.
///
/// Absolute, since SQLite reads names such as `file:x` otherwise. A new file is its owner's alone (SQLite
/// gives its log the same permissions): responses may hold what was meant for one user.
fn usable(path: &Path, create: bool, create_dir: bool) -> Result<PathBuf> {
    let shown = path.display();
    if path.to_str().is_none_or(|path| path.contains('\0')) {
        return Err(config(format!("{shown}: SQLite takes only paths of UTF-8 without NUL")));
    }
    let absolute = std::path::absolute(path).map_err(|cause| cannot_use(path, cause))?;
    if absolute.is_dir() {
        return Err(config(format!(
            "{shown} is a directory: name a file in it, such as {}",
            path.join("http-cache.sqlite").display()
        )));
    }
    if !create && !absolute.exists() {
        return Err(config(format!("{shown} is not there")));
    }
    if let Some(directory) = absolute.parent().filter(|directory| !directory.exists()) {
        if !create_dir {
            return Err(config(format!(
                "the directory {} is not there: create it, or allow it with `create_dir(true)`",
                directory.display()
            )));
        }
        create_directory(directory).map_err(|cause| cannot_use(directory, cause))?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&absolute).map_err(|cause| cannot_use(path, cause))?;
    Ok(absolute)
}

fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn cannot_use(path: &Path, cause: io::Error) -> Error {
    let shown = path.display();
    let (kind, message) = match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Denied,
            format!("{shown} cannot be written: grant this user write permission, or name another path"),
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (ErrorKind::Config, format!("{shown} cannot be created: a part of its path is not a directory"))
        }
        io::ErrorKind::StorageFull => {
            (ErrorKind::Full, format!("{shown} cannot be created: the disk is full"))
        }
        _ => (ErrorKind::Config, format!("{shown} cannot be used: name another path")),
    };
    error(kind, "open").with_message(message).with_source(cause)
}

fn config(message: String) -> Error {
    error(ErrorKind::Config, "open").with_message(message)
}
