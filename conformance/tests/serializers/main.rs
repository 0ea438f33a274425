//! The suite for serializers passes those of `cache-api`, and fails each that is wrong in one way.

mod broken;

use std::sync::{Arc, Mutex, PoisonError};

use broken::{Broken, Fault};
use cache_api::{CborSerializer, JsonSerializer, MessagePackSerializer, Serializer};
use cache_conformance::{Report, SerializerSuite};

/// All of the suite's cases that are chosen, and no other test meanwhile: what is allocated counts for the whole process.
fn run(suite: &SerializerSuite, chosen: impl Fn(&str) -> bool) -> Report {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    suite.run_quiet(chosen)
}

fn suite(serializer: impl Serializer + 'static) -> SerializerSuite {
    SerializerSuite::new("serializer", Arc::new(serializer))
}

#[test]
fn the_sound_ones_pass() {
    for sound in [
        suite(CborSerializer::new()),
        suite(JsonSerializer::new()),
        suite(MessagePackSerializer::new()),
        suite(Broken(Fault::None)),
    ] {
        let report = run(&sound, |_| true);
        assert!(report.is_sound(), "{report}");
        let left_out = |group| report.left_out.iter().any(|(case, _)| case.starts_with(group));
        assert!(left_out("forgery::") && left_out("secrecy::") && left_out("claims::refused"));
    }
}

/// A checksum is no signature, and CBOR no cipher.
#[test]
fn a_checksum_promises_too_much() {
    let report = run(&suite(CborSerializer::new()).authentic().secret(), |_| true);
    for case in [
        "forgery::altered",
        "forgery::moved",
        "forgery::never_wrapped",
        "secrecy::no_plaintext",
        "secrecy::never_the_same_twice",
    ] {
        assert!(report.has_failed(case), "{case}: {report}");
    }
    assert!(!report.has_failed("damage::flipped"), "{report}");
}

/// What was said to be refused, and is not.
#[test]
fn one_that_takes_what_was_forged_fails() {
    let forge = |place: &cache_api::Place| {
        cache_api::Envelope::new(cache_api::Codec::RAW, "forged".into()).seal(place)
    };
    let report =
        run(&suite(CborSerializer::new()).refuses("a frame", forge), |case| case == "claims::refused");
    assert!(report.has_failed("claims::refused"), "{report}");
    let report = run(&suite(CborSerializer::new()).refuses("nothing", |_| Ok("".into())), |case| {
        case == "claims::refused"
    });
    assert_eq!(report.passed, ["claims::refused"], "{report}");
}

fn fails(fault: Fault, cases: &[&str]) {
    let report = run(&suite(Broken(fault)), |case| cases.contains(&case));
    for case in cases {
        assert!(report.has_failed(case), "{fault:?} passes {case}: {report}");
    }
}

macro_rules! broken {
    ($($name:ident: $fault:ident => [$($case:literal),+ $(,)?]),+ $(,)?) => {
        $(#[test]
        fn $name() {
            fails(Fault::$fault, &[$($case),+]);
        })+
    };
}

broken! {
    no_envelope: NoEnvelope => ["damage::truncated", "damage::flipped", "damage::garbage", "places::frame"],
    loses_repeats: LosesRepeats => ["round_trip::heads"],
    refuses_empty_frames: RefusesEmptyFrames => ["round_trip::every_frame"],
    keeps_large_frames_short: KeepsLargeFramesShort => ["round_trip::every_frame"],
    ignores_namespace: IgnoresNamespace => ["places::namespace"],
    ignores_key: IgnoresKey => ["places::key"],
    ignores_variant: IgnoresVariant => ["places::variant"],
    ignores_body: IgnoresBody => ["places::body"],
    ignores_index: IgnoresIndex => ["places::frame"],
    ignores_last: IgnoresLast => ["places::end"],
    panics: Panics => ["damage::truncated", "damage::garbage"],
    says_other: SaysOther => ["damage::truncated", "damage::flipped", "places::key"],
    believes_lengths: BelievesLengths => ["claims::lengths"],
    falls_back: FallsBack => ["damage::truncated", "damage::garbage"],
    appends_trailing: AppendsTrailing => ["damage::trailing"],
    ignores_part: IgnoresPart => ["places::head_and_frame"],
}
