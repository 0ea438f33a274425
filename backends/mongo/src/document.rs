//! A resource's document, as it is read back.

use std::time::SystemTime;

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Entry, Frame, Generation, INLINE_MAX, INLINE_TOTAL, InlineBody, MAX_VARIANTS,
    Record, StoredBody, StoredHead, TagDigest, Ticket, Variant, VariantId, Version,
};
use mongodb::bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::schema::{time, unhex};

/// The largest encoded head that is stored or read back.
pub(crate) const HEAD_MAX: usize = 1024 * 1024;

/// The largest encoded inline body that is stored or read back: plaintext, and as much again for its encoding.
pub(crate) const INLINE_ENCODED_MAX: usize = 2 * INLINE_MAX + 4096;

/// How many retired bodies a document may have before the next commit is made to tidy it up.
const RETIRED_MAX: usize = 32;

/// A resource's document: its record, and what else a change must know.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Random, and another with each change of what is here, but for bodies that are begun.
    pub(crate) revision: i64,
    pub(crate) record: Record,
    /// Bodies that were begun: until when they can be committed.
    pub(crate) pending: Vec<(BodyId, i64)>,
    /// Bodies that were let go: until when they are readable.
    pub(crate) retired: Vec<(BodyId, i64)>,
    /// Names of variants that no commit wrote.
    pub(crate) garbage: Vec<String>,
    /// When the server deletes it, in milliseconds.
    pub(crate) gone: i64,
}

/// What is under a resource's name.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    Sane(Seen),
    /// Something that this crate did not write; its revision, for a compare-and-set.
    Garbage(Option<Bson>),
}

/// Which parts of a document a query asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Without inline bodies.
    Heads,
    /// Without heads either: such a record serves for removing alone.
    Outline,
}

impl Found {
    pub(crate) fn of(document: Option<RawDocumentBuf>, part: Part) -> Self {
        let Some(document) = document else { return Self::Absent };
        let bytes = Bytes::from(document.into_bytes());
        let Ok(document) = RawDocument::from_bytes(&bytes) else { return Self::Garbage(None) };
        match seen(document, &bytes, part) {
            Some(seen) => Self::Sane(seen),
            None => {
                let revision =
                    document.get("rev").ok().flatten().and_then(|value| Bson::try_from(value).ok());
                Self::Garbage(revision)
            }
        }
    }
}

impl Seen {
    /// What a ticket's lookup saw, where that was the whole document.
    pub(crate) fn of_ticket(ticket: &Ticket, revision: i64) -> Self {
        Self {
            revision,
            record: Record::from_parts(ticket.generation(), ticket.variants(), None),
            pending: Vec::new(),
            retired: Vec::new(),
            garbage: Vec::new(),
            gone: 0,
        }
    }

    /// Whether a lookup returns the whole of it, so that a ticket knows all there is to know.
    pub(crate) fn is_plain(&self, now: SystemTime) -> bool {
        let inline = |v: &Variant| if let Body::Inline(body) = &v.body { body.len } else { 0 };
        self.garbage.is_empty()
            && self.retired.len() <= RETIRED_MAX
            && self.record.variants().iter().all(|v| v.is_live(now))
            && self.record.variants().iter().map(inline).fold(0, u64::saturating_add) <= INLINE_TOTAL as u64
    }
}

/// The name of a document, where it is text.
pub(crate) fn name(document: &RawDocument) -> Option<&str> {
    document.get_str("_id").ok()
}

fn seen(document: &RawDocument, bytes: &Bytes, part: Part) -> Option<Seen> {
    let revision = document.get_i64("rev").ok().filter(|revision| *revision != 0)?;
    let generation = Generation::try_from_slice(document.get_binary("g").ok()?.bytes).ok()?;
    document.get_array("t").ok()?;
    // What an index does not find is none of ours.
    let namespace = document.get_str("n").ok()?;
    name(document)?.strip_prefix(namespace)?.strip_prefix(':')?;
    let heads = part_of(document, "h", part != Part::Outline)?;
    let inline = part_of(document, "i", part == Part::All)?;
    let mut variants = Vec::new();
    let mut garbage = Vec::new();
    for element in document.get_document("v").ok()? {
        let (id, value) = element.ok()?;
        match variant(id.as_str(), value, heads, inline, bytes) {
            Some(variant) if variants.len() < MAX_VARIANTS => variants.push(variant),
            _ => garbage.push(id.as_str().to_owned()),
        }
    }
    Some(Seen {
        revision,
        record: Record::from_parts(generation, variants, None),
        pending: bodies(document, "p")?,
        retired: bodies(document, "q")?,
        garbage,
        gone: document.get_datetime("gone").ok()?.timestamp_millis(),
    })
}

