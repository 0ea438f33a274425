//! A future dropped at any await leaves the variant whole or absent, and the storage at work.

use cache_api::{BodyId, CacheKey, Committed, FRAME_SIZE, Filter, Refusal};
use futures_util::{StreamExt, future::BoxFuture};

use crate::{
    Failure,
    bench::{Bench, secs, tag},
    case::cases,
    draft::Draft,
    failure::{Context, Outcome, ensure},
    step::{MAX_POLLS, cut_off},
    store::{Store, find, written},
};

cases!["cancellation"; commit, commit_inline, commit_over_another, new_head, write, lookup, read, removal, purge [TAGS], clear [LISTING],
    sweep [LISTING], listing [LISTING]];

/// Fails the case unless the resource holds one of these whole, or nothing where that is allowed; then unless
/// the storage still works.
async fn one_of(bench: &Bench, store: &Store, drafts: &[&Draft], or_nothing: bool, polls: u32) -> Outcome {
    let [first, ..] = drafts else { return Ok(()) };
    let found = store.lookup(&first.key).await.context(format!("after {polls} polls"))?;
    if found.variants().is_empty() {
        ensure!(or_nothing, "cut off after {polls} polls: expected the old or the new entry, found none");
    } else {
        let variant = find(&found, first.variant)?;
        let mut last = Ok(());
        for draft in drafts {
            let whole = async {
                store.check_head(variant, draft).await?;
                store.check_body(variant, draft).await
            };
            last = whole.await;
            if last.is_ok() {
                break;
            }
        }
        last.context(format!("cut off after {polls} polls: the entry is torn"))?;
    }
    works(bench, store, first.key).await.context(format!("after an operation cut off after {polls} polls"))
}

/// Fails the case unless the resource can be stored. What was cut off may happen yet, and once only: a commit
/// that comes late refuses another, a removal that comes late takes another's entry.
async fn works(bench: &Bench, store: &Store, key: CacheKey) -> Outcome {
    let mut last = Ok(());
    for _ in 0..10 {
        let next = bench.draft(key);
        let pending = store.begin(&next).await?;
        last = match store.commit(&pending).await? {
            Committed::Refused(Refusal::Removed | Refusal::Replaced) => {
                Err(Failure::new("a new write is refused again and again"))
            }
            committed => {
                written(committed)?;
                let found = store.lookup(&key).await?;
                if !found.variants().is_empty() {
                    return store.check_in(&found, &next).await.map(|_| ());
                }
                Err(Failure::new("a new entry goes again and again"))
            }
        };
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    last
}

async fn commit(bench: Bench) -> Outcome {
    cut_commits(bench, 2 * FRAME_SIZE as u64).await
}

async fn commit_inline(bench: Bench) -> Outcome {
    cut_commits(bench, 3000).await
}

async fn cut_commits(bench: Bench, len: u64) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let draft = bench.draft(bench.key(bench.seed())).len(bench.seed(), len);
        let pending = store.begin(&draft).await?;
        let ready = cut_off(store.commit(&pending), polls).await;
        one_of(&bench, &store, &[&draft], ready.is_none(), polls).await?;
        if ready.transpose()?.is_some() {
            break;
        }
    }
    Ok(())
}

async fn commit_over_another(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let key = bench.key(bench.seed());
        let old = bench.draft(key).stored();
        store.put(&old).await?;
        let new = bench.draft(key).len(bench.seed(), 300_000);
        let pending = store.begin(&new).await?;
        let ready = cut_off(store.commit(&pending), polls).await.transpose()?;
        one_of(&bench, &store, &[&old, &new], false, polls).await?;
        if ready.is_some() {
            break;
        }
    }
    Ok(())
}

async fn new_head(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let old = bench.draft(bench.key(bench.seed())).stored();
        let version = store.put(&old).await?.version;
        let new = old.clone().header("x-fresh", http::HeaderValue::from_static("1"));
        let found = store.lookup(&old.key).await?;
        let pending = store.freshen(found.ticket(), &new, version);
        let ready = cut_off(store.commit(&pending), polls).await.transpose()?;
        one_of(&bench, &store, &[&old, &new], false, polls).await?;
        if ready.is_some() {
            break;
        }
    }
    Ok(())
}

async fn write(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let draft = bench.draft(bench.key(bench.seed())).len(bench.seed(), 2 * FRAME_SIZE as u64);
        let ticket = store.lookup(&draft.key).await?.ticket().clone();
        let id = BodyId::random()?;
        let writing = async {
            let mut writer = store.writer(&ticket, id).await?;
            writer.write(store.frame(&draft, id, 0)).await.context("write")?;
            writer.write(store.frame(&draft, id, 1)).await.context("write")?;
            writer.finish(draft.payload.len()).await.context("finish")
        };
        let ready = cut_off(writing, polls).await.transpose()?;
        store.absent(&draft.key, "a write that was cut off").await?;
        one_of(&bench, &store, &[&draft], true, polls).await?;
        if ready.is_some() {
            break;
        }
    }
    Ok(())
}

