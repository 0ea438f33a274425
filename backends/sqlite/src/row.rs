//! Values on their way to and from columns.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, Epoch, Frame, Generation, InlineBody, StoredBody, StoredHead, TagDigest, Variant,
    VariantId, Version,
};
use sqlx::{
    Decode, Row, Sqlite, Type,
    sqlite::{SqliteArguments, SqliteRow},
};

/// A whole transaction as one statement: one hop to the connection's thread and back.
///
/// Parameters are `$n`, which each of the statements may use: `?n` would leave gaps that sqlx fills.
macro_rules! transaction {
    ($($sql:literal),+ $(,)?) => { concat!("BEGIN IMMEDIATE;\n", $($sql, ";\n",)+ "COMMIT") };
}
pub(crate) use transaction;

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// The largest head that is stored or read back.
pub(crate) const HEAD_MAX: usize = 1024 * 1024;

/// The largest encoded frame that is stored or read back: plaintext, and as much again for its encoding.
pub(crate) const FRAME_MAX: usize = 2 * cache_api::FRAME_SIZE + 4096;

/// The largest encoded inline body that is stored or read back.
pub(crate) const INLINE_ENCODED_MAX: usize = 2 * cache_api::INLINE_MAX + 4096;

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

/// A length as SQLite keeps it.
pub(crate) fn signed(len: impl TryInto<i64>) -> i64 {
    len.try_into().unwrap_or(i64::MAX)
}

/// A column's value; `None` when it is `NULL` or of another type than it should be.
pub(crate) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: usize) -> Option<T> {
    row.try_get::<Option<T>, _>(column).ok().flatten()
}

/// The bytes of a column, where they are: SQLite allocated them for this row alone.
pub(crate) struct Blob {
    pub(crate) row: SqliteRow,
    pub(crate) column: usize,
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        get(&self.row, self.column).unwrap_or_default()
    }
}

/// A column that holds a count or a length.
pub(crate) fn unsigned(row: &SqliteRow, column: usize) -> Option<u64> {
    get::<i64>(row, column).and_then(|n| u64::try_from(n).ok())
}