/// A part of the document; `Some(None)` where it was not asked for.
fn part_of<'a>(document: &'a RawDocument, name: &str, asked: bool) -> Option<Option<&'a RawDocument>> {
    if asked { document.get_document(name).ok().map(Some) } else { Some(None) }
}

/// Bodies and an instant for each. A name that is none is passed over.
fn bodies(document: &RawDocument, name: &str) -> Option<Vec<(BodyId, i64)>> {
    let mut bodies = Vec::new();
    for element in document.get_document(name).ok()? {
        let (id, until) = element.ok()?;
        if let (Some(id), Some(until)) = (unhex(id.as_str()), until.as_i64()) {
            bodies.push((BodyId::from_bytes(id), until));
        }
    }
    Some(bodies)
}

/// One variant; `None` when any of it is not what a commit writes.
fn variant(
    name: &str,
    value: RawBsonRef<'_>,
    heads: Option<&RawDocument>,
    inline: Option<&RawDocument>,
    bytes: &Bytes,
) -> Option<Variant> {
    let id = VariantId::from_bytes(unhex(name)?);
    let value = value.as_document()?;
    let integer = |name: &str| value.get_i64(name).ok();
    let body = BodyId::try_from_slice(value.get_binary("b").ok()?.bytes).ok()?;
    let version = Version { body, head: u32::try_from(integer("c")?).ok()? };
    let frames = u32::try_from(integer("f")?).ok()?;
    let len = u64::try_from(integer("n")?).ok()?;
    let limit = time(integer("l")?);
    let (tags, rest) = value.get_binary("t").ok()?.bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return None;
    }
    let tags: Vec<_> = tags.iter().copied().map(TagDigest::from_bytes).collect();
    let head = match heads {
        Some(heads) => part_bytes(heads, name, bytes, HEAD_MAX)?,
        None => Bytes::new(),
    };
    let body = match (frames, inline) {
        (0, _) if len > INLINE_MAX as u64 => return None,
        (0, Some(inline)) => {
            let frame = Frame::from_bytes(part_bytes(inline, name, bytes, INLINE_ENCODED_MAX)?);
            Body::Inline(InlineBody { id: body, frame, len })
        }
        (0, None) => Body::Inline(InlineBody { id: body, frame: Frame::from_bytes(Bytes::new()), len }),
        (frames, _) => Body::Stored(StoredBody { id: body, frames, len, limit }),
    };
    // The key stands in the document's name.
    let key = CacheKey::from_bytes([0; 32]);
    let head = StoredHead::from_bytes(head);
    let entry = Entry::new(key, id, head, time(integer("s")?), time(integer("d")?)).with_tags(tags);
    Some(Variant::new(entry, body, version.head, limit))
}

