//! Keys: how they are read, changed and kept quiet about, under both wrappers.

use std::{error::Error as _, sync::Arc};

use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, CborSerializer, Codec, Envelope, ErrorKind, Namespace, Place, Serializer, VariantId,
};
use cache_serializers::{Encrypted, Key, Keyring, Signed};
use proptest::prelude::*;

const HEX: &str = "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff";
const BYTES: [u8; 32] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";

fn place() -> Place {
    let body = BodyId::from_bytes([3; 16]);
    Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body).frame(4, false)
}

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32])
}

/// A change to a header.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Both wrappers, over the same keyring.
fn wrappers(keyring: &Keyring) -> [(Codec, Arc<dyn Serializer>); 2] {
    [
        (Codec::XCHACHA20_POLY1305, Arc::new(Encrypted::new(CborSerializer::new(), keyring))),
        (Codec::KEYED_BLAKE3, Arc::new(Signed::new(CborSerializer::new(), keyring))),
    ]
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn write(serializer: &dyn Serializer) -> Bytes {
    block_on(serializer.encode_frame(&place(), "frame".into())).unwrap()
}

/// What it reads, or the whole text of the error, which has to be `Corrupt`.
fn read(serializer: &dyn Serializer, bytes: Bytes) -> Result<Bytes, String> {
    block_on(serializer.decode_frame(&place(), bytes)).map_err(|error| {
        assert!(error.is_corrupt(), "{error:?}");
        format!("{error} {error:?}")
    })
}

/// Writing keyring, reading keyring, and what of it the message says: nothing where it is read.
#[test]
fn who_reads_what_whom_wrote() {
    let rings = || {
        [
            ("1=a", Keyring::new(1, key(b'a'))),
            ("1=a 2=b", Keyring::new(1, key(b'a')).with_key(2, key(b'b')).unwrap()),
            ("2=b 1=a", Keyring::new(2, key(b'b')).with_key(1, key(b'a')).unwrap()),
            ("2=b", Keyring::new(2, key(b'b'))),
            ("1=b", Keyring::new(1, key(b'b'))),
        ]
    };
    let table = [
        ("1=a", ["", "", "", "key 1 is not in the keyring", "another key"]),
        ("1=a 2=b", ["", "", "", "key 1 is not in the keyring", "another key"]),
        ("2=b 1=a", ["key 2 is not in the keyring", "", "", "", "key 2 is not in the keyring"]),
        ("2=b", ["key 2 is not in the keyring", "", "", "", "key 2 is not in the keyring"]),
        ("1=b", ["another key", "another key", "another key", "key 1 is not in the keyring", ""]),
    ];
    for ((writer, outcomes), (name, writing)) in table.into_iter().zip(rings()) {
        assert_eq!(writer, name);
        for ((reader, reading), expected) in rings().into_iter().zip(outcomes) {
            for ((_, writes), (_, reads)) in wrappers(&writing).into_iter().zip(wrappers(&reading)) {
                match read(&*reads, write(&*writes)) {
                    Ok(frame) => assert_eq!((&*frame, expected), (&b"frame"[..], ""), "{writer} by {reader}"),
                    Err(text) => {
                        assert!(
                            !expected.is_empty() && text.contains(expected),
                            "{writer} by {reader}: {text}"
                        );
                    }
                }
            }
        }
    }
}

/// A header of another release, of another key's id, and none at all, under a right checksum.
#[test]
fn headers_that_nobody_wrote() {
    let keyring = Keyring::new(1, key(b'a')).with_key(2, key(b'b')).unwrap();
    for (codec, serializer) in wrappers(&keyring) {
        let envelope = Envelope::open(write(&*serializer), codec, &place()).unwrap();
        let with = |change: Change<'_>| {
            let mut header = envelope.header.to_vec();
            change(&mut header);
            envelope.clone().with_header(header.into()).seal(&place()).unwrap()
        };
        assert_eq!(read(&*serializer, with(&|_| ())).unwrap(), "frame");
        let table: [(Change<'_>, &str); 7] = [
            (&|header| header[0] = 0, "by another release"),
            (&|header| header[0] = 2, "by another release"),
            (&|header| header[1] = 9, "key 9 is not in the keyring"),
            // A key that is there, and did not write it.
            (&|header| header[1] = 2, "another key"),
            (&|header| header.push(0), "by another release"),
            (&|header| header.truncate(28), "by another release"),
            (&Vec::clear, "by another release"),
        ];
        for (row, (change, expected)) in table.into_iter().enumerate() {
            let text = read(&*serializer, with(change)).unwrap_err();
            assert!(text.contains(expected), "{codec:?}, row {row}: {text}");
        }
    }
}

#[test]
fn one_secret_serves_both_and_neither_reads_the_other() {
    let keyring = Keyring::new(1, key(b'a'));
    let [(_, encrypted), (_, signed)] = wrappers(&keyring);
    let plain = CborSerializer::new();
    assert!(read(&*signed, write(&*encrypted)).unwrap_err().contains("another serializer"));
    assert!(read(&*encrypted, write(&*signed)).unwrap_err().contains("another serializer"));
    for wrapper in [&encrypted, &signed] {
        assert!(read(&**wrapper, write(&plain)).unwrap_err().contains("another serializer"));
        assert!(read(&plain, write(&**wrapper)).unwrap_err().contains("another serializer"));
    }
}

#[test]
fn texts_of_one_key() {
    let base64 = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8";
    let written = wrappers(&Keyring::new(1, Key::from_bytes(&BYTES))).map(|(_, s)| write(&*s));
    for text in [
        HEX,
        &HEX.to_uppercase(),
        &format!(" {HEX}\n"),
        base64,
        &format!("{base64}="),
        &base64.replace('/', "_"),
        &format!("{}=", base64.replace('/', "_")),
    ] {
        let keyring = Keyring::new(1, text.parse().unwrap());
        for ((_, serializer), bytes) in wrappers(&keyring).into_iter().zip(&written) {
            assert_eq!(read(&*serializer, bytes.clone()).unwrap(), "frame", "{text}");
        }
    }
}

/// None is taken, and no part of it is in the message.
#[test]
fn texts_of_no_key() {
    for text in [
        "",
        "secretsecret",
        &HEX[1..],
        &format!("{HEX}00"),
        &HEX.replace("11", "1g"),
        &HEX.replace("1122", "\u{20ac}1"),
        // The last digit has bits of a 33rd byte.
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v9",
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8==",
        "ABEiM0RVZneImaq7zN3u!wARIjNEVWZ3iJmqu8zd7v8",
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v",
    ] {
        let error = text.parse::<Key>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.to_string().contains("key"), "{error}");
        assert!(error.source().is_none(), "{error:?}");
        let shown = format!("{error} {error:?}");
        for piece in text.as_bytes().windows(6) {
            assert!(!shown.as_bytes().windows(6).any(|shown| shown == piece), "{text}: {shown}");
        }
    }
}

