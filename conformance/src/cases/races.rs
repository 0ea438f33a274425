//! A removal that was acknowledged is not undone by what was under way.

use std::sync::Arc;

use cache_api::Refusal;
use futures_util::future::BoxFuture;

use crate::{
    Failure,
    bench::{Bench, secs, tag, variant},
    case::cases,
    draft::Draft,
    failure::{Context, Outcome, ensure, ensure_eq},
    step::{MAX_POLLS, jitter, meanwhile, step},
    store::{Pending, Store},
};

cases!["races";
    removal_during_commit, removal_during_commit_absent, removal_during_commit_of_a_head,
    removal_during_commit_by_tag [TAGS], removal_during_commit_by_clear [LISTING],
    removal_during_commit_at_once, removal_during_commit_by_tag_at_once [TAGS],
    removal_during_commit_by_clear_at_once [LISTING],
    removal_before_commit, removal_of_absent_before_commit, purge_before_commit [TAGS],
    purge_before_first_commit [TAGS], clear_before_commit [LISTING], clear_before_first_commit [LISTING],
    removal_of_another_variant, removal_outlives_max_write, death_forgets_no_removal [LISTING],
    sweep_forgets_no_removal [LISTING], removed_twice, store_after_removal,
];

/// The ways to remove a resource.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Key,
    Tag,
    Clear,
}

pub(super) async fn remove(store: &Store, draft: &Draft, by: By) -> Outcome<u64> {
    match by {
        By::Key => store.remove(&draft.key).await,
        By::Tag => store.tags()?.purge(&draft.tags, store.now()).await.context("purge"),
        By::Clear => store.listing()?.clear(store.now()).await.context("clear"),
    }
}

/// What was there when the commit began.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before {
    Nothing,
    /// Another body of the variant; a new one is committed.
    Body,
    /// The entry itself; a new head is committed.
    Head,
}

/// An entry and its write, up to the commit.
async fn under_way(bench: &Bench, store: &Store, before: Before, round: u64) -> Outcome<(Draft, Pending)> {
    let key = bench.key(bench.seed());
    let name = format!("tag-{}", bench.seed());
    let mut draft = bench.draft(key).tags(&[tag(&name), tag("common")]);
    draft.stored = round % 2 == 1;
    match before {
        Before::Nothing => {}
        Before::Body => {
            let mut old = bench.draft(key).tags(&draft.tags);
            old.stored = draft.stored;
            store.put_at_last(&old).await?;
        }
        Before::Head => {
            let version = store.put_at_last(&draft).await?.version;
            let found = store.lookup(&key).await?;
            return Ok((draft.clone(), store.freshen(found.ticket(), &draft, version)));
        }
    }
    let pending = store.begin(&draft).await?;
    Ok((draft, pending))
}

/// Stops the commit after each number of polls, removes, lets it go on, and looks: there must be nothing.
pub(super) async fn stepwise(bench: &Bench, stores: [&Store; 2], before: Before, by: By) -> Outcome {
    let [writer, remover] = stores;
    for polls in 0..MAX_POLLS {
        let (draft, pending) = under_way(bench, writer, before, u64::from(polls)).await?;
        let mut commit: BoxFuture<'_, _> = Box::pin(writer.commit(&pending));
        let early = step(&mut commit, polls).await;
        let ended = early.is_some();
        if let Some(outcome) = early {
            outcome?;
            remove(remover, &draft, by).await?;
        } else {
            meanwhile(commit, remove(remover, &draft, by)).await?;
        }
        for store in stores {
            let why = format!("a commit stopped after {polls} polls, then a removal by {by:?}");
            store.absent(&draft.key, &why).await?;
        }
        if ended {
            break;
        }
    }
    Ok(())
}

/// Lets commits and removals run at once, many times over.
pub(super) async fn at_once(bench: &Bench, stores: [&Store; 2], by: By) -> Outcome {
    let [writer, remover] = stores.map(Clone::clone);
    for round in 0..60 {
        let before = match round % 3 {
            0 => Before::Nothing,
            1 => Before::Body,
            _ => Before::Head,
        };
        let (draft, pending) = under_way(bench, &writer, before, round).await?;
        let barrier = Arc::new(tokio::sync::Barrier::new(2));
        let committing = {
            let (store, barrier, seed) = (writer.clone(), Arc::clone(&barrier), bench.seed());
            tokio::spawn(async move {
                barrier.wait().await;
                jitter(seed).await;
                store.commit(&pending).await.map(|_| ())
            })
        };
        let removing = {
            let (store, draft, seed) = (remover.clone(), draft.clone(), bench.seed().wrapping_mul(5));
            tokio::spawn(async move {
                barrier.wait().await;
                jitter(seed).await;
                remove(&store, &draft, by).await.map(|_| ())
            })
        };
        let (committed, removed) = tokio::join!(committing, removing);
        committed.map_err(|e| Failure::new(e.to_string()))??;
        removed.map_err(|e| Failure::new(e.to_string()))??;
        for store in stores {
            let why = format!("a commit and a removal by {by:?} at once, in round {round}");
            store.absent(&draft.key, &why).await?;
        }
    }
    Ok(())
}

