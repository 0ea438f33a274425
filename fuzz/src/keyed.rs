//! [`Encrypted`] and [`Signed`]: nothing that was made without the key is read, nor what was changed since.

use std::sync::LazyLock;

use bytes::Bytes;
use cache_api::{CborSerializer, Codec, Envelope, Place, Serializer};
use cache_serializers::{Encrypted, Key, Keyring, Signed};

use crate::place::{self, now};

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let reading = Keyring::new(7, Key::from_bytes(&[7; 32]));
    reading.with_key(8, Key::from_bytes(&[8; 32])).expect("two ids")
});
static ENCRYPTED: LazyLock<Encrypted<CborSerializer>> =
    LazyLock::new(|| Encrypted::new(CborSerializer::new(), &KEYRING));
static SIGNED: LazyLock<Signed<CborSerializer>> =
    LazyLock::new(|| Signed::new(CborSerializer::new(), &KEYRING));

/// Reads the bytes as they are, in each wrapper's envelope, and with one bit of an own entry turned.
pub fn run(data: &[u8]) {
    tried(&*ENCRYPTED, Codec::XCHACHA20_POLY1305, data);
    tried(&*SIGNED, Codec::KEYED_BLAKE3, data);
}

fn tried(serializer: &dyn Serializer, codec: Codec, data: &[u8]) {
    let place = place::frame();
    let refused = |bytes: Bytes| {
        let error = now(serializer.decode_frame(&place, bytes)).expect_err("made without the key");
        assert!(error.is_corrupt());
    };
    refused(Bytes::copy_from_slice(data));
    let Some((&[at, bit], rest)) = data.split_first_chunk() else { return };
    let (header, payload) = rest.split_at(usize::from(at).min(rest.len()));
    refused(forged(codec, header, payload, &place));

    let written = now(serializer.encode_frame(&place, Bytes::copy_from_slice(data))).unwrap();
    assert_eq!(now(serializer.decode_frame(&place, written.clone())).unwrap(), data);
    let own = Envelope::open(written, codec, &place).unwrap();
    let (mut header, mut payload) = (own.header.to_vec(), own.payload.to_vec());
    let all = header.len() + payload.len();
    let at = (usize::from(at) << 3 | usize::from(bit >> 5)) % all;
    match at.checked_sub(header.len()) {
        None => header[at] ^= 1 << (bit % 8),
        Some(at) => payload[at] ^= 1 << (bit % 8),
    }
    refused(forged(codec, &header, &payload, &place));
}

/// What can be made without the key: the checksum is right.
fn forged(codec: Codec, header: &[u8], payload: &[u8], place: &Place) -> Bytes {
    let envelope = Envelope::new(codec, Bytes::copy_from_slice(payload));
    envelope.with_header(Bytes::copy_from_slice(header)).seal(place).unwrap()
}
