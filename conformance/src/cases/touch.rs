//! Recording uses changes nothing that a lookup returns, and what is listed has them, where the storage counts.

use cache_api::{Filter, Use};
use futures_util::{TryStreamExt, future::try_join_all};

use crate::{
    bench::{Bench, secs, tag, variant},
    case::cases,
    clock::{earlier, later},
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure, ensure_eq},
    store::Store,
};

cases!["touch";
    known [TOUCH], unknown [TOUCH], none_and_many [TOUCH], an_earlier_time [TOUCH], revives_nothing [TOUCH],
    counted [TOUCH, LISTING], counted_anew [TOUCH, LISTING], counted_at_once [TOUCH, LISTING, Shared],
];

async fn known(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).life(secs(100));
    let written = store.put(&draft).await?;
    bench.clock().advance(secs(10));
    let at = store.now();
    let uses = [Use { key: draft.key, variant: draft.variant, at }];
    store.touch()?.touch(&uses, at).await.context("touch")?;
    let found = store.check(&draft).await?;
    ensure_eq!(found.version, written.version, "the version after a touch");
    ensure_eq!(found.dead_at, written.dead_at, "dead_at after a touch");
    bench.clock().advance(secs(90));
    store.absent(&draft.key, "a dead entry that had been touched").await
}

async fn unknown(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    store.put(&draft).await?;
    let at = store.now();
    let uses = [
        Use { key: bench.key(2), variant: draft.variant, at },
        Use { key: draft.key, variant: variant(77), at },
        Use { key: draft.key, variant: draft.variant, at },
    ];
    store.touch()?.touch(&uses, at).await.context("a touch of unknown entries")?;
    store.absent(&bench.key(2), "an entry that was only touched").await?;
    let found = store.lookup(&draft.key).await?;
    ensure_eq!(found.variants().len(), 1, "the variants after a touch of one that is not there");
    store.check_in(&found, &draft).await?;
    Ok(())
}

async fn none_and_many(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let at = store.now();
    store.touch()?.touch(&[], at).await.context("a touch of nothing")?;
    let draft = bench.draft(bench.key(1));
    store.put(&draft).await?;
    let uses: Vec<_> = (0..2000).map(|n| Use { key: bench.key(n % 7), variant: draft.variant, at }).collect();
    store.touch()?.touch(&uses, at).await.context("a touch of 2,000 uses")?;
    store.check(&draft).await?;
    Ok(())
}

async fn an_earlier_time(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    store.put(&draft).await?;
    let at = earlier(store.now(), secs(86_400));
    let uses = [Use { key: draft.key, variant: draft.variant, at }];
    store.touch()?.touch(&uses, store.now()).await.context("a touch of long ago")?;
    store.check(&draft).await?;
    Ok(())
}

async fn revives_nothing(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (removed, dead) = (bench.draft(bench.key(1)), bench.draft(bench.key(2)).life(secs(5)));
    store.put(&removed).await?;
    store.put(&dead).await?;
    store.remove(&removed.key).await?;
    bench.clock().advance(secs(5));
    let at = store.now();
    let uses = [&removed, &dead].map(|draft| Use { key: draft.key, variant: draft.variant, at });
    store.touch()?.touch(&uses, at).await.context("touch")?;
    store.absent(&removed.key, "a removed entry that was touched").await?;
    store.absent(&dead.key, "a dead entry that was touched").await
}

/// Each use counts, whenever it was, and no other. A storage that counts none says so of all.
async fn counted(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let often = bench.draft(bench.key(1)).variant(variant(1)).tags(&[tag("a")]);
    let once = bench.draft(bench.key(1)).variant(variant(2)).tags(&[tag("a")]);
    let never = bench.draft(bench.key(2)).tags(&[tag("a")]);
    for draft in [&often, &once, &never] {
        store.put(draft).await?;
    }
    let Some(none) = uses_of(&store, &never).await? else { return Ok(()) };
    ensure_eq!(none, 0, "the uses of what was never used");
    let now = store.now();
    let used = |draft: &Draft, at| Use { key: draft.key, variant: draft.variant, at };
    let strangers =
        [Use { variant: variant(77), ..used(&often, now) }, Use { key: bench.key(3), ..used(&often, now) }];
    let uses =
        [used(&often, later(now, secs(5))), used(&once, now), used(&often, now), strangers[0], strangers[1]];
    store.touch()?.touch(&uses, now).await.context("touch")?;
    store.touch()?.touch(&[used(&often, earlier(now, secs(5)))], now).await.context("touch")?;
    for (draft, expected) in [(&often, 3), (&once, 1), (&never, 0)] {
        ensure_eq!(
            uses_of(&store, draft).await?,
            Some(expected),
            "the uses of the variant {}",
            draft.variant
        );
    }
    Ok(())
}

