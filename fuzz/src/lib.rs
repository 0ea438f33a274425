#![doc = include_str!("../README.md")]

pub mod cache_control;
pub mod cbor_head;
pub mod compressed;
pub mod dates;
pub mod envelope;
pub mod event_text;
pub mod json_head;
pub mod keyed;
pub mod messagepack_head;
pub mod object_record;
pub mod policy;
pub mod ranges;
pub mod redaction;
pub mod storage_url;
pub mod vary;

mod message;
mod place;

/// Takes any bytes, and panics where what reads them does something wrong.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its seeds' directory.
pub const TARGETS: [(&str, Target); 15] = [
    ("cache_control", cache_control::run),
    ("cbor_head", cbor_head::run),
    ("compressed", compressed::run),
    ("dates", dates::run),
    ("envelope", envelope::run),
    ("event_text", event_text::run),
    ("json_head", json_head::run),
    ("keyed", keyed::run),
    ("messagepack_head", messagepack_head::run),
    ("object_record", object_record::run),
    ("policy", policy::run),
    ("ranges", ranges::run),
    ("redaction", redaction::run),
    ("storage_url", storage_url::run),
    ("vary", vary::run),
];
