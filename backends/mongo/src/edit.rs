//! Changes of a resource's document: compare-and-set of what changed, never of the whole.

use std::time::SystemTime;

use bytes::Bytes;
use cache_api::{Body, BodyId, CacheKey, Epoch, Generation, Record, Result, TagDigest, Variant, VariantId};
use mongodb::bson::{Bson, Document, doc};

use crate::{
    bodies,
    document::{Found, Part, Seen},
    schema::{binary, duration_nanos, nanos, tag_array},
    storage::Inner,
};

/// How often a change is tried again that others came before.
pub(crate) const TRIES: u32 = 40;

/// What a commit brings of a variant.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) variant: VariantId,
    pub(crate) head: Bytes,
    /// An inline body.
    pub(crate) inline: Option<Bytes>,
    /// Whether its stored body was begun as such, and must not have been swept.
    pub(crate) begun: Option<BodyId>,
}

impl Inner {
    /// Makes the document of that record, if nobody changed it since; lets go of the bodies that it loses.
    pub(crate) async fn replace(
        &self,
        key: &CacheKey,
        seen: &Seen,
        record: &Record,
        written: Option<&Written>,
        now: SystemTime,
    ) -> Result<bool> {
        let lost = lost_bodies(seen, record);
        let mut filter = doc! { "_id": self.names.resource(key), "rev": seen.revision };
        if let Some(body) = written.and_then(|written| written.begun) {
            filter.insert(format!("p.{body}"), doc! { "$exists": true });
        }
        let update = self.update(seen, record, &lost, written, now)?;
        let store = self.store().await?;
        let changed = self.run("replace", store.resources.update_one(filter, update)).await?;
        if changed.matched_count == 0 {
            return Ok(false);
        }
        bodies::retire(self, &lost, now).await;
        Ok(true)
    }

    fn update(
        &self,
        seen: &Seen,
        record: &Record,
        lost: &[BodyId],
        written: Option<&Written>,
        now: SystemTime,
    ) -> Result<Document> {
        let variants = record.variants();
        let mut set = self.shell(record.generation(), variants, now)?;
        let mut unset = Document::new();
        if variants.is_empty() {
            for part in ["v", "h", "i"] {
                set.insert(part, Document::new());
            }
        } else {
            let gone = seen.record.variants().iter().filter(|old| !variants.iter().any(|v| v.id == old.id));
            let gone = gone.map(|old| old.id.to_string());
            for name in gone.chain(seen.garbage.iter().filter(|name| is_plain(name)).cloned()) {
                for part in ["v", "h", "i"] {
                    unset.insert(format!("{part}.{name}"), "");
                }
            }
        }
        if let Some(written) = written
            && let Some(variant) = variants.iter().find(|v| v.id == written.variant)
        {
            let old = seen.record.variants().iter().find(|v| v.id == written.variant);
            let kept = old.is_some_and(|old| old.version.body == variant.version.body);
            put(&mut set, &mut unset, variant, written, kept);
        }
        let due = nanos(now).saturating_sub(duration_nanos(self.times.skew));
        let over = |(body, until): &(BodyId, i64)| (*until < due).then(|| body.to_string());
        unset.extend(seen.retired.iter().filter_map(over).map(|body| (format!("q.{body}"), "".into())));
        unset.extend(seen.pending.iter().filter_map(over).map(|body| (format!("p.{body}"), "".into())));
        for body in lost {
            unset.remove(format!("q.{body}"));
            set.insert(format!("q.{body}"), self.times.retired(now));
        }
        Ok(if unset.is_empty() {
            doc! { "$set": set }
        } else {
            doc! { "$set": set, "$unset": unset }
        })
    }

    /// What every change sets. The document is kept for as long as anything of it lives, and as its generation
    /// can be asked for.
    fn shell(&self, generation: Generation, variants: &[Variant], now: SystemTime) -> Result<Document> {
        let dead_at = variants.iter().map(|v| nanos(v.dead_at));
        let gone = dead_at.clone().max().unwrap_or(i64::MIN).max(self.times.remembered(now));
        let mut tags: Vec<&TagDigest> = variants.iter().flat_map(|v| v.tags.iter()).collect();
        tags.sort_unstable();
        tags.dedup();
        Ok(doc! {
            "rev": revision()?,
            "g": binary(generation.as_bytes()),
            "t": tag_array(tags),
            "next": dead_at.min().unwrap_or(i64::MAX),
            "gone": self.times.gone(gone),
        })
    }

