use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{Error, ErrorKind, Part, Place, Result};

/// The frame around encoded content: it says what wrote it, and finds accidental damage.
///
/// ```text
/// 0   magic     "HC"
/// 2   version   1
/// 3   codec     what the payload is
/// 4   part      0 head, 1 frame
/// 5   reserved  0
/// 6   header    length as u16, little-endian
/// 8   checksum  XXH3-64 of all else, seeded with the place, little-endian
/// 16  header    what the codec needs to read the payload: a key id and a nonce for a cipher
/// ..  payload
/// ```
///
/// A checksum is no protection against who can write the store; a signature or a cipher is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub codec: Codec,
    /// What the codec needs to read the payload; at most 65,535 bytes.
    pub header: Bytes,
    /// The content.
    pub payload: Bytes,
}

/// What the payload of an [`Envelope`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec(u8);

impl Codec {
    /// Plain bytes: a frame's plaintext.
    pub const RAW: Self = Self(0);
    /// A head in CBOR.
    pub const CBOR: Self = Self(1);
    /// What another serializer wrote, compressed by zstd or left as it was.
    pub const ZSTD: Self = Self(2);
    /// What another serializer wrote, encrypted by XChaCha20-Poly1305.
    pub const XCHACHA20_POLY1305: Self = Self(3);
    /// What another serializer wrote, beside its BLAKE3 hash under a key.
    pub const KEYED_BLAKE3: Self = Self(4);
    /// A head in MessagePack.
    pub const MESSAGEPACK: Self = Self(5);

    /// A codec of one's own, by a number of 128 or more. Lower numbers are this project's.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] below 128.
    pub fn custom(number: u8) -> Result<Self> {
        if number < 128 {
            return Err(Error::new(ErrorKind::Config, "codec")
                .with_message(format!("codec {number} is reserved: use 128 to 255")));
        }
        Ok(Self(number))
    }

    /// Its number in an [`Envelope`].
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

const MAGIC: [u8; 2] = *b"HC";
const VERSION: u8 = 1;
const FIXED: usize = 16;

impl Envelope {
    /// An envelope without a header.
    #[must_use]
    pub fn new(codec: Codec, payload: Bytes) -> Self {
        Self { codec, header: Bytes::new(), payload }
    }

    /// The same envelope with a header.
    #[must_use]
    pub fn with_header(mut self, header: Bytes) -> Self {
        self.header = header;
        self
    }

    /// The bytes to store at `place`.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the header is longer than 65,535 bytes.
    pub fn seal(&self, place: &Place) -> Result<Bytes> {
        let header_len = u16::try_from(self.header.len()).map_err(|_| {
            Error::new(ErrorKind::Misuse, "encode").with_message("an envelope header over 65,535 bytes")
        })?;
        let mut fixed = [0; 8];
        for (to, from) in fixed.iter_mut().zip(
            MAGIC
                .into_iter()
                .chain([VERSION, self.codec.0, part_number(place.part), 0])
                .chain(header_len.to_le_bytes()),
        ) {
            *to = from;
        }
        let mut bytes = BytesMut::with_capacity(FIXED + self.header.len() + self.payload.len());
        bytes.put_slice(&fixed);
        bytes.put_u64_le(checksum(place, &fixed, &self.header, &self.payload));
        bytes.put_slice(&self.header);
        bytes.put_slice(&self.payload);
        Ok(bytes.freeze())
    }

    /// What `bytes` say that their payload is, if they begin as an envelope of this release. Nothing is checked: ask
    /// [`open`](Envelope::open) whether it is so.
    #[must_use]
    pub fn codec_of(bytes: &[u8]) -> Option<Codec> {
        match *bytes.first_chunk::<4>()? {
            [m0, m1, VERSION, codec] if [m0, m1] == MAGIC => Some(Codec(codec)),
            _ => None,
        }
    }

