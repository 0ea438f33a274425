use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use super::row::{Row, corrupt};
use crate::{CborSerializer, Codec, Envelope, Error, ErrorKind, Head, Place, Result, Serializer};

/// Heads in [MessagePack](https://msgpack.org), for what reads the store and knows that format; frames as the default
/// serializer writes them.
///
/// A head takes about as much room as in CBOR: choose it for its readers. It is an array of the default serializer's
/// elements, in their order, behind the 16 bytes of the [`Envelope`]; header fields and selectors are a byte string each.
/// Times are kept in microseconds.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MessagePackSerializer;

impl MessagePackSerializer {
    /// The serializer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// How deep what a later release appends may be nested. A head itself is two levels deep.
const MAX_DEPTH: usize = 32;

#[async_trait]
impl Serializer for MessagePackSerializer {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        let mut payload = Vec::with_capacity(512);
        rmp_serde::encode::write(&mut payload, &Row::of(head)?)
            .map_err(|e| Error::new(ErrorKind::Other, "encode").with_source(e))?;
        Envelope::new(Codec::MESSAGEPACK, payload.into()).seal(place)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        let envelope = Envelope::open(bytes, Codec::MESSAGEPACK, place)?;
        let mut payload = &*envelope.payload;
        // By a reader and not by the slice, which would not tell what is left over. It allocates what it reads, not
        // what a length claims.
        let mut deserializer = rmp_serde::Deserializer::new(&mut payload);
        deserializer.set_max_depth(MAX_DEPTH);
        let row = Row::deserialize(&mut deserializer)
            .map_err(|e| Error::new(ErrorKind::Corrupt, "decode").with_source(e))?;
        if !payload.is_empty() {
            return Err(corrupt("bytes after the head"));
        }
        row.head()
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        CborSerializer::new().encode_frame(place, plaintext).await
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        CborSerializer::new().decode_frame(place, bytes).await
    }
}
