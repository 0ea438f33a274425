use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure},
};
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};

use crate::{
    DynamoDbStorage,
    attribute::{Item, binary, bytes, count, duration_millis, millis, number, string, time},
    error::{contended, failed},
    request::persist,
    schema::{EXPIRES, PK},
    storage::Inner,
};

/// What a lease's item says.
const HELD: &str = "held";
const UNCACHEABLE: &str = "uncacheable";

#[async_trait]
impl Leases for DynamoDbStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let inner = &*self.inner;
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let mut item = inner.keys.lease(key);
        item.extend(inner.lease(&lease.token, HELD, until(ttl, now)));
        // Twice, for one that ended between the answer and our look at it.
        for _ in 0..2 {
            let Some(found) = inner.take_lease(item.clone(), now).await? else {
                return Ok(Acquired::Held(lease));
            };
            let until = time(count(&found, "u").unwrap_or(0));
            if bytes(&found, "k") == Some(&lease.token) {
                // It was taken after all, and the answer was lost.
                return Ok(Acquired::Held(lease));
            }
            if until > now {
                return Ok(match string(&found, "o") {
                    Some(UNCACHEABLE) => Acquired::Uncacheable { until },
                    _ => Acquired::Busy { until },
                });
            }
        }
        Err(contended("acquire"))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let inner = &*self.inner;
        let condition = "#k = :k AND #o = :held AND #u > :now";
        inner.change_lease("extend", lease, HELD, until(ttl, now), condition, Some(now)).await
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let inner = &*self.inner;
        match outcome {
            Outcome::Uncacheable(ttl) => {
                let condition = "#k = :k AND #o = :held";
                inner
                    .change_lease("release", lease, UNCACHEABLE, until(ttl, now), condition, None)
                    .await
                    .map(drop)
            }
            _ => {
                let ours = Some(("k", Some(binary(lease.token))));
                inner.delete_if("release", inner.keys.lease(&lease.key), ours).await.map(drop)
            }
        }
    }
}

fn until(ttl: Duration, now: SystemTime) -> u64 {
    millis(now).saturating_add(duration_millis(ttl))
}

impl Inner {
    /// The attributes of a lease: whose, what, until when.
    fn lease(&self, token: &[u8; 16], what: &str, until: u64) -> Item {
        let expires = until.saturating_add(duration_millis(self.skew)).div_ceil(1000);
        Item::from([
            ("k".to_owned(), binary(*token)),
            ("o".to_owned(), AttributeValue::S(what.to_owned())),
            ("u".to_owned(), number(until)),
            (EXPIRES.to_owned(), number(expires)),
        ])
    }

    /// Puts the lease where there is no live one, nor anything that is none; else returns what is there.
    async fn take_lease(&self, item: Item, now: SystemTime) -> Result<Option<Item>> {
        self.open("acquire")?;
        let request = || {
            self.client
                .put_item()
                .table_name(&*self.table)
                .set_item(Some(item.clone()))
                .condition_expression(
                    "attribute_not_exists(#p) OR #u <= :now OR NOT attribute_type(#u, :number)",
                )
                .expression_attribute_names("#p", PK)
                .expression_attribute_names("#u", "u")
                .expression_attribute_values(":now", number(millis(now)))
                .expression_attribute_values(":number", AttributeValue::S("N".to_owned()))
                .return_values_on_condition_check_failure(OnFailure::AllOld)
                .send()
        };
        match persist(request).await {
            Ok(_) => Ok(None),
            Err(cause) => match cause.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(busy)) => {
                    Ok(Some(busy.item.clone().unwrap_or_default()))
                }
                _ => Err(failed("acquire", cause)),
            },
        }
    }

    async fn change_lease(
        &self,
        operation: &'static str,
        lease: &Lease,
        what: &str,
        until: u64,
        condition: &str,
        now: Option<SystemTime>,
    ) -> Result<bool> {
        self.open(operation)?;
        let now = now.map(millis);
        let request = || {
            let expires = until.saturating_add(duration_millis(self.skew)).div_ceil(1000);
            let request = self
                .client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(self.keys.lease(&lease.key)))
                .update_expression("SET #o = :what, #u = :until, #e = :expires")
                .condition_expression(condition)
                .expression_attribute_names("#k", "k")
                .expression_attribute_names("#o", "o")
                .expression_attribute_names("#u", "u")
                .expression_attribute_names("#e", EXPIRES)
                .expression_attribute_values(":k", binary(lease.token))
                .expression_attribute_values(":held", AttributeValue::S(HELD.to_owned()))
                .expression_attribute_values(":what", AttributeValue::S(what.to_owned()))
                .expression_attribute_values(":until", number(until))
                .expression_attribute_values(":expires", number(expires));
            match now {
                Some(now) => request.expression_attribute_values(":now", number(now)),
                None => request,
            }
            .send()
        };
        match persist(request).await {
            Ok(_) => Ok(true),
            Err(cause) => match cause.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(failed(operation, cause)),
            },
        }
    }
}
