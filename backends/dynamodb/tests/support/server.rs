//! A server on which the suite opens storages, and damages items past them.

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_dynamodb::{
    DynamoDbStorage,
    aws_sdk_dynamodb::{self, Client, primitives::Blob, types::AttributeValue},
};
use cache_conformance::{
    Damage, Opened, OwnServer, RawStore, Remote, Subject,
    services::{self, Service},
};

pub(crate) type Item = HashMap<String, AttributeValue>;
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The table that [`Service::url`] names.
pub(crate) const TABLE: &str = "conformance";

pub(crate) struct Server {
    url: String,
    /// Whether another like it can be started.
    is_process: bool,
}

impl Server {
    pub(crate) fn of(service: &Service) -> Self {
        Self { url: service.url().unwrap_or_default().to_owned(), is_process: service.is_process() }
    }
}

/// A client of the server that a URL of ours names.
pub(crate) fn client(url: &str) -> Client {
    use cache_backend_dynamodb::aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    let endpoint = url.split("endpoint=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
    let key = services::dynamodb::KEY;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(key, key, None, None, "test"));
    Client::from_conf(config.build())
}

#[async_trait]
impl Subject for Server {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = DynamoDbStorage::builder().url(&self.url)?.namespace(namespace.clone()).limits(limits);
        // Some cases want hundreds of answers at once of a machine that does other things, too.
        Ok(Arc::new(builder.timeout(Duration::from_secs(60)).build().await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        self.is_process.then(|| services::own_server(services::dynamodb::Durable, Self::of))
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl Remote for Server {
    fn address(&self) -> String {
        services::address(&self.url).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = DynamoDbStorage::builder().url(&services::at_address(&self.url, address))?;
        let builder = builder.connect_timeout(TIMEOUT).timeout(TIMEOUT);
        Ok(Arc::new(builder.namespace(namespace.clone()).limits(limits).build().await?))
    }

    /// With its repetitions.
    fn timeout(&self) -> Option<Duration> {
        Some(2 * TIMEOUT)
    }
}

#[async_trait]
impl RawStore for Server {
    async fn damage(&self, namespace: &Namespace, key: &CacheKey, damage: Damage) -> Outcome<u64> {
        let client = client(&self.url);
        let prefix = format!("http-cache:1:{namespace}:");
        let mut changed = 0;
        for mut item in partition(&client, &format!("{prefix}r:{key}")).await? {
            let before = item.clone();
            if item["sk"] == AttributeValue::S("r".to_owned()) {
                for body in damage_record(&mut item, damage) {
                    changed += damage_frames(&client, &prefix, &body, damage).await?;
                }
            } else if matches!(damage, Damage::FlipFrame | Damage::TruncateFrame) {
                alter(&mut item, "d", damage);
            }
            if item != before {
                client.put_item().table_name(TABLE).set_item(Some(item)).send().await?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    fn dumps(&self) -> bool {
        true
    }

    async fn dump(&self, namespace: &Namespace) -> Outcome<Vec<Vec<u8>>> {
        let mut pages =
            client(&self.url).scan().table_name(TABLE).consistent_read(true).into_paginator().send();
        let ours = format!("http-cache:1:{namespace}:");
        let mut dump = Vec::new();
        while let Some(page) = pages.next().await {
            for item in page?.items.unwrap_or_default() {
                if item["pk"].as_s().is_ok_and(|pk| pk.starts_with(&ours)) {
                    flatten(AttributeValue::M(item), &mut dump)?;
                }
            }
        }
        Ok(dump)
    }
}

/// The bytes of a value, whatever is in what.
fn flatten(value: AttributeValue, dump: &mut Vec<Vec<u8>>) -> Outcome<()> {
    match value {
        AttributeValue::B(bytes) => dump.push(bytes.into_inner()),
        AttributeValue::Bs(values) => dump.extend(values.into_iter().map(Blob::into_inner)),
        AttributeValue::S(text) | AttributeValue::N(text) => dump.push(text.into_bytes()),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
            dump.extend(texts.into_iter().map(String::into_bytes));
        }
        AttributeValue::M(values) => {
            for (name, value) in values {
                dump.push(name.into_bytes());
                flatten(value, dump)?;
            }
        }
        AttributeValue::L(values) => values.into_iter().try_for_each(|value| flatten(value, dump))?,
        AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
        other => return Err(format!("{other:?} is not known here").into()),
    }
    Ok(())
}

/// All items of a partition.
pub(crate) async fn partition(client: &Client, pk: &str) -> Outcome<Vec<Item>> {
    let query = client.query().table_name(TABLE).consistent_read(true).key_condition_expression("pk = :p");
    let answer = query.expression_attribute_values(":p", AttributeValue::S(pk.to_owned())).send().await?;
    Ok(answer.items.unwrap_or_default())
}

/// Damages a record, and returns the ids of its stored bodies.
fn damage_record(item: &mut Item, damage: Damage) -> Vec<String> {
    let mut stored = Vec::new();
    for (name, value) in item.iter_mut() {
        let AttributeValue::M(variant) = value else { continue };
        assert!(name.starts_with('v'));
        if variant["o"] == AttributeValue::S("b".to_owned()) {
            let body = variant["n"].as_b().unwrap().as_ref();
            stored.push(body.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        match damage {
            Damage::FlipHead | Damage::TruncateHead | Damage::ForeignHead => alter(variant, "h", damage),
            Damage::FlipFrame | Damage::TruncateFrame => alter(variant, "i", damage),
            Damage::MalformRow => {
                // A body id of a wrong length.
                let id = variant["n"].as_b().unwrap().as_ref()[2..].to_vec();
                variant.insert("n".to_owned(), AttributeValue::B(Blob::new(id)));
            }
            _ => {}
        }
    }
    if damage == Damage::MalformRow {
        item.insert("g".to_owned(), AttributeValue::S("garbage".to_owned()));
    }
    stored
}

fn alter(item: &mut Item, name: &str, damage: Damage) {
    if let Some(AttributeValue::B(bytes)) = item.get(name) {
        let bytes = damage.apply(bytes.as_ref());
        item.insert(name.to_owned(), AttributeValue::B(Blob::new(bytes)));
    }
}

async fn damage_frames(client: &Client, prefix: &str, body: &str, damage: Damage) -> Outcome<u64> {
    let mut frames = Vec::new();
    while let Some(frame) = partition(client, &format!("{prefix}f:{body}:{}", frames.len())).await?.pop() {
        frames.push(frame);
    }
    match damage {
        Damage::DropFrame => {
            let Some(mut last) = frames.pop() else { return Ok(0) };
            last.retain(|name, _| name == "pk" || name == "sk");
            client.delete_item().table_name(TABLE).set_key(Some(last)).send().await?;
            Ok(1)
        }
        Damage::FlipFrame | Damage::TruncateFrame => {
            let count = frames.len() as u64;
            for mut frame in frames {
                alter(&mut frame, "d", damage);
                client.put_item().table_name(TABLE).set_item(Some(frame)).send().await?;
            }
            Ok(count)
        }
        _ => Ok(0),
    }
}
