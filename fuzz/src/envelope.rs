//! [`Envelope`]: what opens was sealed for that place, byte for byte.

use bytes::Bytes;
use cache_api::{Codec, Envelope};

use crate::place;

/// Opens the bytes as they are, and what is sealed around them.
pub fn run(data: &[u8]) {
    let codecs = [
        Codec::RAW,
        Codec::CBOR,
        Codec::ZSTD,
        Codec::XCHACHA20_POLY1305,
        Codec::KEYED_BLAKE3,
        Codec::MESSAGEPACK,
    ];
    let bytes = Bytes::copy_from_slice(data);
    for codec in codecs {
        if let Ok(envelope) = Envelope::open(bytes.clone(), codec, &place::frame()) {
            assert_eq!(envelope.seal(&place::frame()).unwrap(), bytes);
        }
    }
    let Some((&[codec, header, bit], rest)) = data.split_first_chunk() else { return };
    let codec = codecs[usize::from(codec) % codecs.len()];
    let (header, payload) = rest.split_at(usize::from(header).min(rest.len()));
    let envelope =
        Envelope::new(codec, Bytes::copy_from_slice(payload)).with_header(Bytes::copy_from_slice(header));
    let sealed = envelope.seal(&place::frame()).unwrap();
    assert_eq!(Envelope::open(sealed.clone(), codec, &place::frame()).unwrap(), envelope);
    for elsewhere in [place::head(), place::frame().frame(1, true), place::frame().frame(0, false)] {
        assert!(Envelope::open(sealed.clone(), codec, &elsewhere).is_err());
    }
    let mut damaged = sealed.to_vec();
    let at = usize::from(bit) % damaged.len();
    damaged[at] ^= 1 << (bit % 8);
    assert!(Envelope::open(damaged.into(), codec, &place::frame()).is_err());
}
