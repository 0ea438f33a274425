//! The storage that fails on purpose: each fault does what it says, and what stands beneath stays sound.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache_api::*;
use cache_backend_memory::MemoryStorage;
use cache_conformance::{
    Ability, Opened, Subject, Suite,
    fault::{Fault, FaultyStorage, Injected, Operation, Rule, Seeded},
    sample::{entry, inline, is_stored, key, put, put_stored, start, stored},
};
use futures_util::{FutureExt, StreamExt};

fn faulty() -> FaultyStorage {
    FaultyStorage::new(Arc::new(MemoryStorage::new()))
}

struct Wrapped;

#[async_trait::async_trait]
impl Subject for Wrapped {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let memory = MemoryStorage::builder().namespace(namespace.clone()).limits(limits).build()?;
        Ok(Arc::new(FaultyStorage::new(Arc::new(memory))))
    }
}

/// With all abilities passed on.
#[test]
fn without_rules_it_is_as_good_as_what_it_stands_on() {
    let report = Suite::new("faulty", Wrapped).without(Ability::Events).run_quiet(|_| true);
    assert!(report.is_sound(), "{report}");
}

/// Calls each operation once; what came of it, by name.
async fn each_once(storage: &FaultyStorage) -> Vec<(Operation, Result<()>)> {
    let now = start();
    let found = storage.inner_lookup(key(1)).await;
    let body = BodyId::random().unwrap();
    let abilities = storage.abilities();
    let (leases, listing) = (abilities.leases.unwrap(), abilities.listing.unwrap());
    let lease = Lease { key: key(7), token: [1; 16] };
    let change = Change::Put(inline(vec![1]).unwrap());
    let used = Use { key: key(1), variant: VariantId::ONLY, at: now };
    let second = storage.writer(found.ticket(), BodyId::random().unwrap(), now).await;
    let mut outcomes = vec![
        (Operation::Lookup, storage.lookup(&key(1), now).await.map(drop)),
        (Operation::Read, storage.read(&key(1), found.variants()[0].version.body, 0..1).await.map(drop)),
        (Operation::Writer, storage.writer(found.ticket(), body, now).await.map(drop)),
        (
            Operation::Commit,
            storage.commit(found.ticket(), entry(key(1), "x", now), change, now).await.map(drop),
        ),
        (Operation::Remove, storage.remove(&key(5), None, now).await.map(drop)),
        (Operation::Acquire, leases.acquire(&key(6), Duration::from_secs(1), now).await.map(drop)),
        (Operation::Extend, leases.extend(&lease, Duration::from_secs(1), now).await.map(drop)),
        (Operation::Release, leases.release(&lease, Outcome::Done, now).await),
        (Operation::Purge, abilities.tags.unwrap().purge(&[], now).await.map(drop)),
        (Operation::Count, listing.count(&Filter::all(), now).await.map(drop)),
        (
            Operation::List,
            listing.list(&Filter::all(), now).collect::<Vec<_>>().await.pop().unwrap().map(drop),
        ),
        (Operation::Sweep, listing.sweep(now).await.map(drop)),
        (Operation::Touch, abilities.touch.unwrap().touch(&[used], now).await),
    ];
    if let Ok(mut writer) = second {
        outcomes.push((Operation::Write, writer.write(Frame::from_bytes(vec![1].into())).await));
        if outcomes.last().unwrap().1.is_ok() {
            outcomes.push((Operation::Finish, writer.finish(1).await.map(drop)));
        }
    }
    outcomes.push((Operation::Clear, listing.clear(now).await.map(drop)));
    outcomes.push((Operation::Close, storage.close().await));
    outcomes
}

/// A look past the faults.
trait Beneath {
    async fn inner_lookup(&self, key: CacheKey) -> Resource;
}

impl Beneath for FaultyStorage {
    async fn inner_lookup(&self, key: CacheKey) -> Resource {
        self.beneath().lookup(&key, start()).await.unwrap()
    }
}

#[tokio::test]
async fn each_operation_fails_alone() {
    // Memory tells no events: `fault_events.rs` is about them.
    for failing in Operation::ALL.iter().filter(|operation| **operation != Operation::Subscribe) {
        for fault in [Fault::Error(ErrorKind::Unavailable), Fault::LostAnswer(ErrorKind::Timeout)] {
            let storage = faulty();
            put(&storage, key(1), vec![1; 10], &[], start()).await.unwrap();
            storage.inject(Rule::on(*failing, fault));
            let outcomes = each_once(&storage).await;
            for (operation, outcome) in &outcomes {
                match outcome {
                    Err(error) => {
                        assert_eq!(operation, failing, "{error}");
                        assert!(error.is_transient() && error.backend() == Some("faulty"), "{error}");
                        assert_eq!(error.operation(), operation.name());
                    }
                    Ok(()) => assert_ne!(operation, failing),
                }
            }
            if !matches!(failing, Operation::Writer) {
                assert!(
                    outcomes.iter().any(|(operation, _)| operation == failing),
                    "{failing} was not called"
                );
            }
            assert!(storage.injected().iter().all(|injected| injected.operation == *failing));
            assert!(!storage.injected().is_empty());
        }
    }
}

