//! Times and values on their way to and from scripts.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, Entry, Epoch, Error, ErrorKind, Frame, InlineBody, StoredBody, StoredHead,
    TagDigest, Variant, VariantId, Version,
};
use redis::Value;

use crate::{
    error::error,
    schema::{hex, unhex},
};

/// The largest number that Lua holds exactly; as milliseconds, the year 287,396.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Milliseconds since 1970, saturating; a part of one counts for nothing.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, duration_millis)
}

pub(crate) fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NUMBER_MAX).min(NUMBER_MAX)
}

pub(crate) fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// An epoch is the shard's random epoch, and the number of removals there were in it.
pub(crate) fn epoch(random: &[u8], removals: Option<u64>) -> Epoch {
    let (Some(random), Some(removals)) = (unhex::<8>(random), removals) else {
        return Epoch::NONE;
    };
    let [a, b, c, d, e, f, g, h] = random;
    let [i, j, k, l, m, n, o, p] = removals.to_be_bytes();
    Epoch::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

/// The two parts of an epoch.
pub(crate) fn epoch_parts(epoch: Epoch) -> (String, u64) {
    let (random, removals) = epoch.as_bytes().split_at(8);
    let removals = <[u8; 8]>::try_from(removals).map_or(0, u64::from_be_bytes);
    (hex(random), removals.min(NUMBER_MAX))
}

/// The values of an array.
pub(crate) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

/// The bytes of a string; `None` for anything else.
pub(crate) fn bytes(value: &mut Value) -> Option<Bytes> {
    match std::mem::take(value) {
        Value::BulkString(bytes) => Some(Bytes::from(bytes)),
        _ => None,
    }
}

/// The bytes of a string, where they are; none for anything else.
pub(crate) fn text(value: Option<&Value>) -> &[u8] {
    match value {
        Some(Value::BulkString(bytes)) => bytes,
        Some(Value::SimpleString(text)) => text.as_bytes(),
        _ => &[],
    }
}

/// A number, or the digits of one.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        value => digits(text(value)),
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a script of ours never answers.
pub(crate) fn unexpected(operation: &'static str) -> Error {
    error(ErrorKind::Other, operation).with_message("the server's answer is not one of our script's")
}

/// A variant out of its id, meta, head, and inline body. `None` when any of them is not what a commit writes.
pub(crate) fn variant(id: &[u8], meta: &[u8], head: Bytes, inline: Option<Bytes>) -> Option<Variant> {
    let mut parts = std::str::from_utf8(meta).ok()?.split(' ');
    let mut next = || parts.next();
    let body = BodyId::from_bytes(unhex(next()?.as_bytes())?);
    let counter: u32 = next()?.parse().ok()?;
    let kind = next()?;
    let frames: u32 = next()?.parse().ok().filter(|frames| *frames > 0)?;
    let len: u64 = next()?.parse().ok()?;
    let stored_at = time(next()?.parse().ok()?);
    let dead_at = time(next()?.parse().ok()?);
    let limit = time(next()?.parse().ok()?);
    let (_at, _index) = (next()?, next()?);
    let tags = tags(next()?)?;
    let body = match (kind, inline) {
        ("i", Some(frame)) => Body::Inline(InlineBody { id: body, frame: Frame::from_bytes(frame), len }),
        ("i", None) => Body::Stored(StoredBody { id: body, frames: 1, len, limit }),
        ("s", None) => Body::Stored(StoredBody { id: body, frames, len, limit }),
        _ => return None,
    };
    let id = VariantId::from_bytes(unhex(id)?);
    // The caller knows the resource; a variant does not carry it.
    let entry =
        Entry::new(CacheKey::from_bytes([0; 32]), id, StoredHead::from_bytes(head), stored_at, dead_at);
    Some(Variant::new(entry.with_tags(tags), body, counter, limit))
}

/// The version that a commit made, and its `dead_at`.
pub(crate) fn committed(body: BodyId, values: &[Value]) -> Option<(Version, SystemTime)> {
    let head = number(values.get(1)).and_then(|head| u32::try_from(head).ok())?;
    Some((Version { body, head }, time(number(values.get(2))?)))
}

/// Tags lie end to end in hex.
fn tags(hex: &str) -> Option<Vec<TagDigest>> {
    let (tags, rest) = hex.as_bytes().as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    tags.iter().map(|tag| unhex(tag).map(TagDigest::from_bytes)).collect()
}

/// The same, to be written.
pub(crate) fn tag_list(tags: &[TagDigest]) -> String {
    tags.iter().map(|tag| hex(tag.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn times_are_whole_milliseconds_and_saturate() {
        assert_eq!(millis(time(1_700_000_000_123)), 1_700_000_000_123);
        assert_eq!(millis(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(duration_millis(Duration::MAX), NUMBER_MAX);
    }

    #[test]
    fn an_epoch_comes_apart_into_its_parts() {
        let whole = epoch(b"0102030405060708", Some(9));
        assert_eq!(epoch_parts(whole), ("0102030405060708".to_owned(), 9));
        assert_eq!(epoch(b"01", Some(9)), Epoch::NONE);
    }

    #[test]
    fn a_meta_that_no_commit_wrote_is_no_variant() {
        let id = "ab".repeat(16);
        let meta = format!("{id} 3 s 2 300000 1000 2000 3000 0 1 {}", "cd".repeat(32));
        let read = |meta: &str| variant(id.as_bytes(), meta.as_bytes(), Bytes::from_static(b"head"), None);
        let found = read(&meta).unwrap();
        assert_eq!((found.version.head, found.body.frames(), found.tags.len()), (3, 2, 2));
        for cut in 0..meta.len() - 64 {
            assert!(read(&meta[..cut]).is_none(), "{}", &meta[..cut]);
        }
        assert!(read(&meta.replace(" s ", " x ")).is_none());
        assert!(read(&meta.replace(" 2 ", " 0 ")).is_none());
    }

    /// Whatever a server may answer.
    fn answer() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            Just(Value::Okay),
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Boolean),
            any::<f64>().prop_map(Value::Double),
            vec(any::<u8>(), 0..40).prop_map(Value::BulkString),
            "[0-9a-f ]{0,40}".prop_map(|text| Value::BulkString(text.into_bytes())),
            "\\PC{0,40}".prop_map(Value::SimpleString),
        ];
        leaf.prop_recursive(3, 48, 8, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::Array),
                vec(inner.clone(), 0..8).prop_map(Value::Set),
                vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(answer in answer()) {
            let mut parts = array(answer);
            let _ = committed(BodyId::from_bytes([1; 16]), &parts);
            let whole = epoch(text(parts.first()), number(parts.get(1)));
            prop_assert!(whole == Epoch::NONE || text(parts.first()).len() == 16);
            let (id, meta) = (text(parts.first()).to_vec(), text(parts.get(1)).to_vec());
            let head = parts.get_mut(2).and_then(bytes).unwrap_or_default();
            let inline = parts.get_mut(3).and_then(bytes);
            if let Some(found) = variant(&id, &meta, head, inline) {
                prop_assert!(found.body.frames() > 0);
            }
        }

        #[test]
        fn a_meta_is_read_as_it_was_written(
            (id, body, tags) in any::<([u8; 16], [u8; 16], Vec<[u8; 16]>)>(),
            (counter, frames, len) in (any::<u32>(), 1..=u32::MAX, any::<u64>()),
            times in [0..=NUMBER_MAX, 0..=NUMBER_MAX, 0..=NUMBER_MAX],
            inline in any::<Option<Vec<u8>>>(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let tags: Vec<_> = tags.into_iter().map(TagDigest::from_bytes).collect();
            let kind = if inline.is_some() { "i" } else { "s" };
            let [stored_at, dead_at, limit] = times;
            let dead_at = dead_at.min(limit);
            let (hex_id, hex_body, list) = (hex(&id), hex(&body), tag_list(&tags));
            let meta =
                format!("{hex_body} {counter} {kind} {frames} {len} {stored_at} {dead_at} {limit} 0 1 {list}");
            let read = |meta: &[u8]| {
                variant(hex_id.as_bytes(), meta, Bytes::from_static(b"head"), inline.clone().map(Bytes::from))
            };
            let found = read(meta.as_bytes()).unwrap();
            prop_assert_eq!(found.id, VariantId::from_bytes(id));
            prop_assert_eq!(found.version, Version { body: BodyId::from_bytes(body), head: counter });
            let found_times = [found.stored_at, found.dead_at, found.limit];
            prop_assert_eq!(found_times, [stored_at, dead_at, limit].map(time));
            prop_assert_eq!((found.body.len(), found.tags.to_vec()), (len, tags));
            let mut damaged = meta.into_bytes();
            for (at, byte) in damage {
                let at = at.index(damaged.len());
                damaged[at] = byte;
            }
            if let Some(found) = read(&damaged) {
                prop_assert!(found.body.frames() > 0 && found.id == VariantId::from_bytes(id));
            }
        }
    }
}
