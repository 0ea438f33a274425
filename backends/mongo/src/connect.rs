//! The way to the server, and whether what is there is ours.

use std::{
    fmt,
    future::IntoFuture,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_api::{BodyId, Error, ErrorKind, Result};
use futures_util::{TryStreamExt as _, future::try_join_all};
use mongodb::{
    Client, Collection, Database,
    bson::{DateTime, Document, RawDocumentBuf, doc},
    options::{
        ClientOptions, CollectionOptions, ConnectionString, HostInfo, ReadConcern, ReadPreference,
        SelectionCriteria, WriteConcern,
    },
};
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    error::{config, error, failed, is_answer, server_code},
    schema::{COLLECTIONS, FRAMES, LEASES, PURGES, RESOURCES, body_index, expiry_index, tag_index},
};

/// How long connecting may take, where nothing is said.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection may lie idle, where nothing is said. Firewalls and load balancers forget those that lie for
/// minutes, and the next command over one would fail.
const IDLE: Duration = Duration::from_secs(60);

/// Where the documents are.
#[derive(Clone)]
pub(crate) enum Target {
    Unset,
    Url(Box<ConnectionString>),
    Client(Client),
    Database(Database),
}

/// A database of a server, connected to at the first use.
///
/// The driver opens few connections at a time, and waits for those under way without a limit: where a server accepts and
/// then says nothing, its client answers nothing for minutes after the server is back. A client of our own that says
/// nothing for long is given up for another.
pub(crate) struct Server {
    target: Target,
    prefix: String,
    connect_timeout: Option<Duration>,
    timeout: Duration,
    current: Mutex<Arc<OnceCell<Arc<Collections>>>>,
    /// Whether the collections were made sure to be ours, over this client or one before.
    prepared: AtomicBool,
    /// Since when the server was asked without having answered anything.
    asked: Mutex<Option<Instant>>,
    /// How many namespaces are open over it.
    namespaces: AtomicUsize,
}

/// The collections of a cache: read from the primary, read and written by majorities.
pub(crate) struct Collections {
    pub(crate) resources: Collection<RawDocumentBuf>,
    pub(crate) frames: Collection<RawDocumentBuf>,
    pub(crate) leases: Collection<Document>,
    pub(crate) purges: Collection<Document>,
}

impl Server {
    pub(crate) fn new(
        target: Target,
        prefix: String,
        connect_timeout: Option<Duration>,
        timeout: Duration,
    ) -> Self {
        Self {
            target,
            prefix,
            connect_timeout,
            timeout,
            current: Mutex::default(),
            prepared: AtomicBool::new(false),
            asked: Mutex::default(),
            namespaces: AtomicUsize::new(0),
        }
    }

    /// Connects at the first call, and makes sure that the collections are ours.
    pub(crate) async fn collections(&self) -> Result<Arc<Collections>> {
        let current = self.current();
        current.get_or_try_init(async || self.connect().await.map(Arc::new)).await.cloned()
    }

    /// Those of a client that answers, or has been waited for not too long.
    fn current(&self) -> Arc<OnceCell<Arc<Collections>>> {
        let mut current = lock(&self.current);
        let mut asked = lock(&self.asked);
        let silent = asked.get_or_insert_with(Instant::now).elapsed();
        if silent > self.timeout && current.initialized() && matches!(self.target, Target::Url(_)) {
            tracing::warn!(backend = "mongo", ?silent, "the server does not answer: connecting to it anew");
            *current = Arc::default();
            *asked = Some(Instant::now());
        }
        Arc::clone(&current)
    }

    /// One more namespace uses it.
    pub(crate) fn enter(&self) {
        self.namespaces.fetch_add(1, Ordering::AcqRel);
    }

    /// One namespace is closed. With the last one a client of our own ends its sessions and closes its connections; one
    /// of the user's stays as it is.
    pub(crate) async fn leave(&self) {
        if self.namespaces.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let current = Arc::clone(&lock(&self.current));
        if let (Target::Url(_), Some(collections)) = (&self.target, current.get()) {
            let shutdown = collections.resources.client().clone().shutdown().immediate(true);
            // What does not end in time ends with its connections.
            let _ = tokio::time::timeout(self.timeout, shutdown).await;
        }
    }

