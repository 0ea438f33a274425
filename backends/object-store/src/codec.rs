//! The bytes of our small objects: a magic word, a checksum over the rest, then fields one after another.

use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BufMut as _, Bytes};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before the fields: the magic word and the checksum.
const START: usize = 12;

/// Writes fields.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(magic: [u8; 4], capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(START + capacity);
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(&[0; 8]);
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.put_u32(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.put_u64(value);
    }

    /// A number of things of which there are never as many as an `u32` counts.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn counted(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes(bytes);
    }

    /// Exact from 1970 on.
    pub(crate) fn time(&mut self, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.u64(since.as_secs());
        self.u32(since.subsec_nanos());
    }

    pub(crate) fn finish(mut self) -> Bytes {
        let (start, rest) = self.0.split_at_mut(START);
        let checksum = xxh3_64(rest).to_be_bytes();
        for (to, from) in start.iter_mut().skip(4).zip(checksum) {
            *to = from;
        }
        self.0.into()
    }
}

/// Reads fields; each is `None` where the bytes end before it does.
pub(crate) struct Reader(Bytes);

impl Reader {
    /// `None` unless the bytes begin with `magic`, and are what the checksum was made of.
    pub(crate) fn new(magic: [u8; 4], mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < START || bytes.split_to(4) != magic[..] {
            return None;
        }
        let checksum = bytes.get_u64();
        (xxh3_64(&bytes) == checksum).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<Bytes> {
        (len <= self.0.len()).then(|| self.0.split_to(len))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.as_ref().try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of things, at most `max`.
    pub(crate) fn count(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.u32()?).ok().filter(|count| *count <= max)
    }

    /// Bytes with their number before them, at most `max`.
    pub(crate) fn counted(&mut self, max: usize) -> Option<Bytes> {
        let len = self.count(max)?;
        self.bytes(len)
    }

    pub(crate) fn time(&mut self) -> Option<SystemTime> {
        let (seconds, nanos) = (self.u64()?, self.u32()?);
        if nanos >= 1_000_000_000 {
            return None;
        }
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
    }

    /// That nothing is left over.
    pub(crate) fn finish(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_back() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        let mut writer = Writer::new(*b"TEST", 0);
        writer.u8(7);
        writer.u64(1 << 40);
        writer.time(time);
        writer.counted(b"abc");
        let bytes = writer.finish();
        let mut reader = Reader::new(*b"TEST", bytes.clone()).unwrap();
        assert_eq!((reader.u8(), reader.u64(), reader.time()), (Some(7), Some(1 << 40), Some(time)));
        assert_eq!(reader.counted(3).as_deref(), Some(&b"abc"[..]));
        assert_eq!(reader.u8(), None);
        reader.finish().unwrap();
        assert!(Reader::new(*b"REST", bytes.clone()).is_none());
        for index in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[index] ^= 0x10;
            assert!(Reader::new(*b"TEST", damaged.into()).is_none(), "byte {index}");
            assert!(Reader::new(*b"TEST", bytes.slice(..index)).is_none(), "cut to {index}");
        }
    }

    #[test]
    fn counts_are_bounded() {
        let mut writer = Writer::new(*b"TEST", 0);
        writer.u32(u32::MAX);
        let bytes = writer.finish();
        assert_eq!(Reader::new(*b"TEST", bytes.clone()).unwrap().counted(usize::MAX), None);
        assert_eq!(Reader::new(*b"TEST", bytes).unwrap().count(10), None);
    }
}
