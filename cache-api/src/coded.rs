use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::{Error, ErrorKind, Head, Place, Result, Serializer};

/// A value, its encoded bytes, or both: what is known is not made again.
///
/// A byte store asks for [`bytes`](Coded::bytes) and hands out [`from_bytes`](Coded::from_bytes); a store
/// in this process clones the cell and so keeps the value, and neither encodes nor decodes.
/// Clones share what is known.
pub struct Coded<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: OnceLock<T>,
    bytes: OnceLock<Bytes>,
    codec: Option<(Arc<dyn Serializer>, Place)>,
    derived: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A head on its way to or from a storage.
pub type StoredHead = Coded<Head>;

/// One frame of a body on its way to or from a storage: at most [`FRAME_SIZE`](crate::FRAME_SIZE) bytes of
/// plaintext, encoded on its own.
pub type Frame = Coded<Bytes>;

/// What a [`Coded`] cell can hold: a [`Head`], or a frame's [`Bytes`].
#[async_trait::async_trait]
pub trait Content: Sized + Send + Sync + sealed::Sealed {
    #[doc(hidden)]
    async fn encode(&self, serializer: &dyn Serializer, place: &Place) -> Result<Bytes>;
    #[doc(hidden)]
    async fn decode(bytes: Bytes, serializer: &dyn Serializer, place: &Place) -> Result<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::Head {}
    impl Sealed for bytes::Bytes {}
}

impl<T: Content> Coded<T> {
    /// A value that `serializer` will encode for `place` if a storage asks for bytes.
    #[must_use]
    pub fn new(value: T, serializer: Arc<dyn Serializer>, place: Place) -> Self {
        Self(Arc::new(Inner {
            value: OnceLock::from(value),
            bytes: OnceLock::new(),
            codec: Some((serializer, place)),
            derived: OnceLock::new(),
        }))
    }

    /// Encoded bytes, as a store holds them.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(Arc::new(Inner {
            value: OnceLock::new(),
            bytes: OnceLock::from(bytes),
            codec: None,
            derived: OnceLock::new(),
        }))
    }

    /// The value, where it is known without decoding.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.0.value.get()
    }

    /// What a reader makes of the value: made at the first call, and kept beside the value for as long as that is. It
    /// is stored nowhere.
    ///
    /// `None` where the value is not known yet, or something of another type is kept. Clones share it, with whoever
    /// else has them: what depends on more than the value had better hold what it depends on.
    pub fn derived<D: Send + Sync + 'static>(&self, make: impl FnOnce(&T) -> D) -> Option<&D> {
        let value = self.0.value.get()?;
        self.0.derived.get_or_init(|| Box::new(make(value))).downcast_ref()
    }

    /// The encoded bytes; encodes at the first call.
    ///
    /// # Errors
    /// What the serializer reports.
    pub async fn bytes(&self) -> Result<&Bytes> {
        if let Some(bytes) = self.0.bytes.get() {
            return Ok(bytes);
        }
        let (Some(value), Some((serializer, place))) = (self.0.value.get(), &self.0.codec) else {
            return Err(Error::new(ErrorKind::Other, "encode").with_message("an empty cell"));
        };
        let bytes = value.encode(&**serializer, place).await?;
        Ok(self.0.bytes.get_or_init(|| bytes))
    }

    /// The value; decodes at the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the bytes are not what a serializer wrote for `place`, and what the
    /// serializer itself reports.
    pub async fn decode(&self, serializer: &dyn Serializer, place: &Place) -> Result<&T> {
        if let Some(value) = self.0.value.get() {
            return Ok(value);
        }
        let Some(bytes) = self.0.bytes.get() else {
            return Err(Error::new(ErrorKind::Other, "decode").with_message("an empty cell"));
        };
        let value = T::decode(bytes.clone(), serializer, place).await?;
        Ok(self.0.value.get_or_init(|| value))
    }
}

impl Coded<Bytes> {
    /// The same frame, where its value lies in `value`: for a storage that keeps values and puts several of them into one
    /// piece. The bytes must be the same.
    #[must_use]
    pub fn moved_to(&self, value: Bytes) -> Self {
        Self(Arc::new(Inner {
            value: OnceLock::from(value),
            bytes: self.0.bytes.clone(),
            codec: self.0.codec.clone(),
            derived: OnceLock::new(),
        }))
    }
}

#[async_trait::async_trait]
impl Content for Head {
    async fn encode(&self, serializer: &dyn Serializer, place: &Place) -> Result<Bytes> {
        serializer.encode_head(place, self).await
    }

    async fn decode(bytes: Bytes, serializer: &dyn Serializer, place: &Place) -> Result<Self> {
        serializer.decode_head(place, bytes).await
    }
}

#[async_trait::async_trait]
impl Content for Bytes {
    async fn encode(&self, serializer: &dyn Serializer, place: &Place) -> Result<Bytes> {
        serializer.encode_frame(place, self.clone()).await
    }

    async fn decode(bytes: Bytes, serializer: &dyn Serializer, place: &Place) -> Result<Self> {
        serializer.decode_frame(place, bytes).await
    }
}

impl<T> Clone for Coded<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Coded<T> {
    /// Says what is known; shows no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coded")
            .field("value", &self.0.value.get().is_some())
            .field("bytes", &self.0.bytes.get().map(Bytes::len))
            .finish()
    }
}
