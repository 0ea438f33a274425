//! Attribute values and times, to the table and back.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;

/// An item, or the key of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The largest instant that is kept, in milliseconds: the year 287,396.
const MILLIS_MAX: u64 = (1 << 53) - 1;

/// Milliseconds since 1970, saturating; a part of one counts for nothing.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, duration_millis)
}

pub(crate) fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(MILLIS_MAX).min(MILLIS_MAX)
}

pub(crate) fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// An instant as it is kept.
pub(crate) fn whole(instant: SystemTime) -> SystemTime {
    time(millis(instant))
}

pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes.into()))
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What an item's number is, when it is a whole one that is not negative.
pub(crate) fn count(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(crate) fn bytes<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    Some(item.get(name)?.as_b().ok()?.as_ref())
}

/// The bytes of a fixed length.
pub(crate) fn fixed<const N: usize>(item: &Item, name: &str) -> Option<[u8; N]> {
    bytes(item, name)?.try_into().ok()
}

pub(crate) fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The bytes, taken out of the item.
pub(crate) fn take(item: &mut Item, name: &str) -> Option<Bytes> {
    match item.remove(name)? {
        AttributeValue::B(blob) => Some(Bytes::from(blob.into_inner())),
        _ => None,
    }
}

/// About how large DynamoDB counts an item.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::M(item) => 3 + item.len() + size(item),
        // Nothing else is written.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_milliseconds_and_saturate() {
        assert_eq!(millis(time(1_700_000_000_123)), 1_700_000_000_123);
        assert_eq!(millis(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(duration_millis(Duration::MAX), MILLIS_MAX);
        assert_eq!(whole(time(5) + Duration::from_nanos(999)), time(5));
    }

    #[test]
    fn a_value_of_another_type_is_none() {
        let item = Item::from([
            ("n".to_owned(), AttributeValue::N("-1".to_owned())),
            ("s".to_owned(), AttributeValue::S("7".to_owned())),
            ("b".to_owned(), binary([1, 2])),
        ]);
        assert_eq!((count(&item, "n"), count(&item, "s"), count(&item, "b")), (None, None, None));
        assert_eq!((fixed::<3>(&item, "b"), fixed::<2>(&item, "b")), (None, Some([1, 2])));
        assert_eq!((string(&item, "b"), string(&item, "s")), (None, Some("7")));
    }
}
