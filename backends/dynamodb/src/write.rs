//! Replacing a record, with all that goes with it: one conditional write, or one transaction.

use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::{
        put_item::PutItemError, transact_write_items::TransactWriteItemsError, update_item::UpdateItemError,
    },
    types::{
        AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure as OnFailure,
        TransactWriteItem, Update,
    },
};
use bytes::Bytes;
use cache_api::{BodyId, CacheKey, ErrorKind, Result};

use crate::{
    attribute::{Item, binary, number},
    error::{error, failed, is_invalid, is_passing},
    request::{again, persist},
    row::{Form, Row},
    schema::{EXPIRES, key_of, small},
    storage::Inner,
};

/// What a write came to.
#[derive(Debug)]
pub(crate) enum Wrote {
    Done,
    /// The record is not as it was thought to be; this is what it is, where DynamoDB said so.
    Lost(Option<Item>),
    /// The record was, but the body to be committed is not pending any more.
    BodyGone,
}

/// What is written of the record, and on which condition.
#[derive(Clone, Debug)]
pub(crate) struct RecordWrite {
    pub(crate) key: Item,
    /// The whole item, or what of it changes.
    pub(crate) what: What,
    pub(crate) condition: String,
    pub(crate) names: Vec<(&'static str, String)>,
    pub(crate) values: Vec<(&'static str, AttributeValue)>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Whole(Item),
    Changed(String),
}

/// What goes with it, all or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// A body that goes beside the record, and until when it must be there, in milliseconds.
    pub(crate) beside: Option<(BodyId, Bytes, u64)>,
    /// A pending body that is committed, and until when at least it is needed, in milliseconds.
    pub(crate) commit: Option<(BodyId, u64)>,
    /// A body beside the record that is needed for longer than was thought, and until when, in milliseconds.
    pub(crate) prolong: Option<(BodyId, u64)>,
    pub(crate) let_go: Vec<LetGo>,
}

/// A body that the record lets go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LetGo {
    pub(crate) body: BodyId,
    pub(crate) form: Form,
    /// Until when it stays readable, in milliseconds.
    pub(crate) until: u64,
}

impl RecordWrite {
    /// The whole record, where it still has the stamp that was read.
    pub(crate) fn whole(inner: &Inner, key: &CacheKey, old: &Row, item: Item) -> Self {
        let (condition, names, values) = match (&old.stamp, old.present) {
            (Some(stamp), _) => ("#c = :c", ("#c", "c"), Some((":c", stamp.clone()))),
            // Something of another's lies there.
            (None, true) => ("attribute_not_exists(#c)", ("#c", "c"), None),
            (None, false) => ("attribute_not_exists(#c)", ("#c", crate::schema::PK), None),
        };
        Self {
            key: inner.keys.record(key),
            what: What::Whole(item),
            condition: condition.to_owned(),
            names: vec![(names.0, names.1.to_owned())],
            values: values.into_iter().collect(),
        }
    }
}

impl Inner {
    pub(crate) async fn write(
        &self,
        operation: &'static str,
        key: &CacheKey,
        record: RecordWrite,
        effects: Effects,
    ) -> Result<Wrote> {
        self.open(operation)?;
        let Effects { beside, commit, prolong, let_go } = effects;
        let mut items = Vec::new();
        let form = |cause: BuildError| error(ErrorKind::Other, operation).with_source(cause);
        if let Some((body, until)) = commit {
            items.push(self.committed(&body, key, until).map_err(form)?);
        }
        if let Some((body, bytes, until)) = beside {
            items.push(self.put_beside(key, &body, &bytes, until).map_err(form)?);
        }
        if let Some((body, until)) = prolong {
            items.push(self.prolonged(key, &body, until).map_err(form)?);
        }
        for gone in let_go {
            match gone.form {
                Form::Within => {}
                Form::Beside => items.push(self.drop_beside(key, &gone.body).map_err(form)?),
                Form::Stored => items.push(self.retired(&gone, key).map_err(form)?),
            }
        }
        if items.is_empty() {
            return self.write_alone(operation, record).await;
        }
        let changed = matches!(record.what, What::Changed(_));
        items.insert(0, record.into_transaction(&self.table).map_err(form)?);
        self.transact(operation, items, commit.is_some(), changed).await
    }

