//! A removal that was acknowledged is not undone by what was under way.

use cache_api::{Committed, Refusal};
use futures_util::future::BoxFuture;

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    clock::later,
    failure::{Context, Outcome, ensure, ensure_eq},
    interleave::{Before, By, at_once, in_turn, removal_stepwise, remove, stepwise, under_way},
    step::{MAX_POLLS, meanwhile, step},
};

cases!["races";
    removal_during_commit, removal_during_commit_absent, removal_during_commit_of_a_head,
    removal_during_commit_by_tag [TAGS], removal_during_commit_by_clear [LISTING],
    commit_during_removal, commit_during_removal_by_tag [TAGS],
    commit_during_removal_by_clear [LISTING],
    removal_during_commit_at_once, removal_during_commit_by_tag_at_once [TAGS],
    removal_during_commit_by_clear_at_once [LISTING],
    removal_before_commit, removal_of_absent_before_commit, purge_before_commit [TAGS],
    purge_before_first_commit [TAGS], clear_before_commit [LISTING], clear_before_first_commit [LISTING],
    removal_of_another_variant, removal_outlives_max_write, death_forgets_no_removal [LISTING],
    sweep_forgets_no_removal [LISTING], sweep_during_commit [LISTING], commit_during_sweep [LISTING], removed_twice, store_after_removal,
];

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

async fn commit_during_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    removal_stepwise(&bench, [&store; 2], Before::Nothing, By::Key).await?;
    removal_stepwise(&bench, [&store; 2], Before::Body, By::Key).await?;
    removal_stepwise(&bench, [&store; 2], Before::Head, By::Key).await
}

async fn commit_during_removal_by_tag(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    removal_stepwise(&bench, [&store; 2], Before::Nothing, By::Tag).await?;
    removal_stepwise(&bench, [&store; 2], Before::Body, By::Tag).await?;
    removal_stepwise(&bench, [&store; 2], Before::Head, By::Tag).await
}

async fn commit_during_removal_by_clear(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    removal_stepwise(&bench, [&store; 2], Before::Nothing, By::Clear).await?;
    removal_stepwise(&bench, [&store; 2], Before::Body, By::Clear).await?;
    removal_stepwise(&bench, [&store; 2], Before::Head, By::Clear).await
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

/// A body whose time is up for the sweeper, and not yet for its writer: the entry is whole or not there.
async fn sweep_during_commit(bench: Bench) -> Outcome {
    last_moment(bench, true).await
}

async fn commit_during_sweep(bench: Bench) -> Outcome {
    last_moment(bench, false).await
}

async fn last_moment(bench: Bench, stop_commit: bool) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let draft = bench.draft(bench.key(bench.seed())).len(bench.seed(), 300_000).life(secs(100_000));
        let pending = store.begin(&draft).await?;
        bench.clock().advance(store.storage.limits().max_write);
        let ahead = later(store.now(), secs(1));
        let mut commit: BoxFuture<'_, _> = Box::pin(store.commit(&pending));
        let sweep = async { store.listing()?.sweep(ahead).await.context("sweep") };
        let mut sweep: BoxFuture<'_, _> = Box::pin(sweep);
        let (committed, ended) = if stop_commit {
            match step(&mut commit, polls).await {
                Some(committed) => {
                    sweep.await?;
                    (committed?, true)
                }
                None => (meanwhile(commit, sweep).await?.0, false),
            }
        } else {
            match step(&mut sweep, polls).await {
                Some(swept) => {
                    swept?;
                    (commit.await?, true)
                }
                None => (meanwhile(sweep, commit).await?.1, false),
            }
        };
        bench.clock().advance(secs(1));
        let why = format!("a commit and a sweep, one stopped after {polls} polls");
        if let Committed::Refused(_) = committed {
            store.absent(&draft.key, &why).await?;
        } else {
            store.check(&draft).await.context(&why)?;
            store.listing()?.sweep(store.now()).await.context("sweep")?;
            store.check(&draft).await.context(why)?;
        }
        if ended {
            break;
        }
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