/// Bytes of the document that share its memory.
fn part_bytes(part: &RawDocument, name: &str, bytes: &Bytes, max: usize) -> Option<Bytes> {
    let found = part.get_binary(name).ok()?.bytes;
    (found.len() <= max).then(|| bytes.slice_ref(found))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, Document, doc};
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::schema::binary;

    /// A document as commits write it, of that many variants: the first of frames, the others inline.
    fn document(variants: u8) -> Document {
        let (mut v, mut h, mut i) = (Document::new(), Document::new(), Document::new());
        for number in 0..variants {
            let id = VariantId::from_bytes([number; 16]).to_string();
            let frames = if number == 0 { 3_i64 } else { 0 };
            v.insert(
                id.clone(),
                doc! {
                    "b": binary(&[7; 16]), "c": 2_i64, "f": frames, "n": 100_i64, "l": 9_000_i64,
                    "t": binary(&[5; 32]), "s": 1_000_i64, "d": 8_000_i64,
                },
            );
            h.insert(id.clone(), binary(b"head"));
            if frames == 0 {
                i.insert(id, binary(b"body"));
            }
        }
        doc! {
            "_id": "default:00", "n": "default", "rev": 5_i64, "g": binary(&[3; 16]), "t": [binary(&[5; 16])],
            "next": 8_000_i64, "gone": DateTime::from_millis(1), "v": v, "h": h, "i": i,
            "p": { BodyId::from_bytes([1; 16]).to_string(): 5_i64 }, "q": {},
        }
    }

    fn raw(document: &Document) -> Vec<u8> {
        RawDocumentBuf::try_from(document).unwrap().into_bytes()
    }

    /// Reads each part of what may be a document, and says how many variants the whole has.
    fn read(bytes: &[u8]) -> Result<usize, TestCaseError> {
        let mut variants = 0;
        for part in [Part::Outline, Part::Heads, Part::All] {
            let Ok(document) = RawDocumentBuf::from_bytes(bytes.to_vec()) else { return Ok(0) };
            let Found::Sane(seen) = Found::of(Some(document), part) else { return Ok(0) };
            prop_assert!(seen.revision != 0);
            variants = seen.record.variants().len();
            prop_assert!(variants <= MAX_VARIANTS);
            for variant in seen.record.variants() {
                prop_assert!(variant.body.frames() > 0 && variant.dead_at <= variant.limit);
                if let Body::Inline(body) = &variant.body {
                    prop_assert!(body.len <= INLINE_MAX as u64);
                }
            }
        }
        Ok(variants)
    }

    #[test]
    fn what_is_written_is_read() {
        for variants in [0, 1, 3] {
            assert_eq!(read(&raw(&document(variants))).unwrap(), usize::from(variants));
        }
        let more = u8::try_from(MAX_VARIANTS).unwrap() + 3;
        assert_eq!(read(&raw(&document(more))).unwrap(), MAX_VARIANTS);
    }

    fn value() -> impl Strategy<Value = Bson> {
        let leaf = prop_oneof![
            Just(Bson::Null),
            any::<bool>().prop_map(Bson::Boolean),
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            any::<f64>().prop_map(Bson::Double),
            any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
            "\\PC{0,20}".prop_map(Bson::String),
            vec(any::<u8>(), 0..40).prop_map(|bytes| binary(&bytes)),
        ];
        leaf.prop_recursive(2, 20, 4, |inner| {
            let names = "[a-z0-9]{1,32}";
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Bson::Array),
                vec((names, inner), 0..4).prop_map(|pairs| Bson::Document(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_read_or_garbage(
            variants in 0..4_u8,
            damage in vec((any::<Index>(), any::<u8>()), 1..4),
            cut in any::<Option<Index>>(),
        ) {
            let mut bytes = raw(&document(variants));
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            // Behind a length that is right, or nothing would be looked at.
            if let Some(cut) = cut {
                bytes.truncate(5 + cut.index(bytes.len()));
            }
            let len = i32::try_from(bytes.len()).unwrap();
            bytes.splice(..4, len.to_le_bytes());
            *bytes.last_mut().unwrap() = 0;
            read(&bytes)?;
        }

        #[test]
        fn fields_of_other_values_are_read_or_garbage(at: Index, inner: Index, whole: bool, value in value()) {
            let mut document = document(2);
            let name = at.get(&document.keys().cloned().collect::<Vec<_>>()).clone();
            match document.get_mut(&name) {
                Some(Bson::Document(part)) if !whole && !part.is_empty() => {
                    let name = inner.get(&part.keys().cloned().collect::<Vec<_>>()).clone();
                    match part.get_mut(&name) {
                        Some(Bson::Document(variant)) => {
                            let name = inner.get(&variant.keys().cloned().collect::<Vec<_>>()).clone();
                            variant.insert(name, value);
                        }
                        _ => drop(part.insert(name, value)),
                    }
                }
                _ => drop(document.insert(name, value)),
            }
            read(&raw(&document))?;
        }
    }
}
