//! Deletes what is dead, for DynamoDB does so days later, and bodies that nobody has only when they reach their limit.

use std::time::SystemTime;

use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, update_item::UpdateItemError},
    types::AttributeValue,
};
use cache_api::{BodyId, CacheKey, Result, Swept};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    alter::Altered,
    attribute::{Item, count, duration_millis, fixed, millis, number, string},
    error::failed,
    listing::{key, registered},
    request::{AT_ONCE, persist},
    row::Row,
    schema::{EXPIRES, PK, SHARDS, key_of, parts, unhex},
    storage::Inner,
    write::State,
};

/// How many registrations, or bodies, a page has.
const PAGE: i32 = 200;

/// How many shards are swept at a time.
const SHARDS_AT_ONCE: usize = 4;

impl Inner {
    pub(crate) async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        // Entries first: their bodies are retired by that.
        let entries = stream::iter(0..SHARDS).map(|shard| self.sweep_entries(shard, now));
        let entries =
            entries.buffer_unordered(SHARDS_AT_ONCE).try_fold(0, async |sum, n| Ok(sum + n)).await?;
        let bodies = stream::iter(0..SHARDS).map(|shard| self.sweep_bodies(shard, now));
        let bodies = bodies.buffer_unordered(SHARDS_AT_ONCE).try_fold(0, async |sum, n| Ok(sum + n)).await?;
        Ok(Swept::new(entries, bodies))
    }

    async fn sweep_entries(&self, shard: u8, now: SystemTime) -> Result<u64> {
        let (pk, mut swept, mut from) = (self.keys.all(shard), 0, None);
        loop {
            let page = self.page("sweep", &pk, from, Some(PAGE)).await?;
            let each = stream::iter(page.items).map(|item| self.sweep_entry(item, now));
            swept += each.buffer_unordered(AT_ONCE).try_fold(0, async |sum, n| Ok(sum + n)).await?;
            from = page.next;
            if from.is_none() {
                return Ok(swept);
            }
        }
    }

    /// One resource: its dead variants, and all of it where nothing is left that counts.
    async fn sweep_entry(&self, registration: Item, now: SystemTime) -> Result<u64> {
        let Some(key) = key(&registration) else { return Ok(0) };
        let row = Row::read(self.get("sweep", self.keys.record(&key)).await?);
        let (mut swept, mut left) = (0, row.present);
        if row.garbage > 0 || row.kept.iter().any(|kept| !kept.variant.is_live(now)) {
            swept = self.sweep_variants(&key, now).await?;
        } else if row.present && row.kept.is_empty() && row.expires.saturating_mul(1000) <= millis(now) {
            let stamp = row.stamp.clone().map(|stamp| ("c", stamp));
            left = !self.delete_as("sweep", self.keys.record(&key), stamp).await?;
        }
        // As long as there is a record, a sweep is to find it.
        if !left && registered(&registration, now).is_none() {
            let expires = registration.get(EXPIRES).cloned().map(|expires| (EXPIRES, expires));
            if let (Some(expires), Some((pk, sk))) = (expires, parts(&registration)) {
                self.delete_as("sweep", key_of(pk, sk), Some(expires)).await?;
            }
        }
        Ok(swept)
    }

    async fn sweep_variants(&self, key: &CacheKey, now: SystemTime) -> Result<u64> {
        let change = |record: &mut cache_api::Record| {
            let (gone, bodies) = record.sweep(now);
            Ok(Altered { gone, bodies, write: gone > 0 })
        };
        self.alter("sweep", key, now, change).await
    }

    async fn sweep_bodies(&self, shard: u8, now: SystemTime) -> Result<u64> {
        let (pk, mut swept, mut from) = (self.keys.bodies(shard), 0, None);
        loop {
            let page = self.page("sweep", &pk, from, Some(PAGE)).await?;
            let due = page.items.into_iter().filter_map(|item| Place::due(&item, now));
            let each = stream::iter(due).map(|place| self.sweep_body(place, now));
            swept += each.buffer_unordered(4).try_fold(0, async |sum, n| Ok(sum + n)).await?;
            from = page.next;
            if from.is_none() {
                return Ok(swept);
            }
        }
    }

    /// Claims a body and deletes its frames. Who commits it claims it, too: one of both comes first.
    async fn sweep_body(&self, place: Place, now: SystemTime) -> Result<u64> {
        let mut counts = 1;
        match place.state {
            State::Pending | State::Retired => {}
            // A sweep was cut off, which counted it.
            State::Swept => counts = 0,
            State::Committed => {
                let row = match &place.key {
                    Some(key) => Row::read(self.get("sweep", self.keys.record(key)).await?),
                    None => Row::read(None),
                };
                if let Some(kept) = row.find(&place.body) {
                    // Its head was replaced by one that lives longer.
                    let grace = duration_millis(self.limits.read_grace);
                    let until = millis(kept.variant.dead_at).saturating_add(grace);
                    if until > millis(now) {
                        self.change_as(&place, State::Committed, until).await?;
                    }
                    return Ok(0);
                }
            }
        }
        if place.state != State::Swept && !self.change_as(&place, State::Swept, place.until).await? {
            return Ok(0);
        }
        self.delete_frames(&place.body).await?;
        self.delete_as("sweep", self.keys.body(&place.body), Some(("s", State::Swept.value()))).await?;
        Ok(counts)
    }

    /// Frames have no gaps: where one is not there, no later one is.
    async fn delete_frames(&self, body: &BodyId) -> Result<()> {
        let mut first = 0_u32;
        loop {
            let last = first.saturating_add(8);
            let frames = stream::iter(first..last).map(|number| {
                let exists = Some((PK, None));
                self.delete_if("sweep", self.keys.frame(body, number), exists)
            });
            let found = frames.buffer_unordered(8).try_fold(0, async |sum, found| Ok(sum + u32::from(found)));
            if found.await? < 8 || last == u32::MAX {
                return Ok(());
            }
            first = last;
        }
    }

    /// Moves a body on, if it is as it was read. `false` where it is not.
    async fn change_as(&self, place: &Place, state: State, until: u64) -> Result<bool> {
        let request = || {
            self.client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(self.keys.body(&place.body)))
                .update_expression("SET #s = :to, #u = :until")
                .condition_expression("#s = :from AND #u = :seen")
                .expression_attribute_names("#s", "s")
                .expression_attribute_names("#u", "u")
                .expression_attribute_values(":from", place.state.value())
                .expression_attribute_values(":seen", number(place.until))
                .expression_attribute_values(":to", state.value())
                .expression_attribute_values(":until", number(until))
                .send()
        };
        match persist(request).await {
            Ok(_) => Ok(true),
            Err(cause) => match cause.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(failed("sweep", cause)),
            },
        }
    }

    /// Deletes an item if that attribute has that value still.
    async fn delete_as(
        &self,
        operation: &'static str,
        key: Item,
        still: Option<(&'static str, AttributeValue)>,
    ) -> Result<bool> {
        self.delete_if(operation, key, still.map(|(name, value)| (name, Some(value)))).await
    }

    /// The same; without a value, if the attribute is there. `false` where that did not hold.
    pub(crate) async fn delete_if(
        &self,
        operation: &'static str,
        key: Item,
        still: Option<(&'static str, Option<AttributeValue>)>,
    ) -> Result<bool> {
        self.open(operation)?;
        let request = || {
            let request = self.client.delete_item().table_name(&*self.table).set_key(Some(key.clone()));
            match &still {
                None => request,
                Some((name, value)) => {
                    let request = request.expression_attribute_names("#a", *name);
                    match value {
                        None => request.condition_expression("attribute_exists(#a)"),
                        Some(value) => request
                            .condition_expression("#a = :a")
                            .expression_attribute_values(":a", value.clone()),
                    }
                }
            }
            .send()
        };
        match persist(request).await {
            Ok(_) => Ok(true),
            Err(cause) => match cause.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(failed(operation, cause)),
            },
        }
    }
}

/// A body's place in the index of bodies.
struct Place {
    body: BodyId,
    state: State,
    until: u64,
    key: Option<CacheKey>,
}

impl Place {
    /// One that may be due; what cannot be read is left to expire.
    fn due(item: &Item, now: SystemTime) -> Option<Self> {
        let name = string(item, "s")?;
        let state = State::ALL.into_iter().find(|state| state.name() == name)?;
        let until = count(item, "u")?;
        let body = BodyId::from_bytes(unhex(parts(item)?.1)?);
        let key = fixed(item, "k").map(CacheKey::from_bytes);
        (until <= millis(now)).then_some(Self { body, state, until, key })
    }
}