/// Looks up, removes, and commits: refused.
pub(super) async fn in_turn(bench: &Bench, stores: [&Store; 2], before: Before, by: By) -> Outcome {
    let [writer, remover] = stores;
    for round in 0..2 {
        let (draft, pending) = under_way(bench, writer, before, round).await?;
        let removed = remove(remover, &draft, by).await?;
        let expected = if matches!(before, Before::Nothing) { 0 } else { 1 };
        ensure_eq!(removed, expected, "the live entries that a removal by {by:?} found");
        writer.refuse(&pending, None, &format!("a write that began before a removal by {by:?}")).await?;
        for store in stores {
            store.absent(&draft.key, "a removed entry").await?;
        }
        writer.put_at_last(&draft).await.context("a write that began after the removal")?;
        writer.check(&draft).await?;
        remove(remover, &draft, by).await?;
    }
    Ok(())
}

async fn removal_during_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], Before::Body, By::Key).await
}

async fn removal_during_commit_absent(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], Before::Nothing, By::Key).await
}

async fn removal_during_commit_of_a_head(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], Before::Head, By::Key).await
}

async fn removal_during_commit_by_tag(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], Before::Nothing, By::Tag).await?;
    stepwise(&bench, [&store; 2], Before::Body, By::Tag).await?;
    stepwise(&bench, [&store; 2], Before::Head, By::Tag).await
}

async fn removal_during_commit_by_clear(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    stepwise(&bench, [&store; 2], Before::Nothing, By::Clear).await?;
    stepwise(&bench, [&store; 2], Before::Body, By::Clear).await?;
    stepwise(&bench, [&store; 2], Before::Head, By::Clear).await
}

async fn removal_during_commit_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    at_once(&bench, [&store; 2], By::Key).await
}

async fn removal_during_commit_by_tag_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    at_once(&bench, [&store; 2], By::Tag).await
}

async fn removal_during_commit_by_clear_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    at_once(&bench, [&store; 2], By::Clear).await
}

async fn removal_before_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Body, By::Key).await?;
    in_turn(&bench, [&store; 2], Before::Head, By::Key).await
}

async fn removal_of_absent_before_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Nothing, By::Key).await
}

async fn purge_before_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Body, By::Tag).await?;
    in_turn(&bench, [&store; 2], Before::Head, By::Tag).await
}

/// No stored entry has the tag yet: the purge must be remembered all the same.
async fn purge_before_first_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Nothing, By::Tag).await
}

async fn clear_before_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Body, By::Clear).await?;
    in_turn(&bench, [&store; 2], Before::Head, By::Clear).await
}

async fn clear_before_first_commit(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    in_turn(&bench, [&store; 2], Before::Nothing, By::Clear).await
}

/// The generation is the resource's: a variant that was not there is refused, too.
async fn removal_of_another_variant(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let there = bench.draft(bench.key(1)).variant(variant(1));
    store.put(&there).await?;
    let pending = store.begin(&bench.draft(bench.key(1)).variant(variant(2))).await?;
    store.remove(&there.key).await?;
    store.refuse(&pending, Some(Refusal::Removed), "another variant's write before a removal").await?;
    store.absent(&there.key, "a removed resource").await
}

/// At the last moment at which a ticket counts, the removal still does.
async fn removal_outlives_max_write(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for before in [Before::Nothing, Before::Body] {
        let (draft, pending) = under_way(&bench, &store, before, 0).await?;
        store.remove(&draft.key).await?;
        bench.clock().advance(store.storage.limits().max_write);
        // A store that drops the old as it goes does so at a write.
        store.put(&bench.draft(bench.key(bench.seed()))).await?;
        store.refuse(&pending, Some(Refusal::Removed), "a write that took max_write").await?;
        store.absent(&draft.key, "a removed entry").await?;
    }
    Ok(())
}

/// After a removal the resource is stored again and dies: what began before the removal is refused still.
async fn death_forgets_no_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (draft, pending) = under_way(&bench, &store, Before::Nothing, 0).await?;
    store.remove(&draft.key).await?;
    store.put(&bench.draft(draft.key).life(secs(1))).await?;
    bench.clock().advance(secs(2));
    store.listing()?.sweep(store.now()).await.context("sweep")?;
    store.put(&bench.draft(bench.key(bench.seed()))).await?;
    store.refuse(&pending, Some(Refusal::Removed), "a write that began before a removal").await?;
    store.absent(&draft.key, "a removed entry").await
}

async fn sweep_forgets_no_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for by in [By::Key, By::Clear] {
        let (draft, pending) = under_way(&bench, &store, Before::Nothing, 0).await?;
        remove(&store, &draft, by).await?;
        bench.clock().advance(store.storage.limits().max_write);
        store.listing()?.sweep(store.now()).await.context("sweep")?;
        store.refuse(&pending, Some(Refusal::Removed), "a write that took max_write, after a sweep").await?;
        store.absent(&draft.key, "a removed entry").await?;
    }
    Ok(())
}

/// Each removal moves the generation anew; it never returns to an old one.
async fn removed_twice(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let key = bench.key(1);
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(store.lookup(&key).await?.ticket().clone());
        store.remove(&key).await?;
    }
    for ticket in tickets {
        let pending = store.begin_with(ticket, &bench.draft(key)).await?;
        store.refuse(&pending, Some(Refusal::Removed), "a write before one of several removals").await?;
    }
    store.absent(&key, "a resource removed again and again").await
}

async fn store_after_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(1));
        draft.stored = stored;
        store.put(&draft).await?;
        ensure!(store.remove(&draft.key).await? == 1, "expected one variant to be removed");
        store.put(&draft).await?;
        store.check(&draft).await?;
        ensure_eq!(store.remove(&draft.key).await?, 1, "the variants removed");
        ensure_eq!(store.remove(&draft.key).await?, 0, "the variants removed again");
    }
    Ok(())
}
