//! The heads of [`CborSerializer`]: what is read is written and read again alike.

use bytes::Bytes;
use cache_api::{CborSerializer, Codec, Envelope, Serializer};

use crate::place::{self, now};

/// Reads the bytes as they are, and in an envelope whose checksum is right.
pub fn run(data: &[u8]) {
    let (serializer, place) = (CborSerializer::new(), place::head());
    let payload = Bytes::copy_from_slice(data);
    let sealed = Envelope::new(Codec::CBOR, payload.clone()).seal(&place).unwrap();
    for bytes in [payload, sealed] {
        let Ok(head) = now(serializer.decode_head(&place, bytes)) else { continue };
        let again = now(serializer.encode_head(&place, &head)).unwrap();
        assert_eq!(now(serializer.decode_head(&place, again)).unwrap(), head);
    }
}
