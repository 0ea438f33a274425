//! A commit and a removal that meet.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    Failure,
    bench::{Bench, tag},
    draft::Draft,
    failure::{Context, Outcome, ensure_eq},
    step::{MAX_POLLS, jitter, meanwhile, step},
    store::{Pending, Store},
};

/// The ways to remove a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Key,
    Tag,
    Clear,
}

pub(crate) async fn remove(store: &Store, draft: &Draft, by: By) -> Outcome<u64> {
    match by {
        By::Key => store.remove(&draft.key).await,
        By::Tag => store.tags()?.purge(&draft.tags, store.now()).await.context("purge"),
        By::Clear => store.listing()?.clear(store.now()).await.context("clear"),
    }
}

/// What was there when the commit began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    Nothing,
    /// Another body of the variant; a new one is committed.
    Body,
    /// The entry itself; a new head is committed.
    Head,
}

/// An entry and its write, up to the commit.
pub(crate) async fn under_way(
    bench: &Bench,
    store: &Store,
    before: Before,
    round: u64,
) -> Outcome<(Draft, Pending)> {
    let key = bench.key(bench.seed());
    let number = bench.seed();
    // One tag of its own, one of some others: not of all, since a purge may look at all that ever had the tag.
    let tags = [tag(&format!("tag-{number}")), tag(&format!("common-{}", number / 32))];
    let mut draft = bench.draft(key).tags(&tags);
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
pub(crate) async fn stepwise(bench: &Bench, stores: [&Store; 2], before: Before, by: By) -> Outcome {
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

/// Stops the removal after each number of polls, commits, lets it go on, and looks: there must be nothing.
pub(crate) async fn removal_stepwise(bench: &Bench, stores: [&Store; 2], before: Before, by: By) -> Outcome {
    let [writer, remover] = stores;
    for polls in 0..MAX_POLLS {
        let (draft, pending) = under_way(bench, writer, before, u64::from(polls)).await?;
        let mut removal: BoxFuture<'_, _> = Box::pin(remove(remover, &draft, by));
        let early = step(&mut removal, polls).await;
        let ended = early.is_some();
        if let Some(outcome) = early {
            outcome?;
            writer.commit(&pending).await?;
        } else {
            meanwhile(removal, writer.commit(&pending)).await?;
        }
        for store in stores {
            let why = format!("a removal by {by:?} stopped after {polls} polls, and a commit meanwhile");
            store.absent(&draft.key, &why).await?;
        }
        if ended {
            break;
        }
    }
    Ok(())
}

/// Lets commits and removals run at once, many times over.
pub(crate) async fn at_once(bench: &Bench, stores: [&Store; 2], by: By) -> Outcome {
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
pub(crate) async fn in_turn(bench: &Bench, stores: [&Store; 2], before: Before, by: By) -> Outcome {
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
