//! A store around another: counts requests, and can ignore the conditions of puts.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use cache_backend_object_store::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UpdateVersion, memory::InMemory,
    path::Path,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::oneshot;

/// What a [`Wrapped`] store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// `If-None-Match: *` is ignored.
    CreateOverwrites,
    /// `If-Match` is ignored.
    UpdateOverwrites,
    /// A put that came through is reported as one whose condition did not hold, once: what a client sees that
    /// sent it again after the answer was lost.
    WonAndRetried,
}

#[derive(Debug)]
pub(crate) struct Wrapped {
    this: Weak<Self>,
    inner: InMemory,
    fault: Mutex<Fault>,
    /// Requests since they were asked for, as `GET r`, in order.
    requests: Mutex<Vec<String>>,
    lost: AtomicU8,
    gate: Mutex<Option<Gate>>,
}

/// Where a request is held up until it is let go on.
#[derive(Debug)]
struct Gate {
    /// How many requests pass first.
    passing: u32,
    /// Whether the request is done when it is held up, and only its answer waits.
    done: bool,
    reached: oneshot::Sender<oneshot::Sender<()>>,
}

impl Wrapped {
    pub(crate) fn new(fault: Fault) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            inner: InMemory::new(),
            fault: Mutex::new(fault),
            requests: Mutex::default(),
            lost: AtomicU8::new(0),
            gate: Mutex::default(),
        })
    }

    /// Does that wrong from now on.
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.lost.store(0, Ordering::SeqCst);
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Holds up the request after so many. What is received is that it came, and the way to let it go on.
    pub(crate) fn hold(&self, passing: u32, done: bool) -> oneshot::Receiver<oneshot::Sender<()>> {
        let (reached, receiver) = oneshot::channel();
        *self.gate.lock().unwrap() = Some(Gate { passing, done, reached });
        receiver
    }

    /// Holds up nothing any more.
    pub(crate) fn open(&self) {
        *self.gate.lock().unwrap() = None;
    }

    /// Counts a request that is about to be made, and holds it up, or says how its answer waits.
    async fn pass(&self) -> Option<Gate> {
        let gate = {
            let mut gate = self.gate.lock().unwrap();
            match &mut *gate {
                Some(Gate { passing: 0, .. }) => gate.take(),
                Some(gate) => {
                    gate.passing -= 1;
                    None
                }
                None => None,
            }
        };
        match gate {
            Some(gate) if !gate.done => {
                wait(Some(gate)).await;
                None
            }
            gate => gate,
        }
    }

    fn note(&self, what: &str, path: &Path) {
        let kind = path.as_ref().split("http-cache-1/default/").nth(1).unwrap_or("?");
        let kind = kind.split('/').next().unwrap_or("?");
        self.requests.lock().unwrap().push(format!("{what} {kind}"));
    }
}

/// Says that the request is held up, and waits.
async fn wait(gate: Option<Gate>) {
    if let Some(gate) = gate {
        let (go_on, went_on) = oneshot::channel();
        let _ = gate.reached.send(go_on);
        let _ = went_on.await;
    }
}

#[async_trait]
impl ObjectStore for Wrapped {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        self.note("PUT", path);
        let fault = *self.fault.lock().unwrap();
        let is_conditional = !matches!(opts.mode, PutMode::Overwrite);
        match (fault, &opts.mode) {
            (Fault::CreateOverwrites, PutMode::Create) | (Fault::UpdateOverwrites, PutMode::Update(_)) => {
                opts.mode = PutMode::Overwrite;
            }
            _ => {}
        }
        let gate = self.pass().await;
        let written = self.inner.put_opts(path, payload.clone(), opts).await;
        wait(gate).await;
        let written = written?;
        if fault == Fault::WonAndRetried && is_conditional && self.lost.fetch_add(1, Ordering::SeqCst) == 0 {
            let old = UpdateVersion { e_tag: Some("\"another\"".to_owned()), version: None };
            return self.inner.put_opts(path, payload, PutMode::Update(old).into()).await;
        }
        Ok(written)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, opts).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.note(if options.head { "HEAD" } else { "GET" }, path);
        let gate = self.pass().await;
        let found = self.inner.get_opts(path, options).await;
        wait(gate).await;
        found
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.this.upgrade().unwrap();
        let passed = paths.then(move |path| {
            let store = Arc::clone(&store);
            async move {
                let gate = store.pass().await;
                let deleted: Vec<_> = store.inner.delete_stream(stream::iter([path]).boxed()).collect().await;
                wait(gate).await;
                stream::iter(deleted)
            }
        });
        passed.flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note("LIST", prefix.unwrap());
        let (store, prefix) = (self.this.upgrade().unwrap(), prefix.cloned());
        let listed = async move {
            let gate = store.pass().await;
            let listed: Vec<_> = store.inner.list(prefix.as_ref()).collect().await;
            wait(gate).await;
            stream::iter(listed)
        };
        stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}
