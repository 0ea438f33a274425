//! Local files as an object store whose conditional puts hold across processes.
//!
//! An object is a file, and its version a hash of its bytes. Who writes or deletes one holds an advisory lock on one
//! of a few lock files meanwhile, chosen by the object's name; the system gives a lock back when its process ends,
//! however it ends. The bytes are written into a file beside the lock, of which there is one a lock, and renamed to
//! their place: a reader, who takes no lock, finds the old object or the new one, and a crash leaves at most that
//! one file, which the next writer writes over.

use std::{
    fmt, fs,
    io::{self, Read as _, Write as _},
    ops::Range,
    path::PathBuf,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const STORE: &str = "files";

/// How many lock files there are: writers of names that share one wait for each other.
const LOCKS: u64 = 64;

/// Where they are, below the root.
const LOCK_DIRECTORY: &str = ".http-cache-locks";

/// What is read of a file at most: a larger one is none of ours.
const LARGEST: u64 = 16 * 1024 * 1024;

/// How many names a listing reads before it hands them out.
const PAGE: usize = 512;

/// The files below a directory.
#[derive(Clone)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// Creates the directory where it is not there, if it is to.
    pub(crate) fn open(root: &std::path::Path, create: bool) -> Result<Self> {
        if create {
            fs::create_dir_all(root.join(LOCK_DIRECTORY)).map_err(generic)?;
        }
        Ok(Self { root: fs::canonicalize(root).map_err(generic)? })
    }

    fn file(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.root.clone(), |file, part| file.join(part.as_ref()))
    }

    /// Waits until nobody else writes names that share this one's lock. Dropping the file gives it back.
    fn lock(&self, location: &Path) -> io::Result<(fs::File, PathBuf)> {
        let directory = self.root.join(LOCK_DIRECTORY);
        let number = xxh3_64(location.as_ref().as_bytes()) % LOCKS;
        let mut options = fs::File::options();
        let options = options.create(true).truncate(false).write(true);
        let name = directory.join(format!("{number:02x}"));
        let file = match options.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&directory)?;
                options.open(&name)?
            }
            file => file?,
        };
        file.lock()?;
        Ok((file, directory.join(format!("{number:02x}.new"))))
    }

    fn put(&self, location: &Path, payload: &PutPayload, mode: &PutMode) -> Result<PutResult> {
        let file = self.file(location);
        let bytes = Bytes::from(payload.clone());
        let (_lock, staged) = self.lock(location).map_err(generic)?;
        match mode {
            PutMode::Overwrite => {}
            PutMode::Create => {
                if file.try_exists().map_err(generic)? {
                    let source = "there is a file of that name".into();
                    return Err(Error::AlreadyExists { path: location.to_string(), source });
                }
            }
            PutMode::Update(version) => {
                let there = found(read(&file), location)?;
                if there.as_ref().map(|bytes| tag(bytes)) != version.e_tag || version.e_tag.is_none() {
                    let source = "the file is of another version".into();
                    return Err(Error::Precondition { path: location.to_string(), source });
                }
            }
        }
        let write = || {
            let mut staging = fs::File::create(&staged)?;
            staging.write_all(&bytes)?;
            drop(staging);
            rename(&staged, &file)
        };
        write().map_err(generic)?;
        Ok(PutResult { e_tag: Some(tag(&bytes)), version: None, extensions: Default::default() })
    }

    fn get(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        let file = self.file(location);
        let not_found = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::NotFound { path: location.to_string(), source: source.into() }
            }
            _ => generic(source),
        };
        let data = fs::metadata(&file).map_err(not_found)?;
        if !data.is_file() {
            return Err(not_found(io::ErrorKind::NotFound.into()));
        }
        let mut bytes = Bytes::new();
        let mut meta = meta(location.clone(), &data);
        if !options.head {
            bytes = read(&file).map_err(not_found)?.into();
            meta.e_tag = Some(tag(&bytes));
            if (bytes.len() as u64) < LARGEST {
                meta.size = bytes.len() as u64;
            }
        }
        options.check_preconditions(&meta)?;
        let range: Range<u64> = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|source| generic(io::Error::other(source)))?,
            None => 0..meta.size,
        };
        let within = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.slice(within(range.start)..within(range.end));
        let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
        let (attributes, extensions) = Default::default();
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete(&self, location: &Path) -> Result<()> {
        let file = self.file(location);
        let (_lock, _) = self.lock(location).map_err(generic)?;
        found(fs::remove_file(&file), location)?;
        // Directories that are empty now go as well, but for that of a kind; one that is not stays.
        let mut parents = file.ancestors().skip(1).take_while(|parent| *parent != self.root);
        while parents.next().is_some_and(|parent| fs::remove_dir(parent).is_ok()) {}
        Ok(())
    }

    /// Reads directories until there is a page of files. What is left to read is left in `open`, the next last.
    fn walk(&self, open: &mut Vec<PathBuf>) -> Result<Vec<ObjectMeta>> {
        let mut page = Vec::new();
        while page.len() < PAGE
            && let Some(next) = open.pop()
        {
            // Whatever goes meanwhile is not there.
            let Ok(data) = fs::symlink_metadata(&next) else { continue };
            if data.is_dir() {
                let entries = match fs::read_dir(&next) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    entries => entries.map_err(generic)?,
                };
                let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                paths.retain(|path| !path.ends_with(LOCK_DIRECTORY));
                paths.sort_unstable_by(|one, other| other.cmp(one));
                open.extend(paths);
            } else if let Some(location) = self.location(&next) {
                page.push(meta(location, &data));
            }
        }
        Ok(page)
    }

    /// The name of a file, where it can be one of ours.
    fn location(&self, file: &std::path::Path) -> Option<Path> {
        let parts: Option<Vec<_>> =
            file.strip_prefix(&self.root).ok()?.iter().map(|part| part.to_str()).collect();
        Path::parse(parts?.join("/")).ok()
    }
}

