//! A resource's record: how an item holds what [`Record`] decides on.

use std::time::SystemTime;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Entry, Frame, Generation, InlineBody, MAX_VARIANTS, Record, Result, StoredBody,
    StoredHead, TagDigest, Variant, VariantId,
};

use crate::{
    attribute::{Item, binary, bytes, count, fixed, millis, number, size, string, take, time},
    schema::{EXPIRES, variant_name},
    storage::Inner,
};

/// The largest encoded small body that lies in the record itself. Others lie beside it: a new head costs as much as the
/// whole record.
pub(crate) const WITHIN_MAX: usize = 4 * 1024;

/// How large a record may grow before its oldest variants go. DynamoDB takes 400 KB.
pub(crate) const RECORD_MAX: usize = 350 * 1024;

/// Where a variant's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the record.
    Within,
    /// An item of the record's partition.
    Beside,
    /// Frames, each an item of a partition of its own.
    Stored,
}

/// A variant, and what the table must know of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) variant: Variant,
    pub(crate) form: Form,
    /// Whether its body is here, or is to be read by itself.
    pub(crate) filled: bool,
    /// Its tags and the resource are in their indexes at least until then, in milliseconds.
    pub(crate) registered_until: u64,
    /// Its body is in the table at least until then, in milliseconds.
    pub(crate) body_until: u64,
}

/// A record as it was read, or as it is to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What each write changes; `None` where there is no record.
    pub(crate) stamp: Option<AttributeValue>,
    /// Whether there is an item at all.
    pub(crate) present: bool,
    /// `None` where the item has none that could be read.
    pub(crate) generation: Option<Generation>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) tombstone_until: Option<SystemTime>,
    /// When DynamoDB may delete it, in seconds.
    pub(crate) expires: u64,
    /// How many variants could not be read.
    pub(crate) garbage: u64,
}

impl Row {
    /// What an item holds. A body beside it is empty until it is filled in.
    pub(crate) fn read(item: Option<Item>) -> Self {
        let Some(mut item) = item else {
            return Self { generation: Some(Generation::NONE), ..Self::default() };
        };
        let generation = fixed(&item, "g").map(Generation::from_bytes);
        let (mut kept, mut garbage) = (Vec::new(), u64::from(generation.is_none()));
        let names: Vec<String> = item.keys().filter(|name| name.starts_with('v')).cloned().collect();
        for name in names {
            match item.remove(&name).and_then(|value| variant(&name, value)) {
                Some(variant) => kept.push(variant),
                None => garbage += 1,
            }
        }
        if generation.is_none() {
            kept.clear();
        }
        // A record has them in no order, a resource in that of their age.
        kept.sort_by_key(|kept| (kept.variant.stored_at, kept.variant.id));
        Self {
            tombstone_until: count(&item, "t").map(time),
            expires: count(&item, EXPIRES).unwrap_or(0),
            stamp: item.remove("c"),
            present: true,
            generation,
            kept,
            garbage,
        }
    }

    /// Gives a body that lies beside the record its bytes. `false` where nobody asked for it.
    pub(crate) fn fill(&mut self, body: &str, item: &mut Item) -> bool {
        let wanted =
            |kept: &&mut Kept| kept.form == Form::Beside && kept.variant.version.body.to_string() == body;
        let Some(kept) = self.kept.iter_mut().find(wanted) else { return false };
        let (Body::Inline(inline), Some(bytes)) = (&mut kept.variant.body, take(item, "d")) else {
            return false;
        };
        inline.frame = Frame::from_bytes(bytes);
        !std::mem::replace(&mut kept.filled, true)
    }

    /// The same as a value that has the rules. What cannot be read counts as absent, under a generation that is nobody's.
    pub(crate) fn record(&self) -> Result<Record> {
        let generation = match self.generation {
            Some(generation) => generation,
            None => Generation::random()?,
        };
        let variants: Vec<_> = self.kept.iter().map(|kept| kept.variant.clone()).collect();
        Ok(Record::from_parts(generation, variants, self.tombstone_until))
    }

    /// The row that a changed record becomes: variants whose body was here keep their place, and `new` is another's.
    pub(crate) fn changed(&self, record: &Record, new: Option<&Kept>) -> Self {
        let place = |variant: &Variant| {
            let body = variant.version.body;
            let known = new.into_iter().chain(&self.kept).find(|kept| kept.variant.version.body == body);
            known.map(|kept| Kept { variant: variant.clone(), ..*kept })
        };
        Self {
            generation: Some(record.generation()),
            kept: record.variants().iter().filter_map(place).collect(),
            tombstone_until: record.tombstone_until(),
            ..Self::default()
        }
    }