#[tokio::test]
async fn an_error_leaves_no_trace_and_a_lost_answer_does() {
    for (fault, happens) in
        [(Fault::Error(ErrorKind::Unavailable), false), (Fault::LostAnswer(ErrorKind::Timeout), true)]
    {
        let storage = faulty();
        let now = start();
        storage.inject(Rule::on(Operation::Commit, fault));
        put(&storage, key(1), vec![1; 10], &[], now).await.unwrap_err();
        assert_eq!(storage.inner_lookup(key(1)).await.variants().len(), usize::from(happens), "{fault:?}");
        storage.heal();
        put(&storage, key(1), vec![1; 10], &[], now).await.unwrap();
        storage.inject(Rule::on(Operation::Remove, fault));
        storage.remove(&key(1), None, now).await.unwrap_err();
        assert_eq!(storage.inner_lookup(key(1)).await.variants().is_empty(), happens, "{fault:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_goes_on_to_read_and_remove() {
    let storage = faulty();
    let now = start();
    put(&storage, key(1), vec![1; 10], &[], now).await.unwrap();
    storage.inject(Rule::any(Operation::STORING, Fault::Error(ErrorKind::Full)));
    for outcome in
        [put(&storage, key(2), vec![1], &[], now).await, put_stored(&storage, key(2), 1, 10, now).await]
    {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Full);
    }
    assert_eq!(storage.lookup(&key(1), now).await.unwrap().variants().len(), 1);
    assert_eq!(storage.remove(&key(1), None, now).await.unwrap(), 1);
    storage.heal();
    assert!(is_stored(&put(&storage, key(2), vec![1], &[], now).await.unwrap()));
}

#[tokio::test]
async fn a_writer_breaks_at_a_frame_and_stays_broken() {
    for fault in [Fault::Error(ErrorKind::Unavailable), Fault::LostAnswer(ErrorKind::Unavailable)] {
        let storage = faulty();
        storage.inject(Rule::on(Operation::Write, fault).at_frame(2));
        for _ in 0..2 {
            let found = storage.lookup(&key(1), start()).await.unwrap();
            let mut writer =
                storage.writer(found.ticket(), BodyId::random().unwrap(), start()).await.unwrap();
            let frame = || Frame::from_bytes(vec![1; FRAME_SIZE].into());
            writer.write(frame()).await.unwrap();
            writer.write(frame()).await.unwrap();
            assert!(writer.write(frame()).await.unwrap_err().is_transient());
            assert_eq!(writer.write(frame()).await.unwrap_err().kind(), ErrorKind::Misuse);
            assert_eq!(writer.finish(1).await.unwrap_err().kind(), ErrorKind::Misuse);
        }
        // Shorter bodies have no such frame.
        assert!(is_stored(&put_stored(&storage, key(2), 1, 2 * FRAME_SIZE, start()).await.unwrap()));
    }
}

#[tokio::test]
async fn what_is_torn_lacks_a_part() {
    let storage = faulty();
    let now = start();
    put_stored(&storage, key(1), 7, 3 * FRAME_SIZE, now).await.unwrap();
    put(&storage, key(2), vec![7; 100], &[], now).await.unwrap();
    let body = storage.lookup(&key(1), now).await.unwrap().variants()[0].version.body;

    storage.inject(Rule::on(Operation::Read, Fault::Short).once());
    assert_eq!(storage.read(&key(1), body, 0..3).await.unwrap().len(), 2);
    storage.inject(Rule::on(Operation::Read, Fault::CutBody).once());
    for frame in storage.read(&key(1), body, 0..3).await.unwrap() {
        assert!(frame.value().is_none());
        assert_eq!(frame.bytes().await.unwrap().len(), FRAME_SIZE / 2);
    }
    storage.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Gone)).once());
    assert!(storage.read(&key(1), body, 0..3).await.unwrap_err().is_gone());
    assert_eq!(storage.read(&key(1), body, 0..3).await.unwrap().len(), 3);

    let whole = storage.lookup(&key(2), now).await.unwrap();
    let head = whole.variants()[0].head.bytes().await.unwrap().len();
    storage.inject(Rule::on(Operation::Lookup, Fault::CutHead).once());
    let torn = storage.lookup(&key(2), now).await.unwrap();
    assert_eq!(torn.variants()[0].head.bytes().await.unwrap().len(), head / 2);
    storage.inject(Rule::on(Operation::Lookup, Fault::CutBody).once());
    let torn = storage.lookup(&key(2), now).await.unwrap();
    let Body::Inline(inline) = &torn.variants()[0].body else { panic!("{torn:?}") };
    assert_eq!(inline.frame.bytes().await.unwrap().len(), 50);
    assert_eq!(torn.ticket().saw(&VariantId::ONLY), whole.ticket().saw(&VariantId::ONLY));

    let listing = storage.abilities().listing.unwrap();
    storage.inject(Rule::on(Operation::List, Fault::CutHead).once());
    for found in listing.list(&Filter::all(), now).collect::<Vec<_>>().await {
        assert_eq!(found.unwrap().head.bytes().await.unwrap().len(), head / 2);
    }
    storage.inject(Rule::on(Operation::List, Fault::LostAnswer(ErrorKind::Unavailable)).once());
    let listed = listing.list(&Filter::all(), now).collect::<Vec<_>>().await;
    assert_eq!(listed.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    assert_eq!(listing.list(&Filter::all(), now).collect::<Vec<_>>().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn delays_pass_and_what_hangs_does_not() {
    let storage = faulty();
    let (key, now) = (key(1), start());
    put(&storage, key, vec![1], &[], now).await.unwrap();
    let begun = tokio::time::Instant::now();
    storage.inject(Rule::on(Operation::Lookup, Fault::Delay(Duration::from_secs(90))).once());
    assert_eq!(storage.lookup(&key, now).await.unwrap().variants().len(), 1);
    assert_eq!(begun.elapsed(), Duration::from_secs(90));
    for (fault, left) in [(Fault::Hang, 1), (Fault::HangAfter, 0)] {
        storage.inject(Rule::on(Operation::Remove, fault).once());
        let removal = tokio::time::timeout(Duration::from_secs(3600), storage.remove(&key, None, now));
        assert!(removal.await.is_err());
        assert_eq!(storage.lookup(&key, now).await.unwrap().variants().len(), left, "{fault:?}");
    }
    // What hangs goes on hanging when all is healed.
    storage.inject(Rule::on(Operation::Lookup, Fault::Hang));
    let mut lookup = Box::pin(storage.lookup(&key, now));
    assert!((&mut lookup).now_or_never().is_none());
    storage.heal();
    assert!(tokio::time::timeout(Duration::from_secs(3600), lookup).await.is_err());
    storage.lookup(&key, now).await.unwrap();
}

#[tokio::test]
async fn rules_count_the_calls_they_are_about() {
    let storage = faulty();
    let now = start();
    let [gone, lost] = [Fault::Error(ErrorKind::Gone), Fault::Error(ErrorKind::Unavailable)];
    storage.lookup(&key(1), now).await.unwrap();
    storage.inject(Rule::on(Operation::Lookup, gone).nth(2));
    storage.inject(Rule::any(&[Operation::Lookup, Operation::Remove], lost).calls(1..4));
    // One that fits nowhere does nothing.
    storage.inject(Rule::on(Operation::Remove, Fault::Short));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(storage.lookup(&key(1), now).await.err().map(|error| error.kind()));
        kinds.push(storage.remove(&key(1), None, now).await.err().map(|error| error.kind()));
    }
    let [gone, lost] = [Some(ErrorKind::Gone), Some(ErrorKind::Unavailable)];
    assert_eq!(kinds, [None, lost, lost, lost, gone, None]);
    assert_eq!((storage.calls(Operation::Lookup), storage.calls(Operation::Remove)), (4, 3));
    let injected: Vec<_> = storage.injected().iter().map(|i: &Injected| (i.operation, i.call)).collect();
    let expected =
        [(Operation::Remove, 0), (Operation::Lookup, 2), (Operation::Remove, 1), (Operation::Lookup, 3)];
    assert_eq!(injected, expected);
}

/// All that `storage` holds, past the faults: versions and whole bodies.
async fn state(storage: &FaultyStorage, now: SystemTime) -> Vec<(u64, Version, Vec<u8>)> {
    let inner = storage.beneath();
    let mut all = Vec::new();
    for number in 0..4 {
        for variant in inner.lookup(&key(number), now).await.unwrap().variants() {
            let frames =
                inner.read(&key(number), variant.version.body, 0..variant.body.frames()).await.unwrap();
            let mut bytes = Vec::new();
            for frame in &frames {
                bytes.extend_from_slice(frame.bytes().await.unwrap());
            }
            assert_eq!(bytes.len() as u64, variant.body.len(), "a torn body");
            assert!(bytes == vec![bytes[0]; bytes.len()], "a mixed body");
            all.push((number, variant.version, bytes));
        }
    }
    all
}

/// One step of a life: whether it failed, and what must be there if it happened.
async fn step(storage: &FaultyStorage, dice: u64, now: SystemTime) -> Result<()> {
    let key = key(dice % 4);
    let byte = u8::try_from(dice % 251).unwrap();
    match dice / 4 % 4 {
        0 => drop(storage.remove(&key, None, now).await?),
        1 => drop(put_stored(storage, key, byte, 300_000, now).await?),
        2 => drop(put(storage, key, vec![byte; 100], &[], now).await?),
        _ => {
            let found = storage.lookup(&key, now).await?;
            if let Some(variant) = found.variants().first() {
                let keep = Change::Keep(variant.version);
                storage.commit(found.ticket(), entry(key, "fresh", now), keep, now).await?;
            }
        }
    }
    Ok(())
}

/// Whatever fails on the way, an operation happened whole or not at all.
#[tokio::test]
async fn what_stands_beneath_is_as_before_or_as_after() {
    let mut injected = 0;
    for seed in 0..40 {
        let storage = faulty();
        storage.by_chance(Seeded::new(seed).per_mille(200));
        let now = start();
        let mut dice = seed;
        for _ in 0..60 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let before = state(&storage, now).await;
            let outcome = step(&storage, dice >> 33, now).await;
            let after = state(&storage, now).await;
            let touched = (dice >> 33) % 4;
            let others = |all: &[(u64, Version, Vec<u8>)]| {
                all.iter().filter(|(number, ..)| *number != touched).cloned().collect::<Vec<_>>()
            };
            assert_eq!(others(&before), others(&after), "seed {seed}: another resource changed");
            if outcome.is_err() {
                let (was, is) =
                    (before.iter().find(|e| e.0 == touched), after.iter().find(|e| e.0 == touched));
                let whole = match (was, is) {
                    _ if was == is => true,
                    // It happened: there is a new body, the same with a new head, or none.
                    (Some(was), Some(is)) => {
                        is.1.body != was.1.body || is.1.head == was.1.head + 1 && is.2 == was.2
                    }
                    _ => true,
                };
                assert!(whole, "seed {seed}: {was:?} became {is:?}");
            }
        }
        injected += storage.injected().len();
    }
    assert!(injected > 200, "{injected} faults");
}