#[test]
fn ids_are_given_once() {
    let twice = Keyring::new(7, key(b'a')).with_key(7, key(b'b')).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Config);
    assert!(twice.to_string().contains("id 7"), "{twice}");
}

#[test]
fn debug_shows_ids_alone() {
    let keyring = Keyring::new(7, key(200)).with_key(8, key(201)).unwrap();
    assert_eq!(format!("{keyring:?} {:?}", key(200)), "Keyring([7, 8]) Key(..)");
    let [(_, encrypted), (_, signed)] = wrappers(&keyring);
    assert_eq!(format!("{encrypted:?}"), "Encrypted { inner: CborSerializer, keys: [7, 8] }");
    assert_eq!(format!("{signed:?}"), "Signed { inner: CborSerializer, keys: [7, 8] }");
}

#[test]
fn keys_are_random() {
    let [one, other] = [(); 2].map(|()| Keyring::new(1, Key::random().unwrap()));
    for ((_, writes), (_, reads)) in wrappers(&one).into_iter().zip(wrappers(&other)) {
        assert!(read(&*reads, write(&*writes)).unwrap_err().contains("another key"));
    }
}

/// The stored format: a change here makes every stored entry a miss. Ciphertext differs each time, and has to be readable.
#[test]
fn golden() {
    let [(_, encrypted), (_, signed)] = wrappers(&Keyring::new(1, Key::from_bytes(&BYTES)));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    assert_eq!(
        hex(&write(&*signed)),
        "4843010401002500c49ab3c0e9716d1401010000004c484195f9442f58bd1316f4d412813ad30a982105228ab90eb8775e94897aae4843010001000000fe3cbbbd9a42fcb06672616d65"
    );
    let stored = "4843010301001d000dfe483184f4ec8b0101000000452170bd76a0d22ab82a9862b1caab020d574cf419da833f509dfbe5b044bab35ffa6235d37fcc7a2aef2a29bade441a2ccece89d828f3bfab48d2f8ba";
    assert_eq!(read(&*encrypted, bytes(stored).into()).unwrap(), "frame");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_round_trip_under_any_key(
        secret: [u8; 32], id: u32, frame in prop::collection::vec(any::<u8>(), 0..3000), index: u32, last: bool,
    ) {
        let place = place().frame(index, last);
        for (_, serializer) in wrappers(&Keyring::new(id, Key::from_bytes(&secret))) {
            let bytes = block_on(serializer.encode_frame(&place, frame.clone().into())).unwrap();
            prop_assert_eq!(&block_on(serializer.decode_frame(&place, bytes)).unwrap()[..], &frame[..]);
        }
    }
}
