//! Recording uses changes nothing that a lookup returns.

use cache_api::Use;

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    clock::earlier,
    failure::{Context, Outcome, ensure_eq},
};

cases!["touch";
    known [TOUCH], unknown [TOUCH], none_and_many [TOUCH], an_earlier_time [TOUCH], revives_nothing [TOUCH],
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