    /// Without anything that goes with it, a record is half as dear.
    async fn write_alone(&self, operation: &'static str, record: RecordWrite) -> Result<Wrote> {
        let RecordWrite { key, what, condition, names, values } = record;
        let names: std::collections::HashMap<_, _> =
            names.into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
        let values: Item = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let values = Some(values).filter(|values| !values.is_empty());
        match what {
            What::Whole(item) => {
                let request = || {
                    self.client
                        .put_item()
                        .table_name(&*self.table)
                        .set_item(Some(item.clone()))
                        .condition_expression(&condition)
                        .set_expression_attribute_names(Some(names.clone()))
                        .set_expression_attribute_values(values.clone())
                        .return_values_on_condition_check_failure(OnFailure::AllOld)
                        .send()
                };
                let Err(cause) = persist(request).await else { return Ok(Wrote::Done) };
                match cause.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                        Ok(Wrote::Lost(lost.item.clone()))
                    }
                    _ => Err(failed(operation, cause)),
                }
            }
            What::Changed(expression) => {
                let request = || {
                    self.client
                        .update_item()
                        .table_name(&*self.table)
                        .set_key(Some(key.clone()))
                        .update_expression(&expression)
                        .condition_expression(&condition)
                        .set_expression_attribute_names(Some(names.clone()))
                        .set_expression_attribute_values(values.clone())
                        .return_values_on_condition_check_failure(OnFailure::AllOld)
                        .send()
                };
                let Err(cause) = persist(request).await else { return Ok(Wrote::Done) };
                match cause.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                        Ok(Wrote::Lost(lost.item.clone()))
                    }
                    _ if is_invalid(&cause) => Ok(Wrote::Lost(None)),
                    _ => Err(failed(operation, cause)),
                }
            }
        }
    }

    async fn transact(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
        commits: bool,
        changed: bool,
    ) -> Result<Wrote> {
        let request = || self.client.transact_write_items().set_transact_items(Some(items.clone())).send();
        let cause = match again(request, is_passing_transaction).await {
            Ok(_) => return Ok(Wrote::Done),
            Err(cause) => cause,
        };
        let reasons = reasons(&cause);
        if let Some(reason) = reasons.first().filter(|reason| is_failed_check(reason)) {
            return Ok(Wrote::Lost(reason.item.clone()));
        }
        // The second is the body that is committed.
        if commits && reasons.get(1).is_some_and(is_failed_check) {
            return Ok(Wrote::BodyGone);
        }
        let invalid = |reason: &CancellationReason| reason.code() == Some("ValidationError");
        if changed && reasons.first().is_some_and(invalid) {
            return Ok(Wrote::Lost(None));
        }
        Err(failed(operation, cause))
    }

    fn committed(&self, body: &BodyId, key: &CacheKey, until: u64) -> Result<TransactWriteItem, BuildError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(self.keys.body(body)))
            .update_expression("SET #s = :committed, #u = :until, #k = :key")
            .condition_expression("#s = :pending")
            .expression_attribute_names("#s", "s")
            .expression_attribute_names("#u", "u")
            .expression_attribute_names("#k", "k")
            .expression_attribute_values(":pending", State::Pending.value())
            .expression_attribute_values(":committed", State::Committed.value())
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":key", binary(*key.as_bytes()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// No condition: a body that was swept meanwhile is no reason not to let it go.
    fn retired(&self, gone: &LetGo, key: &CacheKey) -> Result<TransactWriteItem, BuildError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(self.keys.body(&gone.body)))
            .update_expression("SET #s = :retired, #u = :until, #k = :key, #e = if_not_exists(#e, :expires)")
            .expression_attribute_names("#s", "s")
            .expression_attribute_names("#u", "u")
            .expression_attribute_names("#k", "k")
            .expression_attribute_names("#e", EXPIRES)
            .expression_attribute_values(":retired", State::Retired.value())
            .expression_attribute_values(":until", number(gone.until))
            .expression_attribute_values(":key", binary(*key.as_bytes()))
            .expression_attribute_values(":expires", self.expires(gone.until))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put_beside(
        &self,
        key: &CacheKey,
        body: &BodyId,
        bytes: &Bytes,
        until: u64,
    ) -> Result<TransactWriteItem, BuildError> {
        let mut item = key_of(self.keys.resource(key), small(body));
        item.insert("d".to_owned(), binary(bytes.to_vec()));
        item.insert(EXPIRES.to_owned(), self.expires(until));
        let put = Put::builder().table_name(&*self.table).set_item(Some(item)).build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn prolonged(&self, key: &CacheKey, body: &BodyId, until: u64) -> Result<TransactWriteItem, BuildError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key_of(self.keys.resource(key), small(body))))
            .update_expression("SET #e = :expires")
            .expression_attribute_names("#e", EXPIRES)
            .expression_attribute_values(":expires", self.expires(until))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn drop_beside(&self, key: &CacheKey, body: &BodyId) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(key_of(self.keys.resource(key), small(body))))
            .build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

impl RecordWrite {
    fn into_transaction(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let Self { key, what, condition, names, values } = self;
        let names = Some(names.into_iter().map(|(name, of)| (name.to_owned(), of)).collect());
        let values: Item = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let values = Some(values).filter(|values| !values.is_empty());
        let item = TransactWriteItem::builder();
        Ok(match what {
            What::Whole(whole) => item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(whole))
                    .condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
            What::Changed(expression) => item.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .update_expression(expression)
                    .condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
        }
        .build())
    }
}

/// What a body's place in the index of bodies says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Begun.
    Pending,
    /// A record names it, or did.
    Committed,
    /// Readable for the grace.
    Retired,
    /// A sweep has claimed it.
    Swept,
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::Committed, Self::Retired, Self::Swept];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Committed => "committed",
            Self::Retired => "retired",
            Self::Swept => "swept",
        }
    }

    pub(crate) fn value(self) -> AttributeValue {
        AttributeValue::S(self.name().to_owned())
    }
}

fn reasons(cause: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match cause.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

fn is_failed_check(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// Cancelled by nothing but others that were there at the moment, or a lack of capacity.
fn is_passing_transaction(cause: &SdkError<TransactWriteItemsError>) -> bool {
    const PASSING: [&str; 3] = ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];
    let reasons = reasons(cause);
    if reasons.is_empty() {
        return is_passing(cause);
    }
    reasons.iter().filter_map(CancellationReason::code).any(|code| PASSING.contains(&code))
}