    /// What a command answers, in time.
    pub(crate) async fn run<T>(
        &self,
        operation: &'static str,
        command: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> Result<T> {
        let answer = tokio::time::timeout(self.timeout, command.into_future())
            .await
            .map_err(|_| error(ErrorKind::Timeout, operation))?;
        if answer.as_ref().err().is_none_or(is_answer) {
            *lock(&self.asked) = None;
        }
        answer.map_err(|cause| failed(operation, cause))
    }

    async fn connect(&self) -> Result<Collections> {
        let database = self.database().await?;
        if !self.prepared.load(Ordering::Acquire) {
            try_join_all(COLLECTIONS.map(|kind| self.prepare(&database, kind))).await?;
            self.prepared.store(true, Ordering::Release);
        }
        let named = |kind: &str| format!("{}.{kind}", self.prefix);
        Ok(Collections {
            resources: database.collection_with_options(&named(RESOURCES), options()),
            frames: database.collection_with_options(&named(FRAMES), options()),
            leases: database.collection_with_options(&named(LEASES), options()),
            purges: database.collection_with_options(&named(PURGES), options()),
        })
    }

    async fn database(&self) -> Result<Database> {
        let url = match &self.target {
            Target::Unset => {
                return Err(config(
                    "connect",
                    "no server is named: give the builder a URL, a client or a database",
                ));
            }
            Target::Database(database) => return Ok(database.clone()),
            Target::Client(client) => return client.default_database().ok_or_else(no_database),
            Target::Url(url) => url,
        };
        let mut options = self.run("connect", ClientOptions::parse(ConnectionString::clone(url))).await?;
        for timeout in [&mut options.connect_timeout, &mut options.server_selection_timeout] {
            *timeout = self.connect_timeout.or(*timeout).or(Some(CONNECT));
        }
        options.max_idle_time = options.max_idle_time.or(Some(IDLE));
        let client = Client::with_options(options).map_err(|cause| failed("connect", cause))?;
        client.default_database().ok_or_else(no_database)
    }

    /// Sees to it that a collection has the indexes, is what the cache needs, and may be used.
    async fn prepare(&self, database: &Database, kind: &str) -> Result<()> {
        let name = format!("{}.{kind}", self.prefix);
        let mut indexes = vec![expiry_index()];
        match kind {
            RESOURCES => indexes.push(tag_index()),
            FRAMES => indexes.push(body_index()),
            _ => {}
        }
        // One by one, for one that is there under another name hinders all of its command.
        let mut created = Ok(());
        for index in &indexes {
            let create = doc! {
                "createIndexes": &name, "indexes": [index], "writeConcern": { "w": "majority" },
            };
            created = created.and(self.run("connect", database.run_command(create)).await.map(drop));
        }
        let collection = database.collection_with_options::<Document>(&name, options());
        let there = async { collection.list_indexes().await?.try_collect::<Vec<_>>().await };
        match (created, self.run("connect", there).await) {
            (Err(error), Ok(there)) if is_about_indexes(&error) => {
                // They may be there, under other names, or by an administrator's hand.
                let is_there = |index: &Document| there.iter().any(|there| is(there, index));
                if !indexes.iter().all(is_there) {
                    return Err(in_collection(error, &name));
                }
                check(&name, &there)?;
            }
            (Err(error), _) => return Err(in_collection(error, &name)),
            (Ok(()), Ok(there)) => check(&name, &there)?,
            (Ok(()), Err(denied)) if denied.kind() == ErrorKind::Denied => {}
            (Ok(()), Err(error)) => return Err(error),
        }
        self.probe(&collection).await
    }

    /// Does once what will be done, with a document of its own, that the server would delete too.
    async fn probe(&self, collection: &Collection<Document>) -> Result<()> {
        let id = doc! { "_id": format!("!{}", BodyId::random()?) };
        let mut document = id.clone();
        document.insert("gone", DateTime::from_millis(0));
        // The server may have deleted it at once.
        for _ in 0..3 {
            self.run("connect", collection.insert_one(document.clone())).await?;
            let found = self.run("connect", collection.find_one(id.clone())).await?;
            let touch = doc! { "$max": { "gone": DateTime::from_millis(0) } };
            self.run("connect", collection.update_one(id.clone(), touch)).await?;
            self.run("connect", collection.delete_one(id.clone())).await?;
            if found.is_some() {
                return Ok(());
            }
        }
        Err(incompatible(collection.name(), "does not give back what is put into it, as a view does not"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What holds for all collections, whatever their client says.
fn options() -> CollectionOptions {
    let options = CollectionOptions::builder();
    let options = options.selection_criteria(SelectionCriteria::from(ReadPreference::Primary));
    options.read_concern(ReadConcern::majority()).write_concern(WriteConcern::majority()).build()
}

type Index = mongodb::IndexModel;

/// Whether an index could not be created, for want of a permission or for another one like it.
fn is_about_indexes(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied || matches!(server_code(error), Some(85 | 86))
}

/// Whether an index is this one.
fn is(there: &Index, index: &Document) -> bool {
    let options = there.options.as_ref();
    let expires = options.and_then(|options| options.expire_after).map(|after| after.as_secs());
    let wanted = index.get_i32("expireAfterSeconds").ok().and_then(|after| u64::try_from(after).ok());
    index.get_document("key").is_ok_and(|key| keys(key) == keys(&there.keys)) && expires == wanted
}

fn keys(index: &Document) -> Vec<&str> {
    index.keys().map(String::as_str).collect()
}

/// Other indexes may be there, but none that refuses a document or orders names in another way.
fn check(name: &str, there: &[Index]) -> Result<()> {
    for index in there {
        let Some(options) = &index.options else { continue };
        let is_of_ids = keys(&index.keys) == ["_id"];
        if options.unique == Some(true) && !is_of_ids {
            return Err(incompatible(name, "has a unique index that is not the cache's"));
        }
        if keys(&index.keys) == ["gone"] && options.expire_after != Some(Duration::ZERO) {
            return Err(incompatible(name, "has another index in the place of the cache's"));
        }
        if is_of_ids && options.collation.is_some() {
            return Err(incompatible(name, "has a collation: its names are not ordered by their bytes"));
        }
    }
    Ok(())
}

fn incompatible(name: &str, what: &str) -> Error {
    error(ErrorKind::Incompatible, "connect")
        .with_message(format!("the collection {name} {what}: drop that, or choose another prefix"))
}

/// Names the collection of which the server says that it is something else.
fn in_collection(error: Error, name: &str) -> Error {
    if error.kind() != ErrorKind::Incompatible {
        return error;
    }
    match server_code(&error) {
        Some(67 | 85 | 86) => incompatible(name, "has another index in the place of the cache's"),
        _ => incompatible(name, "is a view, or of another kind"),
    }
    .with_source(error)
}

fn no_database() -> Error {
    config("connect", "no database is named: write mongodb://host/DATABASE, or give the builder a database")
}

/// Hosts and database, as they may be shown.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.target, f)?;
        write!(f, ", {}", self.prefix)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::Client(client) => match client.default_database() {
                Some(database) => write!(f, "own client, {}", database.name()),
                None => f.write_str("own client"),
            },
            Self::Database(database) => write!(f, "own client, {}", database.name()),
            Self::Url(url) => {
                let database = url.default_database.as_deref().unwrap_or_default();
                match &url.host_info {
                    HostInfo::HostIdentifiers(hosts) => {
                        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                        write!(f, "mongodb://{}/{database}", hosts.join(","))
                    }
                    HostInfo::DnsRecord(host) => write!(f, "mongodb+srv://{host}/{database}"),
                    _ => f.write_str("mongodb"),
                }
            }
        }
    }
}

impl fmt::Debug for Server {
    /// Shows neither user name nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("target", &format_args!("{}", self.target))
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