    pub(crate) fn find(&self, body: &BodyId) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.variant.version.body == *body)
    }

    /// The item to be written, under that stamp.
    pub(crate) async fn item(
        &self,
        inner: &Inner,
        key: &CacheKey,
        stamp: &AttributeValue,
        now: SystemTime,
    ) -> Result<Item> {
        let mut item = inner.keys.record(key);
        item.insert("c".to_owned(), stamp.clone());
        item.insert("g".to_owned(), binary(*self.generation.unwrap_or(Generation::NONE).as_bytes()));
        // As long as a ticket that knows this generation may come, and longer.
        let memory = millis(now).saturating_add(inner.memory());
        let mut until = memory.max(self.tombstone_until.map_or(0, millis));
        if let Some(tombstone) = self.tombstone_until {
            item.insert("t".to_owned(), number(millis(tombstone)));
        }
        for kept in &self.kept {
            until = until.max(kept.registered_until).max(millis(kept.variant.dead_at));
            item.insert(variant_name(&kept.variant.id), AttributeValue::M(kept.attributes().await?));
        }
        item.insert(EXPIRES.to_owned(), inner.expires(until));
        Ok(item)
    }

    /// Lets the oldest variants go until the record is small enough. Their bodies are returned; `None` when `newest`
    /// alone is too large.
    pub(crate) async fn shrink(&mut self, newest: &BodyId) -> Result<Option<Vec<BodyId>>> {
        let mut sizes = Vec::with_capacity(self.kept.len());
        for kept in &self.kept {
            sizes.push((kept.variant.version.body, size(&kept.attributes().await?) + 64));
        }
        let mut total: usize = sizes.iter().map(|(_, size)| size).sum();
        let mut gone = Vec::new();
        while total > RECORD_MAX {
            let others = self.kept.iter().map(|kept| &kept.variant).filter(|v| v.version.body != *newest);
            let Some(oldest) = others.min_by_key(|v| v.stored_at).map(|v| v.version.body) else {
                return Ok(None);
            };
            total -= sizes.iter().find(|(body, _)| *body == oldest).map_or(0, |(_, size)| *size);
            self.kept.retain(|kept| kept.variant.version.body != oldest);
            gone.push(oldest);
        }
        Ok(Some(gone))
    }

    /// The live ones, at most as many as a resource has: writers that knew little of one another may have left more.
    pub(crate) fn bound(&mut self, now: SystemTime) {
        self.kept.retain(|kept| kept.variant.is_live(now));
        let excess = self.kept.len().saturating_sub(MAX_VARIANTS);
        self.kept.drain(..excess);
    }
}

impl Kept {
    /// The attributes of one variant.
    pub(crate) async fn attributes(&self) -> Result<Item> {
        let variant = &self.variant;
        let (form, within) = match (&variant.body, self.form) {
            (Body::Inline(inline), Form::Within) => ("r", Some(inline.frame.bytes().await?.clone())),
            (_, Form::Beside) => ("s", None),
            _ => ("b", None),
        };
        let tags: Vec<u8> = variant.tags.iter().flat_map(|tag| *tag.as_bytes()).collect();
        let mut item = Item::from([
            ("n".to_owned(), binary(*variant.version.body.as_bytes())),
            ("q".to_owned(), number(u64::from(variant.version.head))),
            ("h".to_owned(), binary(variant.head.bytes().await?.to_vec())),
            ("o".to_owned(), AttributeValue::S(form.to_owned())),
            ("f".to_owned(), number(u64::from(variant.body.frames()))),
            ("l".to_owned(), number(variant.body.len())),
            ("s".to_owned(), number(millis(variant.stored_at))),
            ("d".to_owned(), number(millis(variant.dead_at))),
            ("x".to_owned(), number(millis(variant.limit))),
            ("k".to_owned(), number(self.registered_until)),
            ("e".to_owned(), number(self.body_until)),
            ("a".to_owned(), binary(tags)),
        ]);
        if let Some(bytes) = within {
            item.insert("i".to_owned(), binary(bytes.to_vec()));
        }
        Ok(item)
    }
}

/// One variant; `None` when its attributes are not what a commit writes.
fn variant(name: &str, value: AttributeValue) -> Option<Kept> {
    let id = VariantId::from_bytes(crate::schema::unhex(name.strip_prefix('v')?)?);
    let AttributeValue::M(mut item) = value else { return None };
    let body = BodyId::from_bytes(fixed(&item, "n")?);
    let head = u32::try_from(count(&item, "q")?).ok()?;
    let frames = u32::try_from(count(&item, "f")?).ok().filter(|frames| *frames > 0)?;
    let len = count(&item, "l")?;
    let (stored_at, dead_at) = (time(count(&item, "s")?), time(count(&item, "d")?));
    let limit = time(count(&item, "x")?);
    let tags = tags(bytes(&item, "a")?)?;
    let (registered_until, body_until) = (count(&item, "k")?, count(&item, "e")?);
    let (form, body) = match string(&item, "o")? {
        "r" => {
            let frame = Frame::from_bytes(take(&mut item, "i")?);
            (Form::Within, Body::Inline(InlineBody { id: body, frame, len }))
        }
        "s" => {
            let frame = Frame::from_bytes(Bytes::new());
            (Form::Beside, Body::Inline(InlineBody { id: body, frame, len }))
        }
        "b" => (Form::Stored, Body::Stored(StoredBody { id: body, frames, len, limit })),
        _ => return None,
    };
    let bytes = StoredHead::from_bytes(take(&mut item, "h")?);
    // The caller knows the resource; a variant does not carry it.
    let entry = Entry::new(CacheKey::from_bytes([0; 32]), id, bytes, stored_at, dead_at).with_tags(tags);
    let (variant, filled) = (Variant::new(entry, body, head, limit), form != Form::Beside);
    Some(Kept { variant, form, filled, registered_until, body_until })
}

