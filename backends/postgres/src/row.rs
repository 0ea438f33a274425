//! Values on their way to and from columns.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, Epoch, Frame, Generation, InlineBody, StoredBody, StoredHead, TagDigest, Variant,
    VariantId, Version,
};
use sqlx::{
    Decode, Postgres, Row, Type,
    postgres::{PgArguments, PgRow},
};

pub(crate) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// The largest head that is stored or read back.
pub(crate) const HEAD_MAX: usize = 1024 * 1024;

/// The largest encoded frame that is stored or read back: plaintext, and as much again for its encoding.
pub(crate) const FRAME_MAX: usize = 2 * cache_api::FRAME_SIZE + 4096;

/// The largest encoded inline body that is stored or read back.
pub(crate) const INLINE_ENCODED_MAX: usize = 2 * cache_api::INLINE_MAX + 4096;

/// The most bytes of encoded inline bodies that one lookup reads back.
pub(crate) const INLINE_ENCODED_TOTAL: usize = 2 * cache_api::INLINE_TOTAL + 4096 * cache_api::MAX_VARIANTS;

/// Nanoseconds since 1970, saturating: the years 1677 to 2262.
pub(crate) fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => duration_nanos(after),
        Err(before) => duration_nanos(before.duration()).saturating_neg(),
    }
}

pub(crate) fn duration_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A length as PostgreSQL keeps it.
pub(crate) fn signed(len: impl TryInto<i64>) -> i64 {
    len.try_into().unwrap_or(i64::MAX)
}

/// A column's value; `None` when it is `NULL` or of another type than it should be.
pub(crate) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: usize) -> Option<T> {
    row.try_get::<Option<T>, _>(column).ok().flatten()
}

/// A column that holds a count or a length.
pub(crate) fn unsigned(row: &PgRow, column: usize) -> Option<u64> {
    get::<i64>(row, column).and_then(|n| u64::try_from(n).ok())
}

/// The number in the first row; 0 where there is none.
pub(crate) fn total(rows: &[PgRow], column: usize) -> u64 {
    rows.first().and_then(|row| unsigned(row, column)).unwrap_or(0)
}

/// An epoch is the namespace's random epoch, which `clear` replaces, and the number of its purges by tag.
pub(crate) fn epoch(random: Option<&[u8]>, purges: Option<i64>) -> Epoch {
    let (Some(Ok(random)), Some(purges)) = (random.map(<[u8; 8]>::try_from), purges) else {
        return Epoch::NONE;
    };
    Epoch::from_bytes(
        (u128::from(u64::from_be_bytes(random)) << 64 | u128::from(purges.unsigned_abs())).to_be_bytes(),
    )
}

/// The two parts of an epoch.
pub(crate) fn epoch_parts(epoch: Epoch) -> ([u8; 8], i64) {
    let whole = u128::from_be_bytes(*epoch.as_bytes());
    let random = u64::try_from(whole >> 64).unwrap_or(0).to_be_bytes();
    (random, i64::try_from(whole & u128::from(u64::MAX)).unwrap_or(i64::MAX))
}

/// The generation in a column; one of a wrong length counts as none, and the next commit mends it.
pub(crate) fn generation(bytes: Option<&[u8]>) -> Generation {
    bytes.and_then(|bytes| Generation::try_from_slice(bytes).ok()).unwrap_or(Generation::NONE)
}

/// The columns of a variant, from `at`: variant, body, heads, stored, frames, len, stored_at, dead_at,
/// limit_at, tags, head, inline. `None` when any of them is not what a commit writes.
pub(crate) fn variant(row: &PgRow, at: usize) -> Option<Variant> {
    let columns = Columns {
        variant: get(row, at)?,
        body: get(row, at + 1)?,
        heads: get(row, at + 2)?,
        stored: get(row, at + 3),
        frames: get(row, at + 4),
        len: get(row, at + 5)?,
        stored_at: get(row, at + 6)?,
        dead_at: get(row, at + 7)?,
        limit: get(row, at + 8)?,
        tags: get(row, at + 9)?,
        head: get(row, at + 10)?,
        inline: get(row, at + 11),
    };
    columns.variant()
}

/// What the columns of a variant hold: each is of its type, and no more than that.
#[derive(Clone, Debug)]
struct Columns<'r> {
    variant: &'r [u8],
    body: &'r [u8],
    heads: i64,
    stored: Option<i64>,
    frames: Option<i64>,
    len: i64,
    stored_at: i64,
    dead_at: i64,
    limit: i64,
    tags: &'r [u8],
    head: &'r [u8],
    inline: Option<&'r [u8]>,
}