/// Moves the file into its place. Its directory may be missing, or go away meanwhile because it was empty.
fn rename(staged: &std::path::Path, file: &std::path::Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::rename(staged, file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => return renamed,
        }
        match file.parent().map_or(Ok(()), fs::create_dir_all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            created => created?,
        }
    }
    fs::rename(staged, file)
}

fn read(file: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `None` where there is no such file.
fn found<T>(result: io::Result<T>, location: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::NotFound { path: location.to_string(), source: source.into() })
        }
        Err(source) => Err(generic(source)),
    }
}

/// The version of a file: what tells its bytes from any others.
fn tag(bytes: &[u8]) -> String {
    format!("\"{:032x}\"", xxh3_128(bytes))
}

fn meta(location: Path, data: &fs::Metadata) -> ObjectMeta {
    let last_modified = data.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH).into();
    ObjectMeta { location, last_modified, size: data.len(), e_tag: None, version: None }
}

fn generic(source: io::Error) -> Error {
    Error::Generic { store: STORE, source: source.into() }
}

/// Runs what waits for a disk, or for a lock, where it holds up nobody. It ends even where nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[async_trait]
impl ObjectStore for Files {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (files, location) = (self.clone(), location.clone());
        blocking(move || files.put(&location, &payload, &opts.mode)).await
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(unused("put_multipart_opts"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (files, location) = (self.clone(), location.clone());
        blocking(move || files.get(&location, &options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let files = self.clone();
        let delete = move |location: Path| {
            let files = files.clone();
            blocking(move || files.delete(&location).map(|()| location))
        };
        locations
            .map(move |location| match location {
                Ok(location) => delete(location).left_future(),
                Err(error) => futures_util::future::ready(Err(error)).right_future(),
            })
            .buffered(8)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let start = prefix.map_or_else(|| self.root.clone(), |prefix| self.file(prefix));
        let pages = stream::try_unfold((self.clone(), vec![start]), |(files, mut open)| async move {
            if open.is_empty() {
                return Ok(None);
            }
            let (files, page, open) = blocking(move || {
                let page = files.walk(&mut open)?;
                Ok((files, page, open))
            })
            .await?;
            Ok::<_, Error>(Some((stream::iter(page.into_iter().map(Ok)), (files, open))))
        });
        pages.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(unused("list_with_delimiter"))
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(unused("copy_opts"))
    }
}

/// What the cache does not need of an object store.
fn unused(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files below {}", self.root.display())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("root", &self.root).finish()
    }
}
