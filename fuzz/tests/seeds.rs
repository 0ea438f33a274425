//! Every target over its seeds, and over what a few changes make of them: what libFuzzer does, without its instruments,
//! on any toolchain and in seconds.
//!
//! `FUZZ_SECONDS` says how long for each target (1 by default), `FUZZ_SEED` where the changes begin.

#![allow(clippy::disallowed_methods, reason = "each target has its time by the clock on the wall")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use cache_fuzz::TARGETS;

#[test]
fn seeds_and_what_is_near_them() {
    let time = Duration::from_secs(setting("FUZZ_SECONDS").unwrap_or(1));
    let seed = setting("FUZZ_SEED").unwrap_or(7);
    for (name, run) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| run(seed));
        let (mut random, began, mut count) = (fastrand::Rng::with_seed(seed), Instant::now(), 0_u64);
        while began.elapsed() < time {
            let input = changed(&mut random, &seeds);
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                panic!("{name} fails for {:?}, with FUZZ_SEED={seed}", input.escape_ascii().to_string());
            }
            count += 1;
        }
        println!("{name}: {count} inputs near {} seeds", seeds.len());
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A seed with a few changes: bytes turned, taken out, put in, repeated, or another seed's.
fn changed(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=8) {
        let at = random.usize(0..=input.len());
        let end = (at + random.usize(0..16)).min(input.len());
        match random.u8(0..6) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, random.u8(..)),
            2 => input[at..end].iter_mut().for_each(|byte| *byte ^= 1 << random.u8(0..8)),
            3 => input[at..end]
                .iter_mut()
                .for_each(|byte| *byte = *random.choice(b"0123456789,=\"- \n;").unwrap()),
            4 => {
                let piece = input[at..end].to_vec();
                drop(input.splice(at..at, piece));
            }
            _ => {
                let other = random.choice(seeds).unwrap();
                let from = random.usize(0..=other.len());
                let to = (from + random.usize(0..32)).min(other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    input
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