    /// Opens what [`seal`](Envelope::seal) made for the same place and codec. Nothing is copied.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for anything else.
    pub fn open(mut bytes: Bytes, codec: Codec, place: &Place) -> Result<Self> {
        let corrupt = |message| Error::new(ErrorKind::Corrupt, "decode").with_message(message);
        let Some((fixed, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(corrupt("too short for an envelope"));
        };
        let [m0, m1, version, found, part, reserved, len0, len1] = *fixed;
        if [m0, m1] != MAGIC {
            return Err(corrupt("not an entry of this cache"));
        }
        if version != VERSION || reserved != 0 {
            return Err(corrupt("an envelope of another release"));
        }
        if found != codec.0 || part != part_number(place.part) {
            return Err(corrupt("written by another serializer"));
        }
        let Some((sum, content)) = rest.split_first_chunk::<8>() else {
            return Err(corrupt("too short for an envelope"));
        };
        let header_len = usize::from(u16::from_le_bytes([len0, len1]));
        let Some((header, payload)) = content.split_at_checked(header_len) else {
            return Err(corrupt("too short for its header"));
        };
        if checksum(place, fixed, header, payload) != u64::from_le_bytes(*sum) {
            return Err(corrupt("the checksum does not match: damaged, or from another place"));
        }
        let mut header = bytes.split_off(FIXED);
        let payload = header.split_off(header_len);
        Ok(Self { codec, header, payload })
    }
}

fn part_number(part: Part) -> u8 {
    match part {
        Part::Head => 0,
        Part::Frame { .. } => 1,
    }
}

fn checksum(place: &Place, fixed: &[u8; 8], header: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = Xxh3::with_seed(xxh3_64(&place.to_bytes()));
    hasher.update(fixed);
    hasher.update(header);
    hasher.update(payload);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BodyId, CacheKey, Namespace, VariantId};

    fn place() -> Place {
        let body = BodyId::from_bytes([3; 16]);
        Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body)
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let envelope = Envelope::new(Codec::CBOR, Bytes::from_static(b"payload"))
            .with_header(Bytes::from_static(b"key-1"));
        let sealed = envelope.seal(&place()).unwrap();
        assert_eq!(Envelope::open(sealed.clone(), Codec::CBOR, &place()).unwrap(), envelope);
        assert_eq!(Envelope::codec_of(&sealed), Some(Codec::CBOR));
        assert_eq!(Envelope::codec_of(&sealed[1..]), None);
        assert_eq!(Envelope::codec_of(&sealed[..3]), None);

        assert!(Envelope::open(sealed.clone(), Codec::RAW, &place()).unwrap_err().is_corrupt());
        for len in 0..sealed.len() {
            assert!(Envelope::open(sealed.slice(..len), Codec::CBOR, &place()).unwrap_err().is_corrupt());
        }
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Envelope::open(damaged.into(), Codec::CBOR, &place()).unwrap_err().is_corrupt(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn is_bound_to_its_place() {
        let sealed =
            Envelope::new(Codec::RAW, Bytes::from_static(b"frame")).seal(&place().frame(1, false)).unwrap();
        let elsewhere = [
            place(),
            place().frame(2, false),
            place().frame(1, true),
            Place { key: CacheKey::from_bytes([2; 32]), ..place().frame(1, false) },
            Place { variant: VariantId::from_bytes([2; 16]), ..place().frame(1, false) },
            Place { body: BodyId::from_bytes([2; 16]), ..place().frame(1, false) },
            Place { namespace: Namespace::new("other").unwrap(), ..place().frame(1, false) },
        ];
        for other in elsewhere {
            assert!(
                Envelope::open(sealed.clone(), Codec::RAW, &other).unwrap_err().is_corrupt(),
                "{other:?}"
            );
        }
        assert!(Envelope::open(sealed, Codec::RAW, &place().frame(1, false)).is_ok());
    }

    /// The stored format: a change here makes every stored entry a miss.
    #[test]
    fn golden() {
        let sealed =
            Envelope::new(Codec::RAW, Bytes::from_static(b"x")).seal(&place().frame(0, true)).unwrap();
        let hex: String = sealed.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "48430100010000002e9a1232f8533ab278");
    }
}
