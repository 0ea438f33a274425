//! What is compressed, what is left as it is, and the bound.

use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, CborSerializer, Codec, Envelope, ErrorKind, FRAME_SIZE, Namespace, Place, Serializer,
    VariantId,
};
use cache_serializers::Compressed;
use proptest::prelude::*;

fn place() -> Place {
    let body = BodyId::from_bytes([3; 16]);
    Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body).frame(0, true)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn write(serializer: &dyn Serializer, frame: &Bytes) -> Bytes {
    block_on(serializer.encode_frame(&place(), frame.clone())).unwrap()
}

fn read(serializer: &dyn Serializer, bytes: Bytes) -> cache_api::Result<Bytes> {
    block_on(serializer.decode_frame(&place(), bytes))
}

fn is_compressed(bytes: &Bytes) -> bool {
    Envelope::open(bytes.clone(), Codec::ZSTD, &place()).unwrap().header.first() == Some(&1)
}

fn text(len: usize) -> Bytes {
    let words = (0_u32..).flat_map(|n| format!("{} and ", n.wrapping_mul(2_654_435_761) % 997).into_bytes());
    words.take(len).collect()
}

fn noise(len: usize) -> Bytes {
    let mut state = 1_u64;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    next.take(len).collect()
}

#[test]
fn compresses_what_becomes_smaller() {
    let serializer = Compressed::new(CborSerializer::new());
    for (what, frame, compressed) in [
        ("nothing", text(0), false),
        ("a word", text(10), false),
        ("text", text(1000), true),
        ("a frame of text", text(FRAME_SIZE), true),
        ("zeros", vec![0; FRAME_SIZE].into(), true),
        ("noise", noise(FRAME_SIZE), false),
        // Saves a twentieth.
        ("noise with some text", [noise(95_000), text(7000)].concat().into(), false),
    ] {
        let bytes = write(&serializer, &frame);
        assert_eq!(is_compressed(&bytes), compressed, "{what}");
        assert!(bytes.len() <= frame.len() + 16 + 17, "{what}: {} bytes", bytes.len());
        assert!(!compressed || bytes.len() < frame.len() * 2 / 3, "{what}: {} bytes", bytes.len());
        assert_eq!(read(&serializer, bytes).unwrap(), frame, "{what}");
    }
}

#[test]
fn levels() {
    let frame = text(FRAME_SIZE);
    let at = |level| write(&Compressed::new(CborSerializer::new()).with_level(level).unwrap(), &frame);
    assert!(at(19).len() < at(1).len() && at(1).len() < at(-7).len());
    for level in [-7, -1, 1, 22] {
        assert_eq!(read(&Compressed::new(CborSerializer::new()), at(level)).unwrap(), frame, "{level}");
    }
    for level in [0, 23, -8, i32::MIN, i32::MAX] {
        let error = Compressed::new(CborSerializer::new()).with_level(level).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&level.to_string()), "{error}");
    }
}

/// What is over the bound is written as it is; what was compressed under a higher one is refused.
#[test]
fn the_bound() {
    let bounded = |bytes| Compressed::new(CborSerializer::new()).with_max_decompressed(bytes);
    let frame = text(1000);
    // The envelope of the inner serializer counts.
    let len = 1000 + 16;
    for (bound, compressed) in [(0, false), (len - 1, false), (len, true), (u32::MAX, true)] {
        let bytes = write(&bounded(bound), &frame);
        assert_eq!(is_compressed(&bytes), compressed, "{bound}");
        assert_eq!(read(&bounded(bound), bytes).unwrap(), frame);
    }
    let error = read(&bounded(len - 1), write(&bounded(len), &frame)).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("1016 bytes, 1015 are allowed"), "{error}");
}

/// The default bound takes the largest head and frame.
#[test]
fn the_default_bound_takes_a_mebibyte() {
    let serializer = Compressed::new(CborSerializer::new());
    assert!(is_compressed(&write(&serializer, &text(1024 * 1024))));
    assert!(!is_compressed(&write(&serializer, &text(1024 * 1024 + 4096))));
}

/// Compression can be turned on over a full store.
#[test]
fn reads_what_was_stored_without_it() {
    let plain = write(&CborSerializer::new(), &text(1000));
    assert_eq!(read(&Compressed::new(CborSerializer::new()), plain.clone()).unwrap(), text(1000));
    let mut damaged = plain.to_vec();
    damaged[500] ^= 1;
    assert!(read(&Compressed::new(CborSerializer::new()), damaged.into()).unwrap_err().is_corrupt());
    let compressed = write(&Compressed::new(CborSerializer::new()), &text(1000));
    assert!(read(&CborSerializer::new(), compressed).unwrap_err().is_corrupt());
}

#[test]
fn headers_that_nobody_wrote() {
    let serializer = Compressed::new(CborSerializer::new());
    let frame = text(1000);
    let envelope = Envelope::open(write(&serializer, &frame), Codec::ZSTD, &place()).unwrap();
    for header in [
        &[][..],
        &[0, 0],
        &[0, 1, 0, 0, 0],
        &[1],
        &[1, 0xf8, 3, 0],
        &[1, 0xf8, 3, 0, 0, 0],
        &[2, 0xf8, 3, 0, 0],
    ] {
        let forged = envelope.clone().with_header(Bytes::copy_from_slice(header)).seal(&place()).unwrap();
        let error = read(&serializer, forged).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("another release"), "{header:?}: {error}");
    }
    // Not compressed at all, it says.
    let forged = envelope.with_header(Bytes::from_static(&[0])).seal(&place()).unwrap();
    assert!(read(&serializer, forged).unwrap_err().is_corrupt());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_round_trip(pieces in prop::collection::vec((any::<u8>(), 0..400_usize), 0..40), level in 1..20) {
        let frame: Bytes = pieces.iter().flat_map(|(byte, times)| vec![*byte; *times]).collect();
        let serializer = Compressed::new(CborSerializer::new()).with_level(level).unwrap();
        prop_assert_eq!(read(&serializer, write(&serializer, &frame)).unwrap(), frame);
    }
}
