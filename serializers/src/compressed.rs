use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use cache_api::{Codec, Envelope, Error, ErrorKind, Head, Place, Result, Serializer};

use crate::corrupt;

/// zstd's own default.
const LEVEL: i32 = 3;
/// A frame has a quarter of that, and the stores take encoded heads of 1 MiB.
const MAX_DECOMPRESSED: u32 = 1024 * 1024 + 4096;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// What saves less than one byte in so many is left as it is: reading it would cost more than keeping it.
const WORTH: usize = 16;

/// Compresses what another serializer wrote, by zstd, each head and frame on its own.
///
/// What compression does not make at least a sixteenth smaller is stored as it is, with 17 bytes around it: bodies that
/// are compressed already cost the attempt (a frame of 256 KiB about 0.15 ms at level 3) and no more room.
///
/// Reading allocates no more than [`with_max_decompressed`](Self::with_max_decompressed) says, whatever the stored bytes
/// claim, and what does not decompress to exactly the length beside it is [`ErrorKind::Corrupt`].
///
/// What was stored without `Compressed` is read as `inner` reads it, so that compression may be turned on over a full
/// store: it promises no protection, and `inner` refuses what is none of its own. Turned off again, the compressed entries
/// are misses.
///
/// The work is done where it is called: a frame of 256 KiB of text takes about 2 ms to compress at level 3, and
/// 0.4 ms to decompress. Under a cipher it belongs inside, as ciphertext does not compress; then the length of an entry
/// tells how well its content compressed, which matters where an attacker can place text next to a secret in the same head
/// or frame and sees the lengths in the store.
///
/// ```text
/// header    0, and the payload is what the other serializer wrote; or 1 and the length as u32, little-endian, of what
///           the payload decompresses to
/// ```
///
/// ```
/// use cache_api::CborSerializer;
/// use cache_serializers::Compressed;
///
/// let serializer = Compressed::new(CborSerializer::new()).with_level(9)?;
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Compressed<S> {
    inner: S,
    level: i32,
    max_decompressed: u32,
}

impl<S: Serializer> Compressed<S> {
    /// Compresses what `inner` writes.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, level: LEVEL, max_decompressed: MAX_DECOMPRESSED }
    }

    /// How hard to try, from 1 (fast) to 22 (small), 3 by default; -7 to -1 are faster still. Any of them reads
    /// what another one wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for 0, and outside of -7 to 22.
    pub fn with_level(mut self, level: i32) -> Result<Self> {
        if level == 0 || !(-7..=22).contains(&level) {
            return Err(Error::new(ErrorKind::Config, "compression")
                .with_message(format!("no level of zstd: {level}; use 1 to 22, or -7 to -1")));
        }
        self.level = level;
        Ok(self)
    }

    /// How many bytes a head or frame may decompress to; 1 MiB and 4 KiB by default: above every frame, and above every
    /// head that the stores take.
    ///
    /// What is larger is written uncompressed. A compressed one that is larger is refused as
    /// [`ErrorKind::Corrupt`]: lowering the bound makes such entries misses.
    #[must_use]
    pub fn with_max_decompressed(mut self, bytes: u32) -> Self {
        self.max_decompressed = bytes;
        self
    }

    fn compress(&self, place: &Place, content: Bytes) -> Result<Bytes> {
        let small = match u32::try_from(content.len()) {
            Ok(len) if len <= self.max_decompressed => Some((len, self.attempt(&content)?)),
            _ => None,
        };
        match small {
            Some((len, compressed)) if compressed.len() < content.len() - content.len() / WORTH => {
                let mut header = BytesMut::with_capacity(5);
                header.put_u8(ZSTD);
                header.put_u32_le(len);
                Envelope::new(Codec::ZSTD, compressed.into()).with_header(header.freeze()).seal(place)
            }
            _ => Envelope::new(Codec::ZSTD, content).with_header(Bytes::from_static(&[PLAIN])).seal(place),
        }
    }

    fn attempt(&self, content: &[u8]) -> Result<Vec<u8>> {
        zstd::bulk::compress(content, self.level)
            .map_err(|e| Error::new(ErrorKind::Other, "encode").with_source(e))
    }

    fn decompress(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        if Envelope::codec_of(&bytes) != Some(Codec::ZSTD) {
            return Ok(bytes);
        }
        let Envelope { header, payload, .. } = Envelope::open(bytes, Codec::ZSTD, place)?;
        let claimed = match *header {
            [PLAIN] => return Ok(payload),
            [ZSTD, l0, l1, l2, l3] => u32::from_le_bytes([l0, l1, l2, l3]),
            _ => return Err(corrupt("compressed by another release")),
        };
        if claimed > self.max_decompressed {
            return Err(corrupt(format!(
                "it would decompress to {claimed} bytes, {} are allowed",
                self.max_decompressed
            )));
        }
        let content = zstd::bulk::decompress(&payload, claimed as usize)
            .map_err(|e| corrupt("it does not decompress").with_source(e))?;
        if content.len() != claimed as usize {
            return Err(corrupt("it decompresses to another length"));
        }
        Ok(content.into())
    }
}

#[async_trait]
impl<S: Serializer> Serializer for Compressed<S> {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        self.compress(place, self.inner.encode_head(place, head).await?)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        self.inner.decode_head(place, self.decompress(place, bytes)?).await
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        self.compress(place, self.inner.encode_frame(place, plaintext).await?)
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        self.inner.decode_frame(place, self.decompress(place, bytes)?).await
    }
}
