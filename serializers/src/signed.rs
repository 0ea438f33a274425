use async_trait::async_trait;
use blake3::Hash;
use bytes::{BufMut, Bytes, BytesMut};
use cache_api::{Codec, Envelope, Head, Place, Result, Serializer};
use zeroize::{Zeroize, Zeroizing};

use crate::{Key, Keyring, corrupt, keyring::Derived};

const VERSION: u8 = 1;
const PURPOSE: &str = "cache-serializers 2026-11 keyed BLAKE3";

/// Puts beside what another serializer wrote its BLAKE3 hash under a key, for stores that others can write.
///
/// Everyone can read the entry. Only who has the key can write one: as with [`Encrypted`](crate::Encrypted), each head
/// and frame is bound to its [`Place`], and what is not signed is refused. What is encrypted needs no signature beside.
///
/// An entry takes 53 bytes more a head and frame. The work is done where it is called: a frame of 256 KiB takes about
/// 0.15 ms, either way.
///
/// ```text
/// header    version 1, key id as u32 little-endian, hash of 32 bytes
/// payload   what the other serializer wrote
/// ```
///
/// ```
/// use cache_api::CborSerializer;
/// use cache_serializers::{Key, Keyring, Signed};
///
/// let serializer = Signed::new(CborSerializer::new(), &Keyring::new(7, Key::random()?));
/// assert_eq!(format!("{serializer:?}"), "Signed { inner: CborSerializer, keys: [7] }");
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Debug)]
pub struct Signed<S> {
    inner: S,
    keys: Derived<Secret>,
}

type Secret = Box<Zeroizing<[u8; 32]>>;

impl<S: Serializer> Signed<S> {
    /// Signs what `inner` writes, with the first key of the keyring; accepts what any of them signed.
    #[must_use]
    pub fn new(inner: S, keyring: &Keyring) -> Self {
        Self { inner, keys: keyring.derive(|key: &Key| Box::new(key.derive(PURPOSE))) }
    }

    fn sign(&self, place: &Place, content: Bytes) -> Result<Bytes> {
        let (id, key) = self.keys.writing()?;
        let mut header = BytesMut::with_capacity(1 + 4 + 32);
        header.put_u8(VERSION);
        header.put_u32_le(id);
        header.put_slice(hash(key, id, place, &content).as_bytes());
        Envelope::new(Codec::KEYED_BLAKE3, content).with_header(header.freeze()).seal(place)
    }

    fn verify(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        let envelope = Envelope::open(bytes, Codec::KEYED_BLAKE3, place)?;
        let Some((&[VERSION, i0, i1, i2, i3], found)) = envelope.header.split_first_chunk() else {
            return Err(corrupt("signed by another release"));
        };
        let found: [u8; 32] = found.try_into().map_err(|_| corrupt("signed by another release"))?;
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        let expected = hash(self.keys.reading(id)?, id, place, &envelope.payload);
        // `Hash` compares in constant time; arrays do not.
        if Hash::from_bytes(found) != expected {
            return Err(corrupt(format!(
                "the signature of key {id} does not match: another key, changed, or from another place"
            )));
        }
        Ok(envelope.payload)
    }
}

/// The hash of all that an entry is. What has no fixed length has its length before it.
fn hash(key: &Secret, id: u32, place: &Place, content: &[u8]) -> Hash {
    let place = place.to_bytes();
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[Codec::KEYED_BLAKE3.number(), VERSION]);
    hasher.update(&id.to_le_bytes());
    hasher.update(&(place.len() as u64).to_le_bytes());
    hasher.update(&place);
    hasher.update(content);
    let hash = hasher.finalize();
    hasher.zeroize();
    hash
}

#[async_trait]
impl<S: Serializer> Serializer for Signed<S> {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        self.sign(place, self.inner.encode_head(place, head).await?)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        self.inner.decode_head(place, self.verify(place, bytes)?).await
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        self.sign(place, self.inner.encode_frame(place, plaintext).await?)
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        self.inner.decode_frame(place, self.verify(place, bytes)?).await
    }
}