/// Tags lie end to end.
fn tags(bytes: &[u8]) -> Option<Vec<TagDigest>> {
    let (tags, rest) = bytes.as_chunks::<16>();
    rest.is_empty().then(|| tags.iter().copied().map(TagDigest::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::{
        collection::{hash_map, vec},
        prelude::*,
        sample::{Index, select},
    };

    use super::*;

    /// Whatever an attribute may hold.
    fn value() -> impl Strategy<Value = AttributeValue> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(AttributeValue::Bool),
            Just(AttributeValue::Null(true)),
            "\\PC{0,40}".prop_map(AttributeValue::S),
            select(vec!["r", "s", "b"]).prop_map(|form| AttributeValue::S(form.to_owned())),
            "-?[0-9]{1,25}(\\.[0-9])?".prop_map(AttributeValue::N),
            any::<u32>().prop_map(|n| number(n.into())),
            vec(any::<u8>(), 0..40).prop_map(binary),
            any::<[u8; 16]>().prop_map(binary),
        ];
        leaf.prop_recursive(2, 40, 14, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
                hash_map("[a-z]", inner, 0..14).prop_map(AttributeValue::M),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        let known = select(vec!["c", "g", "t", EXPIRES]).prop_map(str::to_owned);
        prop_oneof![
            known,
            any::<[u8; 16]>().prop_map(|id| variant_name(&VariantId::from_bytes(id))),
            "v\\PC{0,8}"
        ]
    }

    fn kept() -> impl Strategy<Value = Kept> {
        (
            any::<([u8; 16], [u8; 16], Vec<[u8; 16]>, Vec<u8>)>(),
            (any::<u32>(), 1..=u32::MAX, any::<u64>()),
            any::<[u32; 5]>(),
            select(vec![Form::Within, Form::Beside, Form::Stored]),
        )
            .prop_map(|((id, body, tags, bytes), (head, frames, len), times, form)| {
                let [stored_at, dead_at, limit, registered_until, body_until] = times.map(u64::from);
                let (limit, body) = (time(limit), BodyId::from_bytes(body));
                let inline =
                    |bytes| Body::Inline(InlineBody { id: body, frame: Frame::from_bytes(bytes), len });
                let body = match form {
                    Form::Within => inline(bytes.into()),
                    Form::Beside => inline(Bytes::new()),
                    Form::Stored => Body::Stored(StoredBody { id: body, frames, len, limit }),
                };
                let bytes = StoredHead::from_bytes(Bytes::from_static(b"head"));
                let id = VariantId::from_bytes(id);
                let entry =
                    Entry::new(CacheKey::from_bytes([0; 32]), id, bytes, time(stored_at), time(dead_at));
                let entry = entry.with_tags(tags.into_iter().map(TagDigest::from_bytes).collect::<Vec<_>>());
                let variant = Variant::new(entry, body, head, limit);
                Kept { variant, form, filled: form != Form::Beside, registered_until, body_until }
            })
    }

    fn attributes(kept: &Kept) -> Item {
        kept.attributes().now_or_never().unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn any_item_is_read_or_counted_as_garbage(item in hash_map(name(), value(), 0..8)) {
            let names = item.keys().filter(|name| name.starts_with('v')).count() as u64;
            let mut row = Row::read(Some(item));
            prop_assert!(row.kept.len() as u64 + row.garbage <= names + 1);
            prop_assert!(row.generation.is_some() || (row.kept.is_empty() && row.garbage > 0));
            let now = time(1_000_000);
            prop_assert!(row.record().unwrap().variants().len() == row.kept.len());
            row.bound(now);
            prop_assert!(row.kept.len() <= MAX_VARIANTS);
            prop_assert!(row.kept.iter().all(|kept| kept.variant.is_live(now)));
        }

        #[test]
        fn a_variant_is_read_as_it_was_written(kept in kept()) {
            let item = attributes(&kept);
            let found = variant(&variant_name(&kept.variant.id), AttributeValue::M(item.clone())).unwrap();
            prop_assert_eq!(attributes(&found), item);
            prop_assert_eq!((found.form, found.filled), (kept.form, kept.filled));
            prop_assert_eq!(found.variant.id, kept.variant.id);
        }

        /// With one attribute of another value it is another variant of that id, or none.
        #[test]
        fn a_damaged_variant_is_that_or_none(kept in kept(), at: Index, value: Option<()>, other in value()) {
            let mut item = attributes(&kept);
            let name = at.get(&item.keys().cloned().collect::<Vec<_>>()).clone();
            match value {
                Some(()) => item.insert(name, other),
                None => item.remove(&name),
            };
            if let Some(found) = variant(&variant_name(&kept.variant.id), AttributeValue::M(item)) {
                prop_assert_eq!(found.variant.id, kept.variant.id);
                prop_assert!(found.variant.body.frames() > 0);
            }
        }
    }
}
