//! Where the decoded bytes are said to lie, and what asks a serializer without waiting.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use cache_api::{BodyId, CacheKey, Namespace, Place, Serializer, VariantId};
use futures_util::FutureExt;

pub(crate) fn head() -> Place {
    let body = BodyId::from_bytes([3; 16]);
    Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body)
}

pub(crate) fn frame() -> Place {
    head().frame(0, true)
}

/// What a serializer that waits for nothing answers.
pub(crate) fn now<T>(future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    future.now_or_never().expect("the serializers here ask nobody")
}

/// What is read as a head of [`head`] is written and read again alike.
pub(crate) fn reads_alike(serializer: &dyn Serializer, candidates: [Bytes; 2]) {
    let place = head();
    for bytes in candidates {
        let Ok(head) = now(serializer.decode_head(&place, bytes)) else { continue };
        let again = now(serializer.encode_head(&place, &head)).unwrap();
        assert_eq!(now(serializer.decode_head(&place, again)).unwrap(), head);
    }
}
