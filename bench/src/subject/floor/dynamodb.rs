//! The consistent `Query` of `DynamoDbStorage`'s lookup, and the `BatchGetItem` of its frames; raw, a `GetItem` of the
//! item that holds the body.

use std::collections::HashMap;
use std::ops::Range;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use bytes::Bytes;
use client_reqwest::cache_api::BodyId;

use super::{Read, ReadFrames, Stored};
use crate::Result;

type Item = HashMap<String, AttributeValue>;

pub(super) struct Lookup {
    table: Table,
    partition: String,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Lookup> {
    let partition = format!("http-cache:1:{}:r:{}", stored.namespace, stored.key);
    Ok(Lookup { table: Table::of(stored).await?, partition })
}

impl Lookup {
    async fn items(&self) -> Result<Vec<Item>> {
        let query = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .consistent_read(true)
            .key_condition_expression("#p = :p")
            .expression_attribute_names("#p", "pk")
            .expression_attribute_values(":p", AttributeValue::S(self.partition.clone()));
        Ok(query.send().await?.items.unwrap_or_default())
    }
}

impl Read for Lookup {
    async fn read(&self) -> Result<Bytes> {
        let items = self.items().await?;
        items
            .into_iter()
            .filter_map(largest)
            .max_by_key(Bytes::len)
            .ok_or_else(|| "no body in DynamoDB".into())
    }
}

pub(super) struct Raw {
    table: Table,
    key: Item,
}

pub(super) async fn raw(stored: Stored<'_>) -> Result<Raw> {
    let lookup = lookup(stored).await?;
    let items = lookup.items().await?;
    let holder = items.into_iter().max_by_key(|item| largest(item.clone()).map_or(0, |bytes| bytes.len()));
    let key = holder
        .ok_or("the entry is not in DynamoDB")?
        .into_iter()
        .filter(|(name, _)| name == "pk" || name == "sk");
    Ok(Raw { table: lookup.table, key: key.collect() })
}

impl Read for Raw {
    async fn read(&self) -> Result<Bytes> {
        let get = self.table.client.get_item().table_name(&self.table.name).set_key(Some(self.key.clone()));
        let item = get.send().await?.item.ok_or("the item has gone")?;
        largest(item).ok_or_else(|| "no body in the item".into())
    }
}

pub(super) struct Frames {
    table: Table,
    body: String,
}

pub(super) async fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let body = format!("http-cache:1:{}:f:{body}", stored.namespace);
    Ok(Frames { table: Table::of(stored).await?, body })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let keys = range.map(|number| {
            let partition = AttributeValue::S(format!("{}:{number}", self.body));
            Item::from([("pk".to_owned(), partition), ("sk".to_owned(), AttributeValue::S("-".to_owned()))])
        });
        let asked =
            KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true).build()?;
        let answer = self.table.client.batch_get_item().request_items(&self.table.name, asked).send().await?;
        let items = answer.responses.into_iter().flatten().flat_map(|(_, items)| items);
        Ok(items.filter_map(largest).map(|bytes| bytes.len()).sum())
    }
}

/// The longest bytes among an item's attributes, or in maps among them: the body.
fn largest(item: Item) -> Option<Bytes> {
    let bytes = |value| match value {
        AttributeValue::B(blob) => Some(Bytes::from(blob.into_inner())),
        AttributeValue::M(inner) => largest(inner),
        _ => None,
    };
    item.into_values().filter_map(bytes).max_by_key(Bytes::len)
}

struct Table {
    client: Client,
    name: String,
}

impl Table {
    async fn of(stored: Stored<'_>) -> Result<Self> {
        let location = stored.store.bare().trim_start_matches("dynamodb://").trim_end_matches('/');
        let (user, name) =
            location.rsplit_once('@').map_or((None, location), |(user, name)| (Some(user), name));
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = stored.store.parameter("region") {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = stored.store.parameter("endpoint") {
            loader = loader.endpoint_url(endpoint);
        }
        let given = (stored.store.parameter("access_key_id"), stored.store.parameter("secret_access_key"));
        let pair =
            user.and_then(|user| user.split_once(':')).map(|(id, secret)| (id.to_owned(), secret.to_owned()));
        if let Some((id, secret)) = given.0.zip(given.1).or(pair) {
            loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "given"));
        }
        Ok(Self { client: Client::new(&loader.load().await), name: name.to_owned() })
    }
}
