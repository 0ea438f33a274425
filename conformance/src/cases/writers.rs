//! Two writers of one variant: one wins. Two writers of two variants: both do.

use cache_api::{Body, BodyId, Change, Committed, ErrorKind, Refusal, StoredBody};
use futures_util::future::{BoxFuture, join_all};

use crate::{
    Failure,
    bench::{Bench, secs, variant},
    case::cases,
    clock::later,
    draft::Draft,
    failure::{Context, Outcome, ensure, ensure_eq},
    step::{MAX_POLLS, jitter, meanwhile, step},
    store::{Pending, Store, find},
};

cases!["writers";
    overtaken, overtaken_after_a_lookup, head_in_between, one_variant_at_once, one_variant_stepwise, two_variants_at_once, two_variants_stepwise,
    eight_variants_at_once, repeated_commit, repeated_commit_of_an_overtaken, repeated_commit_after_removal,
    repeated_commit_after_version_removal [LISTING], ticket_of_another_resource,
    ticket_too_old, ticket_just_in_time, body_never_written, after_death, two_bodies_of_one_ticket,
];

/// Who saw nothing cannot overwrite what came meanwhile.
async fn overtaken(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let key = bench.key(u64::from(stored));
        let (mut first, mut second) = (bench.draft(key), bench.draft(key));
        (first.stored, second.stored) = (stored, stored);
        let (slow, fast) = (store.begin(&first).await?, store.begin(&second).await?);
        store.complete(&fast).await?;
        store.refuse(&slow, Some(Refusal::Replaced), "a writer that was overtaken").await?;
        store.check(&second).await?;
    }
    Ok(())
}

/// The same where both saw an older body.
async fn overtaken_after_a_lookup(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let key = bench.key(1);
    store.put(&bench.draft(key)).await?;
    let (first, second) = (bench.draft(key), bench.draft(key));
    let (slow, fast) = (store.begin(&first).await?, store.begin(&second).await?);
    store.complete(&fast).await?;
    store.refuse(&slow, Some(Refusal::Replaced), "a writer that was overtaken").await?;
    store.check(&second).await?;
    Ok(())
}

/// A head replaced in between refuses no body.
async fn head_in_between(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1));
    let version = store.put(&old).await?.version;
    let new = bench.draft(old.key).stored();
    let pending = store.begin(&new).await?;
    store.replace_head(&old, version).await?;
    store.complete(&pending).await?;
    store.check(&new).await?;
    Ok(())
}

async fn one_variant_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    race_of_one(&bench, &[store]).await
}

/// Writers that all saw nothing, one on each storage or several on one: exactly one wins.
pub(super) async fn race_of_one(bench: &Bench, stores: &[Store]) -> Outcome {
    for round in 0..15 {
        let key = bench.key(round);
        let mut writers = Vec::new();
        for store in stores.iter().cycle().take(4.max(stores.len())) {
            let mut draft = bench.draft(key);
            draft.stored = round % 2 == 1;
            writers.push((store.clone(), store.begin(&draft).await?, draft));
        }
        let drafts: Vec<_> = writers.iter().map(|(_, _, draft)| draft.clone()).collect();
        let outcomes = commit_at_once(bench, writers).await?;
        let mut won = drafts.iter().zip(&outcomes).filter(|(_, o)| matches!(o, Committed::Stored { .. }));
        let Some((winner, _)) = won.next() else {
            return Err(Failure::new(format!("expected one of the writers to win, found {outcomes:?}")));
        };
        ensure!(won.next().is_none(), "expected one writer to win, found {outcomes:?}");
        for outcome in &outcomes {
            if let Committed::Refused(reason) = outcome {
                ensure_eq!(*reason, Refusal::Replaced, "why a writer that came second was refused");
            }
        }
        for store in stores {
            store.check(winner).await?;
            let found = store.lookup(&key).await?;
            ensure_eq!(found.variants().len(), 1, "the entries that racing writers left");
        }
    }
    Ok(())
}

async fn two_variants_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    race_of_many(&bench, &[store], 2).await
}

async fn eight_variants_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    race_of_many(&bench, &[store], 8).await
}

