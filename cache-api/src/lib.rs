#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ability;
mod coded;
mod entry;
mod error;
mod event;
mod event_channel;
mod event_text;
mod frame_writer;
mod head;
mod id;
mod key;
mod parameters;
mod record;
mod redact;
mod serializer;
mod storage;
mod terms;

pub use ability::{
    Abilities, Acquired, Filter, Found, FoundStream, Lease, Leases, Listing, Outcome, Swept, Tags, Totals,
    Touch, Use, Whole,
};
pub use coded::{Coded, Content, Frame, StoredHead};
pub use entry::{
    Body, Change, Entry, FRAME_SIZE, INLINE_MAX, INLINE_TOTAL, InlineBody, MAX_VARIANTS, Resource,
    StoredBody, Ticket, Variant,
};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventStream, Events, HEARTBEAT};
pub use event_channel::{EventSender, event_channel};
pub use event_text::EventOrigin;
pub use frame_writer::frame_writer;
pub use head::{Head, Selector, SelectorDigest};
pub use id::{BodyId, CacheKey, Epoch, Generation, Namespace, TagDigest, VariantId, Version};
pub use key::{CanonicalKey, DefaultKey, KeyFn, KeyRequest, Keyed, key_fn};
pub use parameters::Parameters;
pub use record::{Applied, Record};
pub use redact::{KeyView, REDACTED, Redactor, RequestPart, Scan, Secrets};
#[cfg(feature = "json")]
pub use serializer::JsonSerializer;
#[cfg(feature = "messagepack")]
pub use serializer::MessagePackSerializer;
pub use serializer::{CborSerializer, Codec, Envelope, Part, Place, Serializer};
pub use storage::{BodyWriter, Committed, Limits, Refusal, Storage};
pub use terms::{SetBy, Terms};
