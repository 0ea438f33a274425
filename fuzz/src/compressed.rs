//! [`Compressed`]: nothing decompresses beyond the bound, and what was compressed comes back.

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use cache_api::{CborSerializer, Codec, Envelope, Head, Place, Result, Serializer};
use cache_serializers::Compressed;

use crate::place::{self, now};

const MAX: u32 = 64 * 1024;

/// Reads the bytes as the compressed content under each kind of header, and compresses them.
pub fn run(data: &[u8]) {
    let (serializer, place) = (Compressed::new(Plain).with_max_decompressed(MAX), place::frame());
    let written = now(serializer.encode_frame(&place, Bytes::copy_from_slice(data))).unwrap();
    assert_eq!(now(serializer.decode_frame(&place, written)).unwrap(), data);

    let Some((&[kind, l0, l1, l2], payload)) = data.split_first_chunk() else { return };
    let mut header = BytesMut::new();
    header.put_u8(kind % 3);
    if kind < 192 {
        header.put_u32_le(u32::from_le_bytes([l0, l1, l2, 0]));
    } else {
        header.put_slice(&[l0, l1, l2]);
    }
    let envelope = Envelope::new(Codec::ZSTD, Bytes::copy_from_slice(payload)).with_header(header.freeze());
    if let Ok(read) = now(serializer.decode_frame(&place, envelope.seal(&place).unwrap())) {
        assert!(read.len() <= (MAX as usize).max(payload.len()));
    }
}

/// Frames as they are, so that whatever decompresses is seen.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl Serializer for Plain {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        CborSerializer::new().encode_head(place, head).await
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        CborSerializer::new().decode_head(place, bytes).await
    }

    async fn encode_frame(&self, _: &Place, plaintext: Bytes) -> Result<Bytes> {
        Ok(plaintext)
    }

    async fn decode_frame(&self, _: &Place, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }
}