/// Writers of as many variants of one resource: all are kept.
pub(super) async fn race_of_many(bench: &Bench, stores: &[Store], variants: u8) -> Outcome {
    for round in 0..15 {
        let key = bench.key(round);
        let mut writers = Vec::new();
        for (store, number) in stores.iter().cycle().zip(0..variants) {
            let mut draft = bench.draft(key).variant(variant(number));
            draft.stored = (u64::from(number) + round) % 3 == 0;
            writers.push((store.clone(), store.begin(&draft).await?, draft));
        }
        let drafts: Vec<_> = writers.iter().map(|(_, _, draft)| draft.clone()).collect();
        for outcome in commit_at_once(bench, writers).await? {
            ensure!(
                matches!(outcome, Committed::Stored { .. }),
                "expected writers of different variants not to meet, found {outcome:?}"
            );
        }
        for store in stores {
            let found = store.lookup(&key).await?;
            ensure_eq!(found.variants().len(), usize::from(variants), "the variants of as many writers");
            for draft in &drafts {
                store.check_in(&found, draft).await?;
            }
        }
    }
    Ok(())
}

async fn one_variant_stepwise(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], [1, 1]).await
}

async fn two_variants_stepwise(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], [1, 2]).await
}

/// Stops a commit after each number of polls, and commits another meanwhile: of one variant one is kept, and
/// the other refused; of two both are.
pub(super) async fn stepwise(bench: &Bench, stores: [&Store; 2], variants: [u8; 2]) -> Outcome {
    let [one, two] = stores;
    for polls in 0..MAX_POLLS {
        let key = bench.key(bench.seed());
        let mut drafts = variants.map(|number| bench.draft(key).variant(variant(number)));
        drafts.iter_mut().for_each(|draft| draft.stored = polls % 2 == 1);
        let [first, second] = &drafts;
        let (slow, fast) = (one.begin(first).await?, two.begin(second).await?);
        let mut slow: BoxFuture<'_, _> = Box::pin(one.commit(&slow));
        let early = step(&mut slow, polls).await;
        let ended = early.is_some();
        let outcomes = match early {
            Some(outcome) => [outcome?, two.commit(&fast).await?],
            None => meanwhile(slow, two.commit(&fast)).await?.into(),
        };
        let [a, b] = variants;
        let kept = outcomes.iter().filter(|o| matches!(o, Committed::Stored { .. })).count();
        let why = format!("a commit stopped after {polls} polls, and another meanwhile");
        ensure_eq!(kept, if a == b { 1 } else { 2 }, "the commits that came through of {why}");
        for store in stores {
            let found = store.lookup(&key).await?;
            ensure_eq!(found.variants().len(), kept, "the variants after {why}");
            for (draft, outcome) in drafts.iter().zip(&outcomes) {
                if matches!(outcome, Committed::Stored { .. }) {
                    store.check_in(&found, draft).await.context(&why)?;
                }
            }
        }
        if ended {
            break;
        }
    }
    Ok(())
}

async fn commit_at_once(bench: &Bench, writers: Vec<(Store, Pending, Draft)>) -> Outcome<Vec<Committed>> {
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(writers.len()));
    let tasks = writers.into_iter().map(|(store, pending, _)| {
        let (barrier, seed) = (barrier.clone(), bench.seed());
        tokio::spawn(async move {
            barrier.wait().await;
            jitter(seed).await;
            store.commit(&pending).await
        })
    });
    let outcomes = join_all(tasks).await;
    outcomes.into_iter().map(|joined| joined.map_err(|e| Failure::new(e.to_string()))?).collect()
}

/// A commit whose answer was lost may be sent again.
async fn repeated_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored)));
        draft.stored = stored;
        let pending = store.begin(&draft).await?;
        let first = store.complete(&pending).await?;
        let again = store.complete(&pending).await?;
        ensure_eq!(again.version, first.version, "the version of a commit sent again");
        ensure_eq!(again.dead_at, first.dead_at, "dead_at of a commit sent again");
        store.check(&draft).await?;
    }
    Ok(())
}

async fn repeated_commit_of_an_overtaken(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let first = bench.draft(bench.key(1)).stored();
    let pending = store.begin(&first).await?;
    store.complete(&pending).await?;
    let second = bench.draft(bench.key(1)).stored();
    store.put(&second).await?;
    store.refuse(&pending, None, "a commit sent again after another replaced it").await?;
    store.check(&second).await?;
    Ok(())
}

