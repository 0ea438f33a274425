//! Each wrapper and their compositions under the suite for serializers.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::{process::ExitCode, sync::Arc};

use bytes::Bytes;
use cache_api::{
    CborSerializer, Codec, Envelope, JsonSerializer, MessagePackSerializer, Place, Result, Serializer,
};
use cache_conformance::SerializerSuite;
use cache_serializers::{Compressed, Encrypted, Key, Keyring, Signed};
use libtest_mimic::Arguments;

fn keyring() -> Keyring {
    let old = Key::from_bytes(&[1; 32]);
    Keyring::new(2, Key::from_bytes(&[2; 32])).with_key(1, old).unwrap()
}

fn compressed(inner: impl Serializer) -> impl Serializer {
    Compressed::new(inner)
}

fn encrypted(inner: impl Serializer) -> impl Serializer {
    Encrypted::new(inner, &keyring())
}

fn signed(inner: impl Serializer) -> impl Serializer {
    Signed::new(inner, &keyring())
}

/// A payload of zstd that claims to be of that length when it is decompressed.
fn claiming(place: &Place, payload: Vec<u8>, claim: u32) -> Result<Bytes> {
    let header = [&[1][..], &claim.to_le_bytes()].concat();
    Envelope::new(Codec::ZSTD, payload.into()).with_header(header.into()).seal(place)
}

fn zeros(len: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![0; len], 19).unwrap()
}

fn bombs(suite: SerializerSuite) -> SerializerSuite {
    let large = zeros(256 * 1024 * 1024);
    let (small, two) = (zeros(1000), [zeros(1000), zeros(1000)].concat());
    suite
        .refuses("a bomb", {
            let large = large.clone();
            move |place| claiming(place, large.clone(), 256 * 1024 * 1024)
        })
        .refuses("a bomb that claims to be small", move |place| claiming(place, large.clone(), 1000))
        .refuses("a claim of 4 GiB", {
            let small = small.clone();
            move |place| claiming(place, small.clone(), u32::MAX)
        })
        .refuses("a claim of the largest length", {
            let small = small.clone();
            move |place| claiming(place, small.clone(), 1024 * 1024)
        })
        .refuses("a length too small", move |place| claiming(place, small.clone(), 999))
        .refuses("two streams", move |place| claiming(place, two.clone(), 1000))
        .refuses("nothing", |place| claiming(place, Vec::new(), 0))
}

fn main() -> ExitCode {
    let cbor = CborSerializer::new;
    let json = JsonSerializer::new;
    let messagepack = MessagePackSerializer::new;
    let suite = |name: &str, serializer: Arc<dyn Serializer>| SerializerSuite::new(name, serializer);
    let suites = [
        bombs(suite("compressed", Arc::new(compressed(cbor())))),
        suite("compressed_json", Arc::new(compressed(json()))),
        suite("compressed_messagepack", Arc::new(compressed(messagepack()))),
        suite("compressed_hard", Arc::new(Compressed::new(cbor()).with_level(19).unwrap())),
        suite("compressed_small", Arc::new(Compressed::new(cbor()).with_max_decompressed(100))),
        suite("signed", Arc::new(signed(cbor()))).authentic(),
        suite("signed_json", Arc::new(signed(json()))).authentic(),
        suite("signed_messagepack", Arc::new(signed(messagepack()))).authentic(),
        suite("encrypted", Arc::new(encrypted(cbor()))).authentic().secret(),
        suite("encrypted_json", Arc::new(encrypted(json()))).authentic().secret(),
        suite("encrypted_messagepack", Arc::new(encrypted(messagepack()))).authentic().secret(),
        suite("encrypted_compressed", Arc::new(encrypted(compressed(cbor())))).authentic().secret(),
        suite("compressed_encrypted", Arc::new(compressed(encrypted(cbor())))).authentic().secret(),
        suite("signed_compressed", Arc::new(signed(compressed(json())))).authentic(),
        bombs(suite("compressed_signed", Arc::new(compressed(signed(cbor()))))).authentic(),
        suite("encrypted_signed", Arc::new(encrypted(signed(cbor())))).authentic().secret(),
        suite("encrypted_twice", Arc::new(encrypted(encrypted(cbor())))).authentic().secret(),
        suite("all", Arc::new(signed(encrypted(compressed(Arc::new(json()) as Arc<dyn Serializer>)))))
            .authentic()
            .secret(),
        suite("all_messagepack", Arc::new(signed(encrypted(compressed(messagepack()))))).authentic().secret(),
    ];
    let trials = suites.iter().flat_map(SerializerSuite::trials).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