/// A new head goes on counting. What replaces a variant begins anew, and so does what is stored after a removal.
async fn counted_anew(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored)));
        draft.stored = stored;
        let version = store.put(&draft).await?.version;
        if uses_of(&store, &draft).await?.is_none() {
            return Ok(());
        }
        use_twice(&store, &draft).await?;
        store.replace_head(&draft, version).await?;
        ensure_eq!(uses_of(&store, &draft).await?, Some(2), "the uses after a new head");
        use_twice(&store, &draft).await?;
        ensure_eq!(uses_of(&store, &draft).await?, Some(4), "the uses after a new head and more uses");
        store.put(&draft).await?;
        ensure_eq!(uses_of(&store, &draft).await?, Some(0), "the uses of a replacement");
        use_twice(&store, &draft).await?;
        ensure_eq!(uses_of(&store, &draft).await?, Some(2), "the uses of a replacement that was used");
        store.remove(&draft.key).await?;
        store.put(&draft).await?;
        ensure_eq!(uses_of(&store, &draft).await?, Some(0), "the uses of what was removed and stored again");
    }
    Ok(())
}

/// What several replicas tell at a time adds up.
async fn counted_at_once(bench: Bench) -> Outcome {
    const REPLICAS: u64 = 4;
    const BATCHES: u64 = 10;
    let store = bench.open().await?;
    let drafts: Vec<_> = (0..3).map(|number| bench.draft(bench.key(number))).collect();
    for draft in &drafts {
        store.put(draft).await?;
        if uses_of(&store, draft).await?.is_none() {
            return Ok(());
        }
    }
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(bench.open_replica().await?);
    }
    let (at, drafts) = (store.now(), &drafts);
    let tell = replicas.iter().zip(0..).map(|(replica, turn)| async move {
        // Each in another order.
        let order = drafts.iter().cycle().skip(turn).take(drafts.len());
        let uses: Vec<_> = order.map(|d| Use { key: d.key, variant: d.variant, at }).collect();
        for _ in 0..BATCHES {
            replica.touch()?.touch(&uses, at).await.context("a touch beside others")?;
        }
        Outcome::Ok(())
    });
    try_join_all(tell).await?;
    for draft in drafts {
        let expected = Some(REPLICAS * BATCHES);
        ensure_eq!(uses_of(&store, draft).await?, expected, "the uses that {REPLICAS} replicas told");
    }
    Ok(())
}

async fn use_twice(store: &Store, draft: &Draft) -> Outcome {
    let used = Use { key: draft.key, variant: draft.variant, at: store.now() };
    store.touch()?.touch(&[used, used], store.now()).await.context("touch")
}

/// The uses of a variant as it is listed, among all entries and by each of its tags.
async fn uses_of(store: &Store, draft: &Draft) -> Outcome<Option<u64>> {
    let filters = draft.tags.iter().map(|tag| Filter::all().with_tag(*tag)).chain([Filter::all()]);
    let mut listed = Vec::new();
    for filter in filters {
        let found = store.listing()?.list(&filter, store.now());
        let found: Vec<_> = found.try_collect().await.context("list")?;
        let ours = found.iter().filter(|f| f.key == draft.key && f.variant == draft.variant);
        listed.extend(ours.map(|f| f.uses));
    }
    let Some((last, others)) = listed.split_last() else {
        return Err(Failure::new("expected the entry to be listed, found it not"));
    };
    ensure!(others.iter().all(|uses| uses == last), "by a tag other uses are listed: {listed:?}");
    Ok(*last)
}