    /// A document without variants, of that generation.
    pub(crate) fn empty(&self, key: &CacheKey, generation: Generation, now: SystemTime) -> Result<Document> {
        let mut document = doc! { "_id": self.names.resource(key), "n": self.names.namespace().as_str() };
        document.extend(self.shell(generation, &[], now)?);
        for part in ["v", "h", "i", "p", "q"] {
            document.insert(part, Document::new());
        }
        Ok(document)
    }

    /// Puts an empty document of a new generation in the place of what this crate did not write; `false` when
    /// something else is there by now.
    pub(crate) async fn mend(&self, key: &CacheKey, found: Option<Bson>, now: SystemTime) -> Result<bool> {
        self.report_garbage(key);
        let revision = found.map_or_else(|| doc! { "$exists": false }, |found| doc! { "$eq": found });
        let filter = doc! { "_id": self.names.resource(key), "rev": revision };
        let empty = self.empty(key, Generation::random()?, now)?;
        let store = self.store().await?;
        let empty = mongodb::bson::RawDocumentBuf::try_from(&empty)
            .map_err(|cause| crate::error::failed("mend", cause.into()))?;
        Ok(self.run("mend", store.resources.replace_one(filter, empty)).await?.matched_count > 0)
    }

    /// Reads a resource's document.
    pub(crate) async fn find(&self, key: &CacheKey, part: Part, operation: &'static str) -> Result<Found> {
        let store = self.store().await?;
        let find = store.resources.find_one(doc! { "_id": self.names.resource(key) });
        let find = match projection(part) {
            Some(projection) => find.projection(projection),
            None => find,
        };
        Ok(Found::of(self.run(operation, find).await?, part))
    }
}

/// What a query leaves away.
pub(crate) fn projection(part: Part) -> Option<Document> {
    match part {
        Part::All => None,
        Part::Heads => Some(doc! { "i": 0 }),
        Part::Outline => Some(doc! { "i": 0, "h": 0 }),
    }
}

/// A new revision.
pub(crate) fn revision() -> Result<i64> {
    loop {
        let [a, b, c, d, e, f, g, h, ..] = *Epoch::random()?.as_bytes();
        let revision = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        if revision != 0 {
            return Ok(revision);
        }
    }
}

/// Waits a little, and longer the more often others came before.
pub(crate) async fn back_off(tried: u32) -> Result<()> {
    let [random, ..] = *Epoch::random()?.as_bytes();
    let most = 1_u64 << tried.min(6);
    let wait = std::time::Duration::from_millis(1 + u64::from(random) * most / 256);
    tokio::time::sleep(wait).await;
    Ok(())
}

/// The stored bodies that the record has no more.
fn lost_bodies(seen: &Seen, record: &Record) -> Vec<BodyId> {
    let kept = |body: BodyId| record.variants().iter().any(|v| v.version.body == body);
    let stored = seen.record.variants().iter().filter_map(|v| match &v.body {
        Body::Stored(body) => Some(body.id),
        Body::Inline(_) => None,
    });
    stored.filter(|body| !kept(*body)).collect()
}

/// Whether it can stand in the path of a field.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('$') && !name.contains('.')
}

fn put(set: &mut Document, unset: &mut Document, variant: &Variant, written: &Written, kept: bool) {
    let id = variant.id;
    let tags: Vec<u8> = variant.tags.iter().flat_map(|tag| *tag.as_bytes()).collect();
    let head = i64::from(variant.version.head);
    let (stored_at, dead_at) = (nanos(variant.stored_at), nanos(variant.dead_at));
    // Garbage may have had its name.
    for part in ["v", "h", "i"] {
        unset.remove(format!("{part}.{id}"));
    }
    set.insert(format!("h.{id}"), binary(&written.head));
    if kept {
        set.insert(format!("v.{id}.c"), head);
        set.insert(format!("v.{id}.s"), stored_at);
        set.insert(format!("v.{id}.d"), dead_at);
        set.insert(format!("v.{id}.t"), binary(&tags));
        return;
    }
    let frames = match &variant.body {
        Body::Inline(_) => 0,
        Body::Stored(body) => i64::from(body.frames),
    };
    let value = doc! {
        "b": binary(variant.version.body.as_bytes()),
        "c": head,
        "f": frames,
        "n": i64::try_from(variant.body.len()).unwrap_or(i64::MAX),
        "s": stored_at,
        "d": dead_at,
        "l": nanos(variant.limit),
        "t": binary(&tags),
    };
    set.insert(format!("v.{id}"), value);
    match &written.inline {
        Some(inline) => drop(set.insert(format!("i.{id}"), binary(inline))),
        None => drop(unset.insert(format!("i.{id}"), "")),
    }
    if let Some(body) = written.begun {
        unset.insert(format!("p.{body}"), "");
    }
}
