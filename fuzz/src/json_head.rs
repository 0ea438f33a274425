//! The heads of [`JsonSerializer`]: what is read is written and read again alike.

use bytes::Bytes;
use cache_api::JsonSerializer;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::place::{self, reads_alike};

/// Reads the bytes as they are, and as the head beside a checksum that is right.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let head = text.trim_matches([' ', '\t', '\r', '\n']);
    let checksum = xxh3_64_with_seed(head.as_bytes(), xxh3_64(&place::head().to_bytes()));
    let sealed = format!(r#"{{"format":"http-cache/1","checksum":"{checksum:016x}","head":{head}}}"#);
    reads_alike(&JsonSerializer::new(), [Bytes::copy_from_slice(data), sealed.into()]);
}
