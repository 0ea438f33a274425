//! Storages with entries in them, and a clock that is moved by hand.

#![allow(unreachable_pub, dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_admin::{Admin, EntryFilter};
use cache_api::{
    Body, BodyId, CacheKey, CborSerializer, Change, Committed, Entry, FRAME_SIZE, Frame, Head, INLINE_MAX,
    InlineBody, Namespace, Place, Serializer, Storage, StoredHead, TagDigest, VariantId,
};
use cache_backend_memory::MemoryStorage;
use cache_backend_sqlite::SqliteStorage;
use cache_engine::{Clock, default_key, policy::Mode};
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))))
    }

    pub fn forward(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

pub fn memory(namespace: &str) -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::builder().namespace(Namespace::new(namespace).unwrap()).build().unwrap())
}

/// A SQLite file that goes with the directory.
pub async fn sqlite(directory: &tempfile::TempDir, namespace: &str) -> Arc<dyn Storage> {
    let builder = SqliteStorage::builder().path(directory.path().join("cache.sqlite"));
    Arc::new(builder.namespace(Namespace::new(namespace).unwrap()).build().await.unwrap())
}

/// A storage as its users and its keeper see it.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub admin: Admin,
    pub storage: Arc<dyn Storage>,
    pub serializer: Arc<dyn Serializer>,
    pub clock: TestClock,
}

/// What a test stores.
#[derive(Clone, Debug)]
pub struct Draft {
    pub url: String,
    pub method: Method,
    pub status: StatusCode,
    pub fields: Vec<(&'static str, String)>,
    pub body: Bytes,
    pub tags: Vec<&'static str>,
    pub variant: VariantId,
    pub tenant: Option<&'static str>,
    pub life: u64,
}

impl Draft {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: Method::GET,
            status: StatusCode::OK,
            fields: vec![("cache-control", "max-age=60".to_owned())],
            body: pattern(10),
            tags: Vec::new(),
            variant: VariantId::ONLY,
            tenant: None,
            life: 3600,
        }
    }

    pub fn control(mut self, value: &str) -> Self {
        self.fields = vec![("cache-control", value.to_owned())];
        self
    }

    pub fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    pub fn len(mut self, len: usize) -> Self {
        self.body = pattern(len);
        self
    }

    pub fn tags(mut self, tags: &[&'static str]) -> Self {
        self.tags = tags.to_vec();
        self
    }
}

impl Shelf {
    pub fn new(storage: Arc<dyn Storage>, clock: &TestClock) -> Self {
        Self::with(storage, Arc::new(CborSerializer::new()), clock)
    }

    pub fn with(storage: Arc<dyn Storage>, serializer: Arc<dyn Serializer>, clock: &TestClock) -> Self {
        let admin = Admin::new(Arc::clone(&storage), Arc::clone(&serializer));
        Self { admin: admin.with_clock(Arc::new(clock.clone())), storage, serializer, clock: clock.clone() }
    }

    /// Stores an entry as the engine does in private mode.
    pub async fn put(&self, draft: &Draft) -> CacheKey {
        let (url, none) = (Url::parse(&draft.url).unwrap(), HeaderMap::new());
        let mut request = cache_api::KeyRequest::new(&draft.method, &url, &none, self.storage.namespace());
        request.tenant = draft.tenant;
        let key = default_key(Mode::Private).of(&request);
        self.put_at(key, draft).await;
        key
    }

    pub async fn put_at(&self, key: CacheKey, draft: &Draft) {
        let now = self.clock.now();
        let head = Head::new(draft.method.clone(), &*draft.url, draft.status, fields(draft), now, now);
        let place = self.place(key, draft.variant);
        let cell = StoredHead::new(head, Arc::clone(&self.serializer), place.clone());
        self.commit(key, draft, cell, place).await;
    }

    /// Stores an entry that was selected by a request field.
    pub async fn put_selected(&self, draft: &Draft, selector: cache_api::Selector) {
        let (url, none, now) = (Url::parse(&draft.url).unwrap(), HeaderMap::new(), self.clock.now());
        let request = cache_api::KeyRequest::new(&draft.method, &url, &none, self.storage.namespace());
        let key = default_key(Mode::Private).of(&request);
        let mut head = Head::new(Method::GET, &*draft.url, StatusCode::OK, fields(draft), now, now);
        head.selectors.push(selector);
        let place = self.place(key, draft.variant);
        let cell = StoredHead::new(head, Arc::clone(&self.serializer), place.clone());
        self.commit(key, draft, cell, place).await;
    }

    /// Stores an entry whose head is something else.
    pub async fn put_garbage(&self, key: CacheKey, draft: &Draft, head: Bytes) {
        let place = self.place(key, draft.variant);
        self.commit(key, draft, StoredHead::from_bytes(head), place).await;
    }

    fn place(&self, key: CacheKey, variant: VariantId) -> Place {
        Place::head(self.storage.namespace(), key, variant, BodyId::random().unwrap())
    }

