//! The heads of [`MessagePackSerializer`]: what is read is written and read again alike.

use bytes::Bytes;
use cache_api::{Codec, Envelope, MessagePackSerializer};

use crate::place::{self, reads_alike};

/// Reads the bytes as they are, and in an envelope whose checksum is right.
pub fn run(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let sealed = Envelope::new(Codec::MESSAGEPACK, payload.clone()).seal(&place::head()).unwrap();
    reads_alike(&MessagePackSerializer::new(), [payload, sealed]);
}
