use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use cache_api::{Codec, Envelope, Error, ErrorKind, Head, Place, Result, Serializer};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::{Keyring, corrupt, keyring::Derived};

const VERSION: u8 = 1;
const NONCE: usize = 24;
const PURPOSE: &str = "cache-serializers 2026-11 XChaCha20-Poly1305";

/// Encrypts what another serializer wrote, by XChaCha20-Poly1305 with a random nonce for each head and frame.
///
/// Each is bound to its [`Place`], so that whoever can write the store cannot change it, put it in the place of another
/// (namespace, resource, variant, body, frame), cut the body off or turn its frames around, nor put there what is not
/// encrypted. He can remove entries and put an older head of the same body back.
///
/// Lengths are not hidden, nor is what the store keeps beside heads and frames: digests of keys and tags, times.
///
/// An entry takes 61 bytes more a head and frame. The work is done where it is called: a frame of 256 KiB takes about
/// 0.3 ms, either way.
///
/// ```text
/// header    version 1, key id as u32 little-endian, nonce of 24 bytes
/// payload   ciphertext, tag of 16 bytes
/// ```
///
/// ```
/// use cache_api::CborSerializer;
/// use cache_serializers::{Encrypted, Key, Keyring};
///
/// let serializer = Encrypted::new(CborSerializer::new(), &Keyring::new(7, Key::random()?));
/// assert_eq!(format!("{serializer:?}"), "Encrypted { inner: CborSerializer, keys: [7] }");
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Debug)]
pub struct Encrypted<S> {
    inner: S,
    keys: Derived<XChaCha20Poly1305>,
}

impl<S: Serializer> Encrypted<S> {
    /// Encrypts what `inner` writes, with the first key of the keyring; decrypts with any of them.
    #[must_use]
    pub fn new(inner: S, keyring: &Keyring) -> Self {
        let cipher = |key: &crate::Key| XChaCha20Poly1305::new((&*key.derive(PURPOSE)).into());
        Self { inner, keys: keyring.derive(cipher) }
    }

    fn encrypt(&self, place: &Place, plaintext: &[u8]) -> Result<Bytes> {
        let (id, cipher) = self.keys.writing()?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| Error::new(ErrorKind::Other, "random").with_source(e))?;
        let aad = &associated_data(place, id);
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
            .map_err(|_| Error::new(ErrorKind::Other, "encode").with_message("too long to encrypt"))?;
        let mut header = BytesMut::with_capacity(1 + 4 + NONCE);
        header.put_u8(VERSION);
        header.put_u32_le(id);
        header.put_slice(&nonce);
        Envelope::new(Codec::XCHACHA20_POLY1305, ciphertext.into()).with_header(header.freeze()).seal(place)
    }

    fn decrypt(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        let envelope = Envelope::open(bytes, Codec::XCHACHA20_POLY1305, place)?;
        let Some((&[VERSION, i0, i1, i2, i3], nonce)) = envelope.header.split_first_chunk() else {
            return Err(corrupt("encrypted by another release"));
        };
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| corrupt("encrypted by another release"))?;
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        let aad = &associated_data(place, id);
        let plaintext = self
            .keys
            .reading(id)?
            .decrypt(&XNonce::from(nonce), Payload { msg: &envelope.payload, aad })
            .map_err(|_| {
                corrupt(format!("key {id} does not decrypt it: another key, changed, or from another place"))
            })?;
        Ok(plaintext.into())
    }
}

/// All that the ciphertext is bound to. What comes before the place has a fixed length.
fn associated_data(place: &Place, id: u32) -> Vec<u8> {
    let mut data = vec![Codec::XCHACHA20_POLY1305.number(), VERSION];
    data.put_u32_le(id);
    data.extend_from_slice(&place.to_bytes());
    data
}

#[async_trait]
impl<S: Serializer> Serializer for Encrypted<S> {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        self.encrypt(place, &self.inner.encode_head(place, head).await?)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        self.inner.decode_head(place, self.decrypt(place, bytes)?).await
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        self.encrypt(place, &self.inner.encode_frame(place, plaintext).await?)
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        self.inner.decode_frame(place, self.decrypt(place, bytes)?).await
    }
}
