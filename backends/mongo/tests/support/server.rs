//! A server on which the suite opens storages, and damages documents past them.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_mongo::{
    MongoStorage,
    mongodb::{
        Client, Collection,
        bson::{Binary, Bson, Document, RawDocumentBuf, doc, spec::BinarySubtype},
    },
};
use cache_conformance::{
    Damage, Opened, OwnServer, RawStore, Remote, Subject,
    services::{self, Service, mongo::Kind},
};
use futures_util::TryStreamExt as _;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) struct Server {
    url: String,
    /// Whether it was started for the suite: then another like it can be, and it is no replica set, whose members
    /// tell clients where they are so that they pass by any proxy.
    is_process: bool,
}

impl Server {
    pub(crate) fn of(service: &Service) -> Self {
        let url = service.url().unwrap_or_default().to_owned();
        Self { url, is_process: service.is_process() }
    }

    async fn collection(&self, kind: &str) -> Outcome<Collection<Document>> {
        let client = Client::with_uri_str(&self.url).await?;
        let database = client.default_database().ok_or("the URL names no database")?;
        Ok(database.collection(&format!("http_cache.{kind}")))
    }
}

#[async_trait]
impl Subject for Server {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = MongoStorage::builder().url(&self.url)?.namespace(namespace.clone()).limits(limits);
        // Some cases want hundreds of answers at once of a machine that does other things, too.
        let patience = Duration::from_secs(60);
        Ok(Arc::new(builder.timeout(patience).connect_timeout(patience).build().await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.is_process.then_some(self as &dyn Remote)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        self.is_process.then(|| services::own_server(Kind::Single, Self::of))
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl Remote for Server {
    fn address(&self) -> String {
        services::address(&self.url).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = MongoStorage::builder().url(&services::at_address(&self.url, address))?;
        let builder = builder.connect_timeout(TIMEOUT).timeout(TIMEOUT);
        Ok(Arc::new(builder.namespace(namespace.clone()).limits(limits).build().await?))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }
}

#[async_trait]
impl RawStore for Server {
    async fn damage(&self, namespace: &Namespace, key: &CacheKey, damage: Damage) -> Outcome<u64> {
        let resources = self.collection("resources").await?;
        let id = doc! { "_id": format!("{namespace}:{key}") };
        let mut document = resources.find_one(id.clone()).await?.ok_or("the resource is not there")?;
        let mut changed = 0;
        match damage {
            Damage::FlipHead | Damage::TruncateHead | Damage::ForeignHead => {
                changed += damage_all(document.get_document_mut("h")?, damage);
            }
            Damage::MalformRow => {
                document.insert("g", "of another type");
                for (_, variant) in document.get_document_mut("v")?.iter_mut() {
                    if let Some(variant) = variant.as_document_mut() {
                        variant.insert("b", binary(&[1, 2, 3]));
                    }
                }
                changed += 2;
            }
            _ => {
                changed += damage_all(document.get_document_mut("i")?, damage);
                let bodies: Vec<String> = document
                    .get_document("v")?
                    .values()
                    .filter_map(|variant| variant.as_document()?.get_binary_generic("b").ok())
                    .map(|body| body.iter().map(|byte| format!("{byte:02x}")).collect())
                    .collect();
                for body in bodies {
                    changed += self.damage_body(&format!("{namespace}:{body}"), damage).await?;
                }
            }
        }
        resources.replace_one(id, document).await?;
        Ok(changed)
    }

    fn dumps(&self) -> bool {
        true
    }

    /// Each document of each collection, as its bytes lie there.
    async fn dump(&self, _: &Namespace) -> Outcome<Vec<Vec<u8>>> {
        let client = Client::with_uri_str(&self.url).await?;
        let database = client.default_database().ok_or("the URL names no database")?;
        let mut dump = Vec::new();
        for name in database.list_collection_names().await? {
            let mut documents = database.collection::<RawDocumentBuf>(&name).find(doc! {}).await?;
            while let Some(document) = documents.try_next().await? {
                dump.push(document.into_bytes());
            }
        }
        Ok(dump)
    }
}

impl Server {
    async fn damage_body(&self, body: &str, damage: Damage) -> Outcome<u64> {
        let frames = self.collection("frames").await?;
        let mut changed = 0;
        for number in (0..).map(|number| format!("{body}:{number:08x}")) {
            let id = doc! { "_id": number };
            let Some(frame) = frames.find_one(id.clone()).await? else { break };
            let next = doc! { "_id": { "$gt": id.get_str("_id")?, "$lt": format!("{body};") } };
            match damage {
                Damage::DropFrame if frames.find_one(next).await?.is_none() => {
                    changed += frames.delete_one(id).await?.deleted_count;
                }
                Damage::DropFrame => {}
                _ => {
                    let data = binary(&damage.apply(frame.get_binary_generic("data")?));
                    changed += frames.update_one(id, doc! { "$set": { "data": data } }).await?.matched_count;
                }
            }
        }
        Ok(changed)
    }
}

fn damage_all(part: &mut Document, damage: Damage) -> u64 {
    let mut changed = 0;
    for (_, value) in part.iter_mut() {
        if let Bson::Binary(bytes) = value {
            bytes.bytes = damage.apply(&bytes.bytes);
            changed += 1;
        }
    }
    changed
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}
