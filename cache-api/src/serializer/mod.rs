use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BodyId, CacheKey, Head, Namespace, Result, VariantId};

mod cbor;
mod envelope;
mod header_block;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;
mod row;

pub use cbor::CborSerializer;
pub use envelope::{Codec, Envelope};
#[cfg(feature = "json")]
pub use json::JsonSerializer;
#[cfg(feature = "messagepack")]
pub use messagepack::MessagePackSerializer;

/// Turns heads and body frames into the bytes that a store keeps, and back.
///
/// Async, so that a serializer may ask a key service. A wrapper (compression, encryption, signature) calls
/// an inner serializer and puts its result into an [`Envelope`] of its own.
///
/// What it must hold:
/// - `decode_x(place, encode_x(place, v)) == v`.
/// - Any other bytes, or right bytes at another [`Place`], are an error of
///   [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), never a panic and never another value.
/// - Decoding allocates in proportion to the bytes it is given, whatever they claim.
#[async_trait]
pub trait Serializer: Debug + Send + Sync {
    /// The bytes of a head.
    ///
    /// # Errors
    /// When the head cannot be represented, or a key service does not answer.
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes>;

    /// The head in these bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when they are not a head of that place.
    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head>;

    /// The bytes of a frame with that plaintext.
    ///
    /// # Errors
    /// When a key service does not answer.
    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes>;

    /// The plaintext of a frame.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when the bytes are not a frame of that place.
    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes>;
}

/// A shared serializer is one, too: a wrapper takes a serializer of its own as well as an `Arc<dyn Serializer>`.
#[async_trait]
impl<S: Serializer + ?Sized> Serializer for Arc<S> {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        (**self).encode_head(place, head).await
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        (**self).decode_head(place, bytes).await
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        (**self).encode_frame(place, plaintext).await
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        (**self).decode_frame(place, bytes).await
    }
}

/// Where a head or a frame belongs. Bytes found at another place are corrupt: an entry cannot be passed off
/// as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: Namespace,
    /// The resource.
    pub key: CacheKey,
    /// The variant.
    pub variant: VariantId,
    /// The variant's body.
    pub body: BodyId,
    /// Which part of the variant.
    pub part: Part,
}

/// A part of a stored variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The head.
    Head,
    /// A frame of the body.
    Frame {
        /// Its number, from 0.
        index: u32,
        /// Whether the body ends with it.
        last: bool,
    },
}

impl Place {
    /// The place of a variant's head.
    #[must_use]
    pub fn head(namespace: &Namespace, key: CacheKey, variant: VariantId, body: BodyId) -> Self {
        Self { namespace: namespace.clone(), key, variant, body, part: Part::Head }
    }

    /// The place of a frame of the same variant.
    #[must_use]
    pub fn frame(&self, index: u32, last: bool) -> Self {
        Self { part: Part::Frame { index, last }, ..self.clone() }
    }

    /// The place in unambiguous bytes: associated data for a cipher or a signature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(72 + self.namespace.as_str().len());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(self.variant.as_bytes());
        bytes.extend_from_slice(self.body.as_bytes());
        match self.part {
            Part::Head => bytes.push(0),
            Part::Frame { index, last } => {
                bytes.push(if last { 2 } else { 1 });
                bytes.extend_from_slice(&index.to_le_bytes());
            }
        }
        bytes.extend_from_slice(self.namespace.as_str().as_bytes());
        bytes
    }
}
