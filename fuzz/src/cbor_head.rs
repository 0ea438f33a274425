//! The heads of [`CborSerializer`]: what is read is written and read again alike.

use bytes::Bytes;
use cache_api::{CborSerializer, Codec, Envelope};

use crate::place::{self, reads_alike};

/// Reads the bytes as they are, and in an envelope whose checksum is right.
pub fn run(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let sealed = Envelope::new(Codec::CBOR, payload.clone()).seal(&place::head()).unwrap();
    reads_alike(&CborSerializer::new(), [payload, sealed]);
}
