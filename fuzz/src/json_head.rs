//! The heads of [`JsonSerializer`]: what is read is written and read again alike.

use bytes::Bytes;
use cache_api::{JsonSerializer, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::place::{self, now};

/// Reads the bytes as they are, and as the head beside a checksum that is right.
pub fn run(data: &[u8]) {
    let (serializer, place) = (JsonSerializer::new(), place::head());
    let text = String::from_utf8_lossy(data);
    let head = text.trim_matches([' ', '\t', '\r', '\n']);
    let checksum = xxh3_64_with_seed(head.as_bytes(), xxh3_64(&place.to_bytes()));
    let sealed = format!(r#"{{"format":"http-cache/1","checksum":"{checksum:016x}","head":{head}}}"#);
    for bytes in [Bytes::copy_from_slice(data), sealed.into()] {
        let Ok(head) = now(serializer.decode_head(&place, bytes)) else { continue };
        let again = now(serializer.encode_head(&place, &head)).unwrap();
        assert_eq!(now(serializer.decode_head(&place, again)).unwrap(), head);
    }
}
