use async_trait::async_trait;
use bytes::Bytes;

use super::row::{Row, corrupt};
use crate::{Codec, Envelope, Error, ErrorKind, Head, Place, Result, Serializer};

/// The default serializer: heads in CBOR, frames as they are, each in a checksummed [`Envelope`].
///
/// Times are kept in microseconds.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CborSerializer;

impl CborSerializer {
    /// The serializer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Serializer for CborSerializer {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        let mut payload = Vec::with_capacity(512);
        ciborium::into_writer(&Row::of(head)?, &mut payload)
            .map_err(|e| Error::new(ErrorKind::Other, "encode").with_source(e))?;
        Envelope::new(Codec::CBOR, payload.into()).seal(place)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        let envelope = Envelope::open(bytes, Codec::CBOR, place)?;
        let mut payload = &*envelope.payload;
        let row: Row = ciborium::from_reader(&mut payload)
            .map_err(|e| Error::new(ErrorKind::Corrupt, "decode").with_source(e))?;
        if !payload.is_empty() {
            return Err(corrupt("bytes after the head"));
        }
        row.head()
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        Envelope::new(Codec::RAW, plaintext).seal(place)
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        Ok(Envelope::open(bytes, Codec::RAW, place)?.payload)
    }
}