/// Many of them: a connection lost at each would be missed.
async fn lookup(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    store.put(&draft).await?;
    for polls in 0..MAX_POLLS {
        let mut ended = false;
        for _ in 0..10 {
            ended = cut_off(store.lookup(&draft.key), polls).await.transpose()?.is_some();
        }
        store.check(&draft).await.context(format!("after lookups cut off after {polls} polls"))?;
        if ended {
            break;
        }
    }
    Ok(())
}

async fn read(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 3 * FRAME_SIZE as u64);
    store.put(&draft).await?;
    let body = store.check(&draft).await?.body;
    for polls in 0..MAX_POLLS {
        let mut ended = false;
        for _ in 0..10 {
            let reading = store.frames(draft.key, draft.variant, &body, 0..3);
            ended = cut_off(reading, polls).await.transpose()?.is_some();
        }
        store.check(&draft).await.context(format!("after reads cut off after {polls} polls"))?;
        if ended {
            break;
        }
    }
    Ok(())
}

async fn removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let draft = bench.draft(bench.key(bench.seed())).stored();
        store.put(&draft).await?;
        let ready = cut_off(store.remove(&draft.key), polls).await.transpose()?;
        if ready.is_some() {
            store.absent(&draft.key, "a removal that was acknowledged").await?;
        }
        one_of(&bench, &store, &[&draft], true, polls).await?;
        if ready.is_some() {
            break;
        }
    }
    Ok(())
}

async fn purge(bench: Bench) -> Outcome {
    // A tag for each time: a purge may look at all that ever had it.
    let drafts = |bench: &Bench, polls| {
        let tags = [tag(&format!("after-{polls}"))];
        (0..4).map(|_| bench.draft(bench.key(bench.seed())).tags(&tags)).collect()
    };
    removals(bench, drafts, |store, drafts| {
        Box::pin(async move {
            let tags = drafts.first().map_or(&[][..], |draft| &draft.tags);
            store.tags()?.purge(tags, store.now()).await.context("purge")
        })
    })
    .await
}

async fn clear(bench: Bench) -> Outcome {
    // The same resources each time: it looks at all that ever were.
    let drafts = |bench: &Bench, _| (0..4).map(|number| bench.draft(bench.key(number))).collect();
    removals(bench, drafts, |store, _| {
        Box::pin(async move { store.listing()?.clear(store.now()).await.context("clear") })
    })
    .await
}

/// A removal of several resources that is cut off may have removed some, and each of them whole.
async fn removals(
    bench: Bench,
    drafts: impl Fn(&Bench, u32) -> Vec<Draft>,
    remove: impl for<'a> Fn(&'a Store, &'a [Draft]) -> BoxFuture<'a, Outcome<u64>>,
) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let mut drafts = drafts(&bench, polls);
        for (number, draft) in drafts.iter_mut().enumerate() {
            draft.stored = number % 2 == 1;
            store.put_at_last(draft).await?;
        }
        let ended = cut_off(remove(&store, &drafts), polls).await.transpose()?.is_some();
        for draft in &drafts {
            if ended {
                store.absent(&draft.key, "a removal that was acknowledged").await?;
            }
            one_of(&bench, &store, &[draft], true, polls).await?;
        }
        if ended {
            break;
        }
        // A removal that is sent again comes through.
        remove(&store, &drafts).await?;
    }
    Ok(())
}

/// What is dead may be deleted or not; what is live stays.
async fn sweep(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for polls in 0..MAX_POLLS {
        let live = bench.draft(bench.key(bench.seed())).stored();
        let dead = bench.draft(bench.key(bench.seed())).stored().life(secs(1));
        store.put(&live).await?;
        store.put(&dead).await?;
        bench.clock().advance(secs(1));
        let sweeping = async { store.listing()?.sweep(store.now()).await.context("sweep") };
        let ended = cut_off(sweeping, polls).await.transpose()?.is_some();
        store.absent(&dead.key, "a dead entry").await?;
        one_of(&bench, &store, &[&live], false, polls).await?;
        if ended {
            break;
        }
    }
    Ok(())
}

/// A listing that is dropped half-way leaves nothing open.
async fn listing(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..120 {
        store.put(&bench.draft(bench.key(number))).await?;
    }
    let all = Filter::all();
    for taken in [0, 1, 2, 60, 119] {
        for _ in 0..20 {
            let mut stream = store.listing()?.list(&all, store.now()).take(taken);
            while let Some(found) = stream.next().await {
                found.context("list")?;
            }
        }
        let draft = bench.draft(bench.key(1000));
        store.put(&draft).await.context(format!("a write after listings dropped at entry {taken}"))?;
        store.check(&draft).await?;
    }
    Ok(())
}