/// An answer was lost, the entry removed, and the commit sent again: the removal wins.
async fn repeated_commit_after_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored)));
        draft.stored = stored;
        let pending = store.begin(&draft).await?;
        store.complete(&pending).await?;
        store.remove(&draft.key).await?;
        store.refuse(&pending, Some(Refusal::Removed), "a commit sent again after a removal").await?;
        store.absent(&draft.key, "a removed entry").await?;
    }
    Ok(())
}

/// Removing one version refuses nothing under way. Whatever comes of the same commit sent again, an entry that
/// is visible afterwards keeps its body.
async fn repeated_commit_after_version_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 300_000).life(secs(100_000));
    let pending = store.begin(&draft).await?;
    let version = store.complete(&pending).await?.version;
    store.remove_version(&draft.key, version).await?;
    store.commit(&pending).await?;
    bench.clock().advance(store.storage.limits().read_grace + secs(1));
    store.listing()?.sweep(store.now()).await.context("sweep")?;
    let found = store.lookup(&draft.key).await?;
    if !found.variants().is_empty() {
        store.check_in(&found, &draft).await.context("an entry whose removed body was committed again")?;
    }
    Ok(())
}

async fn ticket_of_another_resource(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let mut pending = store.begin(&draft).await?;
    pending.ticket = store.lookup(&bench.key(2)).await?.ticket().clone();
    match store.try_commit(&pending).await {
        Err(error) => ensure_eq!(error.kind(), ErrorKind::Misuse, "the error for another resource's ticket"),
        Ok(found) => ensure!(false, "expected Misuse of another resource's ticket, found {found:?}"),
    }
    store.absent(&bench.key(1), "a commit with another resource's ticket").await?;
    store.absent(&bench.key(2), "a commit with another resource's ticket").await
}

async fn ticket_too_old(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let kept = bench.draft(bench.key(2)).life(secs(100_000));
    let version = store.put(&kept).await?.version;
    let ticket = store.lookup(&kept.key).await?.ticket().clone();
    let pending = store.begin(&draft).await?;
    bench.clock().advance(store.storage.limits().max_write + secs(1));
    store.refuse(&pending, Some(Refusal::TicketExpired), "a ticket older than max_write").await?;
    store.absent(&draft.key, "a commit with a ticket older than max_write").await?;
    let keep = store.freshen(&ticket, &kept, version);
    store.refuse(&keep, Some(Refusal::TicketExpired), "a ticket older than max_write").await?;
    ensure_eq!(store.check(&kept).await?.version, version, "the version after a refusal");
    Ok(())
}

async fn ticket_just_in_time(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let pending = store.begin(&draft).await?;
    bench.clock().advance(store.storage.limits().max_write);
    store.complete(&pending).await?;
    store.check(&draft).await?;
    Ok(())
}

async fn body_never_written(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let mut pending = store.begin(&draft).await?;
    let id = BodyId::random()?;
    let limit = later(store.now(), secs(1000));
    pending.change = Change::Put(Body::Stored(StoredBody { id, frames: 1, len: 100, limit }));
    pending.entry = store.entry(&draft, id);
    store.refuse(&pending, Some(Refusal::BodyGone), "a body never written").await?;
    store.absent(&draft.key, "a commit of a body never written").await
}

/// A dead body is none: who saw nothing may store in its place.
async fn after_death(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1)).life(secs(10));
    let new = bench.draft(bench.key(1));
    let pending = store.begin(&new).await?;
    store.put(&old).await?;
    bench.clock().advance(secs(10));
    store.complete(&pending).await?;
    store.check(&new).await?;
    Ok(())
}

/// One ticket serves two variants, and not the same twice.
async fn two_bodies_of_one_ticket(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let key = bench.key(1);
    let ticket = store.lookup(&key).await?.ticket().clone();
    let (one, two) = (bench.draft(key).variant(variant(1)), bench.draft(key).variant(variant(2)));
    for draft in [&one, &two] {
        let pending = store.begin_with(ticket.clone(), draft).await?;
        store.complete(&pending).await?;
    }
    let again = store.begin_with(ticket, &bench.draft(key).variant(variant(1))).await?;
    store.refuse(&again, Some(Refusal::Replaced), "a second body under one ticket").await?;
    let found = store.lookup(&key).await?;
    find(&found, variant(1))?;
    store.check_in(&found, &one).await?;
    store.check_in(&found, &two).await?;
    Ok(())
}