    async fn commit(&self, key: CacheKey, draft: &Draft, head: StoredHead, place: Place) {
        let now = self.clock.now();
        let resource = self.storage.lookup(&key, now).await.unwrap();
        let tags: Vec<_> = draft.tags.iter().map(|tag| TagDigest::of(tag)).collect();
        let dead_at = now + Duration::from_secs(draft.life);
        let entry = Entry::new(key, draft.variant, head, now, dead_at).with_tags(tags);
        let len = draft.body.len() as u64;
        let frame = |bytes: &[u8], index, last| {
            let place = place.frame(index, last);
            Frame::new(Bytes::copy_from_slice(bytes), Arc::clone(&self.serializer), place)
        };
        let body = if draft.body.len() <= INLINE_MAX {
            Body::Inline(InlineBody { id: place.body, frame: frame(&draft.body, 0, true), len })
        } else {
            let mut writer = self.storage.writer(resource.ticket(), place.body, now).await.unwrap();
            let chunks: Vec<_> = draft.body.chunks(FRAME_SIZE).collect();
            for (index, chunk) in chunks.iter().enumerate() {
                let number = u32::try_from(index).unwrap();
                writer.write(frame(chunk, number, index + 1 == chunks.len())).await.unwrap();
            }
            Body::Stored(writer.finish(len).await.unwrap())
        };
        let committed = self.storage.commit(resource.ticket(), entry, Change::Put(body), now).await.unwrap();
        assert!(matches!(committed, Committed::Stored { .. }), "{committed:?}");
    }

    /// The URLs that a filter finds, sorted; of an invalid entry a question mark.
    pub async fn urls(&self, filter: &EntryFilter) -> Vec<String> {
        let entries = self.admin.entries(filter).unwrap();
        let url = |entry: cache_admin::EntryInfo| entry.url().unwrap_or("?").to_owned();
        let mut urls: Vec<_> = entries.map_ok(url).try_collect().await.unwrap();
        urls.sort();
        urls
    }

    /// All that is stored, in a form that is the same in every storage.
    pub async fn contents(&self) -> BTreeMap<(String, VariantId), Content> {
        let entries = self.admin.entries(&EntryFilter::all()).unwrap();
        let entries: Vec<_> = entries.try_collect().await.unwrap();
        let mut contents = BTreeMap::new();
        for entry in entries {
            let head = entry.head().unwrap().clone();
            let body = self.body(entry.key, entry.variant).await;
            let content = Content {
                status: head.status,
                headers: head.headers,
                responded_at: head.responded_at,
                tags: entry.tags.to_vec(),
                stored_at: entry.stored_at,
                dead_at: entry.dead_at,
                body,
            };
            let twice = contents.insert((head.url.into(), entry.variant), content);
            assert!(twice.is_none(), "listed twice");
        }
        contents
    }

    pub async fn body(&self, key: CacheKey, variant: VariantId) -> Bytes {
        let resource = self.storage.lookup(&key, self.clock.now()).await.unwrap();
        let variant = resource.variants().iter().find(|v| v.id == variant).unwrap();
        let place = Place::head(self.storage.namespace(), key, variant.id, variant.version.body);
        let mut whole = Vec::new();
        for index in 0..variant.body.frames() {
            let frame = match &variant.body {
                Body::Inline(body) => body.frame.clone(),
                Body::Stored(body) => {
                    self.storage.read(&key, body.id, index..index + 1).await.unwrap().pop().unwrap()
                }
            };
            let place = place.frame(index, index + 1 == variant.body.frames());
            whole.extend_from_slice(frame.decode(&*self.serializer, &place).await.unwrap());
        }
        whole.into()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub responded_at: SystemTime,
    pub tags: Vec<TagDigest>,
    pub stored_at: SystemTime,
    pub dead_at: SystemTime,
    pub body: Bytes,
}

fn fields(draft: &Draft) -> HeaderMap {
    let field = |(name, value): &(&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    draft.fields.iter().map(field).collect()
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at / 7 + at / 4096) % 251).unwrap()).collect::<Vec<_>>().into()
}

/// A test on each backend: in memory and in a SQLite file.
pub async fn on_each<F, Fut>(test: F)
where
    F: Fn(Shelf) -> Fut,
    Fut: Future<Output = ()>,
{
    let directory = tempfile::tempdir().unwrap();
    for storage in [memory("default"), sqlite(&directory, "default").await] {
        test(Shelf::new(storage, &TestClock::new())).await;
    }
}

/// A storage that is the one within it, without its abilities.
#[macro_export]
macro_rules! forward_without_abilities {
    ($outer:ty) => {
        #[async_trait::async_trait]
        impl cache_api::Storage for $outer {
            fn namespace(&self) -> &cache_api::Namespace {
                self.0.namespace()
            }
            fn limits(&self) -> cache_api::Limits {
                self.0.limits()
            }
            async fn lookup(
                &self,
                key: &cache_api::CacheKey,
                now: std::time::SystemTime,
            ) -> cache_api::Result<cache_api::Resource> {
                self.0.lookup(key, now).await
            }
            async fn read(
                &self,
                key: &cache_api::CacheKey,
                body: cache_api::BodyId,
                frames: std::ops::Range<u32>,
            ) -> cache_api::Result<Vec<cache_api::Frame>> {
                self.0.read(key, body, frames).await
            }
            async fn writer(
                &self,
                ticket: &cache_api::Ticket,
                body: cache_api::BodyId,
                now: std::time::SystemTime,
            ) -> cache_api::Result<Box<dyn cache_api::BodyWriter>> {
                self.0.writer(ticket, body, now).await
            }
            async fn commit(
                &self,
                ticket: &cache_api::Ticket,
                entry: cache_api::Entry,
                change: cache_api::Change,
                now: std::time::SystemTime,
            ) -> cache_api::Result<cache_api::Committed> {
                self.0.commit(ticket, entry, change, now).await
            }
            async fn remove(
                &self,
                key: &cache_api::CacheKey,
                only: Option<cache_api::Version>,
                now: std::time::SystemTime,
            ) -> cache_api::Result<u64> {
                self.0.remove(key, only, now).await
            }
            fn abilities(&self) -> cache_api::Abilities<'_> {
                cache_api::Abilities::none()
            }
            async fn close(&self) -> cache_api::Result<()> {
                self.0.close().await
            }
        }
    };
}
