use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use cache_api::{Error, ErrorKind, Result};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    Error as Cause, GetOptions, GetRange, ObjectMeta, ObjectStore, PutMode, PutOptions, UpdateVersion,
    path::Path,
};

use crate::error::{error, failed};

/// How many requests one operation has under way at a time.
pub(crate) const AT_ONCE: usize = 32;

/// An object store with a time limit for each request, and errors of this backend.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Where it is, for logs and errors: never with credentials.
    pub(crate) place: Arc<str>,
    pub(crate) timeout: Duration,
}

/// What there is under a name.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// An object of that version, with its bytes if they are not too many.
    Object(UpdateVersion, Option<Bytes>),
}

impl Objects {
    /// The object, its bytes only where they are at most `max`.
    pub(crate) async fn get(&self, path: &Path, max: usize, operation: &'static str) -> Result<Found> {
        self.get_range(path, None, max, operation).await
    }

    /// The first bytes of an object.
    pub(crate) async fn start(
        &self,
        path: &Path,
        len: usize,
        operation: &'static str,
    ) -> Result<Option<Bytes>> {
        let range = GetRange::Bounded(0..len as u64);
        match self.get_range(path, Some(range), len, operation).await? {
            Found::Object(_, bytes) => Ok(bytes),
            Found::Nothing => Ok(None),
        }
    }

    async fn get_range(
        &self,
        path: &Path,
        range: Option<GetRange>,
        max: usize,
        operation: &'static str,
    ) -> Result<Found> {
        let get = async {
            let options = GetOptions { range, ..GetOptions::default() };
            let result = match self.store.get_opts(path, options).await {
                Ok(result) => result,
                Err(cause) => return nothing(cause).map(|()| Found::Nothing),
            };
            let version = version_of(&result.meta);
            let len = result.range.end.saturating_sub(result.range.start);
            if len > max as u64 {
                return Ok(Found::Object(version, None));
            }
            Ok(Found::Object(version, Some(result.bytes().await?)))
        };
        self.within(operation, get).await
    }

    /// Whether there is an object.
    pub(crate) async fn exists(&self, path: &Path, operation: &'static str) -> Result<bool> {
        let head = async {
            let options = GetOptions { head: true, ..GetOptions::default() };
            match self.store.get_opts(path, options).await {
                Ok(_) => Ok(true),
                Err(cause) => nothing(cause).map(|()| false),
            }
        };
        self.within(operation, head).await
    }

    /// Writes an object if there is none of that name; `None` where there is.
    pub(crate) async fn create(
        &self,
        path: &Path,
        bytes: Bytes,
        operation: &'static str,
    ) -> Result<Option<UpdateVersion>> {
        self.put(path, bytes, PutMode::Create, operation).await
    }

    /// Replaces an object if it is of that version still; `None` where it is not.
    pub(crate) async fn update(
        &self,
        path: &Path,
        bytes: Bytes,
        version: &UpdateVersion,
        operation: &'static str,
    ) -> Result<Option<UpdateVersion>> {
        self.put(path, bytes, PutMode::Update(version.clone()), operation).await
    }

    /// Writes an object whose name nobody else uses.
    pub(crate) async fn write(&self, path: &Path, bytes: Bytes, operation: &'static str) -> Result<()> {
        self.put(path, bytes, PutMode::Overwrite, operation).await.map(drop)
    }

    async fn put(
        &self,
        path: &Path,
        bytes: Bytes,
        mode: PutMode,
        operation: &'static str,
    ) -> Result<Option<UpdateVersion>> {
        let put = async {
            let options = PutOptions { mode, ..PutOptions::default() };
            match self.store.put_opts(path, bytes.into(), options).await {
                Ok(result) => Ok(Some(result.into())),
                Err(Cause::AlreadyExists { .. } | Cause::Precondition { .. }) => Ok(None),
                Err(cause) => Err(cause),
            }
        };
        self.within(operation, put).await
    }

    /// Deletes objects that may be there or not.
    pub(crate) async fn delete(&self, paths: Vec<Path>, operation: &'static str) -> Result<()> {
        let mut deleted = self.store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        loop {
            let next = async {
                match deleted.next().await {
                    Some(Ok(_)) => Ok(true),
                    Some(Err(cause)) => nothing(cause).map(|()| true),
                    None => Ok(false),
                }
            };
            if !self.within(operation, next).await? {
                return Ok(());
            }
        }
    }

    /// The objects below a name, page by page.
    pub(crate) fn list(
        &self,
        prefix: &Path,
        operation: &'static str,
    ) -> impl Stream<Item = Result<ObjectMeta>> + Send + use<> {
        let listed = self.store.list(Some(prefix));
        stream::try_unfold((self.clone(), listed), move |(objects, mut listed)| async move {
            let next = async { listed.next().await.transpose() };
            let next = objects.within(operation, next).await?;
            Ok(next.map(|meta| (meta, (objects, listed))))
        })
    }

    /// The names below a name.
    pub(crate) async fn names(&self, prefix: &Path, operation: &'static str) -> Result<Vec<Path>> {
        self.list(prefix, operation).map_ok(|meta| meta.location).try_collect().await
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(cause)) => Err(self.failed(operation, cause)),
            Err(_) => Err(error(ErrorKind::Timeout, operation)),
        }
    }

    fn failed(&self, operation: &'static str, cause: Cause) -> Error {
        failed(operation, &self.place, cause)
    }
}

impl fmt::Debug for Objects {
    /// Without the store: its own way to show itself may show credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("place", &self.place).finish_non_exhaustive()
    }
}

fn version_of(meta: &ObjectMeta) -> UpdateVersion {
    UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() }
}

/// Whether the cause says that there is no such object. A bucket that is not there is another matter.
fn nothing(cause: Cause) -> Result<(), Cause> {
    match &cause {
        Cause::NotFound { source, .. } => {
            let text = source.to_string();
            let missing = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];
            if missing.iter().any(|word| text.contains(word)) { Err(cause) } else { Ok(()) }
        }
        _ => Err(cause),
    }
}