/// The same calls meet the same faults.
#[tokio::test]
async fn a_seed_repeats_itself() {
    let mut runs = Vec::new();
    for seed in [3, 3, 4] {
        let storage = faulty();
        storage.by_chance(Seeded::new(seed).per_mille(300));
        for number in 0..50 {
            let _ = step(&storage, number * 7, start()).await;
        }
        runs.push(storage.injected());
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(!runs[0].is_empty());
}

/// Nothing that a storage returns torn is taken for whole.
#[tokio::test]
async fn torn_reads_do_not_decode() {
    let storage = faulty();
    let (now, serializer) = (start(), Arc::new(CborSerializer::new()));
    let found = storage.lookup(&key(1), now).await.unwrap();
    let id = BodyId::random().unwrap();
    let place = Place::head(storage.namespace(), key(1), VariantId::ONLY, id).frame(0, true);
    let mut writer = storage.writer(found.ticket(), id, now).await.unwrap();
    let frame = Frame::new(vec![5; 1000].into(), serializer.clone(), place.clone());
    writer.write(frame).await.unwrap();
    let body = writer.finish(1000).await.unwrap();
    storage
        .commit(found.ticket(), entry(key(1), "head", now), Change::Put(Body::Stored(body)), now)
        .await
        .unwrap();
    storage.inject(Rule::on(Operation::Read, Fault::CutBody).once());
    let torn = storage.read(&key(1), id, 0..1).await.unwrap();
    assert!(torn[0].decode(&*serializer, &place).await.unwrap_err().is_corrupt());
    let whole = storage.read(&key(1), id, 0..1).await.unwrap();
    assert_eq!(whole[0].decode(&*serializer, &place).await.unwrap().len(), 1000);
    // A body of which a write was lost is not there.
    storage.inject(Rule::on(Operation::Write, Fault::LostAnswer(ErrorKind::Timeout)).once());
    let ticket = storage.lookup(&key(2), now).await.unwrap();
    assert!(stored(&storage, ticket.ticket(), 1, 10, now).await.unwrap_err().is_transient());
    assert!(storage.inner_lookup(key(2)).await.variants().is_empty());
}
