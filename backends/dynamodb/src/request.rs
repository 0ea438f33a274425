//! Requests, sent again where that may help.

use std::{future::Future, time::Duration};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    types::KeysAndAttributes,
};
use cache_api::{ErrorKind, Generation, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    attribute::Item,
    error::{error, failed, is_passing},
    schema::PK,
    storage::Inner,
};

/// How often a request is sent that is throttled or meets another, beside what the client library does by itself.
const ATTEMPTS: u32 = 7;

/// How often others may be faster, until an operation gives up.
pub(crate) const CONTENDED: u32 = 60;

/// How many items one request reads.
const BATCH: usize = 100;

/// How many requests of one operation are under way.
pub(crate) const AT_ONCE: usize = 16;

/// Sends until it comes through, fails for good, or has failed too often.
pub(crate) async fn again<T, E, F>(
    send: impl Fn() -> F,
    passing: impl Fn(&SdkError<E>) -> bool,
) -> Result<T, SdkError<E>>
where
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut attempt = 1;
    loop {
        match send().await {
            Err(cause) if attempt < ATTEMPTS && passing(&cause) => pause(attempt, 20).await,
            result => return result,
        }
        attempt += 1;
    }
}

/// [`again`], where what passes is what [`is_passing`] says.
pub(crate) async fn persist<T, E, F>(send: impl Fn() -> F) -> Result<T, SdkError<E>>
where
    F: Future<Output = Result<T, SdkError<E>>>,
    E: ProvideErrorMetadata,
{
    again(send, is_passing).await
}

/// Waits a random while: longer on average with each attempt.
pub(crate) async fn pause(attempt: u32, base_millis: u64) {
    let most = base_millis.saturating_mul(1 << attempt.min(5));
    let random = Generation::random().map_or(most, |random| {
        let [a, b, c, d, ..] = *random.as_bytes();
        u64::from(u32::from_be_bytes([a, b, c, d])) % most.max(1)
    });
    tokio::time::sleep(Duration::from_millis(random)).await;
}

/// One page of a partition, and where the next begins.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Item>,
}

impl Inner {
    /// One item, as it is after all writes that were acknowledged.
    pub(crate) async fn get(&self, operation: &'static str, key: Item) -> Result<Option<Item>> {
        self.open(operation)?;
        let request = || {
            let request = self.client.get_item().table_name(&*self.table).consistent_read(true);
            request.set_key(Some(key.clone())).send()
        };
        Ok(persist(request).await.map_err(|cause| failed(operation, cause))?.item)
    }

    /// Those of the items that are there, in no order.
    pub(crate) async fn get_all(&self, operation: &'static str, keys: Vec<Item>) -> Result<Vec<Item>> {
        self.open(operation)?;
        let batches: Vec<Vec<Item>> = keys.chunks(BATCH).map(<[Item]>::to_vec).collect();
        let found =
            stream::iter(batches).map(|batch| self.get_batch(operation, batch)).buffer_unordered(AT_ONCE);
        found.try_concat().await
    }

    async fn get_batch(&self, operation: &'static str, mut keys: Vec<Item>) -> Result<Vec<Item>> {
        let mut found = Vec::with_capacity(keys.len());
        let mut attempt = 0;
        while !keys.is_empty() {
            let asked =
                KeysAndAttributes::builder().set_keys(Some(keys.clone())).consistent_read(true).build();
            let asked = asked.map_err(|cause| error(ErrorKind::Other, operation).with_source(cause))?;
            let request = || self.client.batch_get_item().request_items(&*self.table, asked.clone()).send();
            let answer = persist(request).await.map_err(|cause| failed(operation, cause))?;
            let before = found.len();
            found.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            keys = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
            if !keys.is_empty() {
                attempt = if found.len() > before { 1 } else { attempt + 1 };
                if attempt > ATTEMPTS {
                    return Err(error(ErrorKind::Unavailable, operation)
                        .with_message("DynamoDB leaves reads undone: the table is throttled"));
                }
                pause(attempt, 20).await;
            }
        }
        Ok(found)
    }

    /// A page of a partition's items, in the order of their sort keys.
    pub(crate) async fn page(
        &self,
        operation: &'static str,
        pk: &str,
        from: Option<Item>,
        limit: Option<i32>,
    ) -> Result<Page> {
        self.open(operation)?;
        let request = || {
            self.client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("#p = :p")
                .expression_attribute_names("#p", PK)
                .expression_attribute_values(":p", aws_sdk_dynamodb::types::AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(from.clone())
                .set_limit(limit)
                .send()
        };
        let answer = persist(request).await.map_err(|cause| failed(operation, cause))?;
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Page { items: answer.items.unwrap_or_default(), next })
    }

    /// Puts an item, whatever was in its place.
    pub(crate) async fn put(&self, operation: &'static str, item: Item) -> Result<()> {
        self.open(operation)?;
        let request = || self.client.put_item().table_name(&*self.table).set_item(Some(item.clone())).send();
        persist(request).await.map(drop).map_err(|cause| failed(operation, cause))
    }
}