/// The number that an aggregate query answers with; 0 where it answers nothing.
pub(crate) fn total(rows: &[SqliteRow], column: usize) -> u64 {
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
pub(crate) fn variant(row: &SqliteRow, at: usize) -> Option<Variant> {
    let id = VariantId::try_from_slice(get(row, at)?).ok()?;
    let body = BodyId::try_from_slice(get(row, at + 1)?).ok()?;
    let version = Version { body, head: u32::try_from(get::<i64>(row, at + 2)?).ok()? };
    let stored: Option<i64> = get(row, at + 3);
    let len = unsigned(row, at + 5)?;
    let limit = time(get(row, at + 8)?);
    let tags = tags(get(row, at + 9)?)?;
    let head = StoredHead::from_bytes(Bytes::copy_from_slice(get(row, at + 10)?));
    let body = match stored {
        Some(_) => {
            let frames = u32::try_from(get::<i64>(row, at + 4)?).ok().filter(|frames| *frames > 0)?;
            Body::Stored(StoredBody { id: body, frames, len, limit })
        }
        None => {
            let frame = Frame::from_bytes(Bytes::copy_from_slice(get(row, at + 11)?));
            Body::Inline(InlineBody { id: body, frame, len })
        }
    };
    let entry = cache_api::Entry::new(
        cache_api::CacheKey::from_bytes([0; 32]),
        id,
        head,
        time(get(row, at + 6)?),
        time(get(row, at + 7)?),
    );
    Some(Variant::new(entry.with_tags(tags), body, version.head, limit))
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

/// A JSON array of hex digests: how a set of any length is bound as one parameter.
pub(crate) fn tag_set(tags: &[TagDigest]) -> String {
    let mut json = String::with_capacity(2 + 35 * tags.len());
    for tag in tags {
        let _ = write!(json, "{}\"{tag}\"", if json.is_empty() { '[' } else { ',' });
    }
    json.push_str(if json.is_empty() { "[]" } else { "]" });
    json
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
    use sqlx::{Connection as _, SqliteConnection};

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
    fn tag_sets_are_json() {
        let tag = TagDigest::from_bytes([0xab; 16]);
        assert_eq!(tag_set(&[]), "[]");
        let hex = "ab".repeat(16);
        assert_eq!(tag_set(&[tag, tag]), format!("[\"{hex}\",\"{hex}\"]"));
        assert_eq!(tags(&tag_column(&[tag, tag])), Some(vec![tag, tag]));
        assert_eq!(tags(&[1, 2, 3]), None);
    }

    /// What a column of any table may hold, whatever it was declared as.
    #[derive(Clone, Debug)]
    enum Cell {
        Null,
        Integer(i64),
        Real(f64),
        Text(String),
        Blob(Vec<u8>),
    }

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            any::<i64>().prop_map(Cell::Integer),
            any::<f64>().prop_map(Cell::Real),
            "\\PC{0,20}".prop_map(Cell::Text),
            vec(any::<u8>(), 0..40).prop_map(Cell::Blob),
        ]
    }

    /// The columns of a variant as a commit writes them.
    fn columns() -> impl Strategy<Value = Vec<Cell>> {
        (
            any::<([u8; 16], [u8; 16], u32, bool)>(),
            (1..=u32::MAX, 0..=i64::MAX, any::<[i64; 3]>()),
            any::<(Vec<[u8; 16]>, Vec<u8>, Vec<u8>)>(),
        )
            .prop_map(|((id, body, heads, stored), (frames, len, times), (tags, head, inline))| {
                let blob = |bytes: &[u8]| Cell::Blob(bytes.to_vec());
                let (stored, inline) = match stored {
                    true => (Cell::Integer(1), Cell::Null),
                    false => (Cell::Null, blob(&inline)),
                };
                let mut columns = vec![blob(&id), blob(&body), Cell::Integer(heads.into()), stored];
                columns.extend([Cell::Integer(frames.into()), Cell::Integer(len)]);
                columns.extend(times.map(Cell::Integer));
                columns.extend([blob(&tags.concat()), blob(&head), inline]);
                columns
            })
    }

    /// The variant in a row of these cells, as the driver hands them out.
    async fn selected(connection: &mut SqliteConnection, cells: &[Cell]) -> Option<Variant> {
        let mut select = sqlx::query("SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12");
        for cell in cells.iter().cloned() {
            select = match cell {
                Cell::Null => select.bind(None::<i64>),
                Cell::Integer(number) => select.bind(number),
                Cell::Real(number) => select.bind(number),
                Cell::Text(text) => select.bind(text),
                Cell::Blob(bytes) => select.bind(bytes),
            };
        }
        variant(&select.fetch_one(connection).await.unwrap(), 0)
    }

    #[test]
    fn any_row_is_a_variant_or_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let connection = runtime.block_on(SqliteConnection::connect("sqlite::memory:")).unwrap();
        let connection = std::cell::RefCell::new(connection);
        let read = |cells: &[Cell]| runtime.block_on(selected(&mut connection.borrow_mut(), cells));
        let others = vec((any::<Index>(), cell()), 1..3);
        let outcome = TestRunner::default().run(&(columns(), others), |(mut cells, others)| {
            let Some(found) = read(&cells) else { return Err(TestCaseError::fail("it is a variant")) };
            let (Cell::Blob(id), Cell::Blob(tags)) = (&cells[0], &cells[9]) else { unreachable!() };
            prop_assert_eq!(found.id.as_bytes(), &id[..]);
            prop_assert_eq!(&tag_column(&found.tags), tags);
            prop_assert!(found.dead_at <= found.limit);
            for (at, other) in others {
                let at = at.index(cells.len());
                cells[at] = other;
            }
            if let Some(found) = read(&cells) {
                prop_assert!(found.body.frames() > 0 && found.dead_at <= found.limit);
            }
            Ok(())
        });
        outcome.unwrap();
    }
}