impl Columns<'_> {
    fn variant(self) -> Option<Variant> {
        let id = VariantId::try_from_slice(self.variant).ok()?;
        let body = BodyId::try_from_slice(self.body).ok()?;
        let version = Version { body, head: u32::try_from(self.heads).ok()? };
        let len = u64::try_from(self.len).ok()?;
        let limit = time(self.limit);
        let head = StoredHead::from_bytes(Bytes::copy_from_slice(self.head));
        let body = match self.stored {
            Some(_) => {
                let frames = u32::try_from(self.frames?).ok().filter(|frames| *frames > 0)?;
                Body::Stored(StoredBody { id: body, frames, len, limit })
            }
            None => {
                let frame = Frame::from_bytes(Bytes::copy_from_slice(self.inline?));
                Body::Inline(InlineBody { id: body, frame, len })
            }
        };
        // The caller knows the resource; a variant does not carry it.
        let key = cache_api::CacheKey::from_bytes([0; 32]);
        let entry = cache_api::Entry::new(key, id, head, time(self.stored_at), time(self.dead_at));
        Some(Variant::new(entry.with_tags(tags(self.tags)?), body, version.head, limit))
    }
}

/// The tags of a variant, which lie end to end in one column.
fn tags(bytes: &[u8]) -> Option<Vec<TagDigest>> {
    let (tags, rest) = bytes.as_chunks::<16>();
    rest.is_empty().then(|| tags.iter().copied().map(TagDigest::from_bytes).collect())
}

/// The same column, to be written.
pub(crate) fn tag_column(tags: &[TagDigest]) -> Vec<u8> {
    tags.iter().flat_map(|tag| *tag.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn times_survive_to_the_nanosecond_and_saturate() {
        for nanos_in in [0, 1, -1, 1_700_000_000_123_456_789, i64::MAX] {
            assert_eq!(nanos(time(nanos_in)), nanos_in);
        }
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(nanos(far), i64::MAX);
    }

    #[test]
    fn an_epoch_comes_apart_into_its_parts() {
        let parts = ([1, 2, 3, 4, 5, 6, 7, 8], 9);
        assert_eq!(epoch_parts(epoch(Some(&parts.0), Some(parts.1))), parts);
        assert_eq!(epoch(Some(&[1]), Some(1)), Epoch::NONE);
    }

    #[test]
    fn tags_lie_end_to_end() {
        let tag = TagDigest::from_bytes([0xab; 16]);
        assert_eq!(tags(&tag_column(&[tag, tag])), Some(vec![tag, tag]));
        assert_eq!(tags(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn any_columns_are_a_variant_or_none(
            id in prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 0..40)],
            body in prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 0..40)],
            [heads, len, stored_at, dead_at, limit] in any::<[i64; 5]>(),
            (stored, frames) in any::<(Option<i64>, Option<i64>)>(),
            tags in vec(any::<u8>(), 0..80),
            inline in any::<Option<Vec<u8>>>(),
            sane in any::<bool>(),
        ) {
            // Half of them are right in what is rarely so by chance.
            let low = |n: i64| if sane { n & 0xffff } else { n };
            let columns = Columns {
                variant: &id,
                body: &body,
                heads: low(heads),
                stored,
                frames: frames.map(low),
                len: low(len),
                stored_at,
                dead_at,
                limit,
                tags: if sane { &tags[..tags.len() & !15] } else { &tags },
                head: b"head",
                inline: inline.as_deref(),
            };
            let (expected_len, expected_tags) = (columns.len, columns.tags.to_vec());
            let Some(found) = columns.variant() else { return Ok(()) };
            prop_assert_eq!(found.id.as_bytes(), &id[..]);
            prop_assert_eq!(found.version.body.as_bytes(), &body[..]);
            prop_assert!(found.body.frames() > 0);
            prop_assert_eq!(signed(found.body.len()), expected_len);
            prop_assert_eq!(tag_column(&found.tags), expected_tags);
            prop_assert_eq!((found.stored_at, found.limit), (time(stored_at), time(limit)));
            prop_assert_eq!(found.dead_at, time(dead_at).min(time(limit)));
        }

        #[test]
        fn any_epoch_and_generation_are_read(random in vec(any::<u8>(), 0..20), purges: Option<i64>) {
            let whole = epoch(Some(&random), purges);
            prop_assert!(whole == Epoch::NONE || random.len() == 8);
            let found = generation(Some(&random));
            prop_assert!(found == Generation::NONE || found.as_bytes()[..] == random[..]);
        }
    }
}
