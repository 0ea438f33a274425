//! Listing sees every live entry once, and clearing leaves none.

use std::collections::HashMap;

use cache_api::{Filter, Found, Totals};
use futures_util::StreamExt;

use crate::{
    Failure,
    bench::{Bench, secs, tag, variant},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::Store,
};

cases!["listing";
    empty [LISTING], five_hundred [LISTING], every_field [LISTING], variants [LISTING], by_tag [LISTING],
    by_time [LISTING], dead_ones [LISTING], after_replacement [LISTING], after_removal [LISTING],
    totals [LISTING], clear [LISTING], clear_of_nothing [LISTING], clear_counts_the_living [LISTING],
    while_writing [LISTING],
];

async fn list(store: &Store, filter: &Filter) -> Outcome<Vec<Found>> {
    let mut stream = store.listing()?.list(filter, store.now());
    let mut found = Vec::new();
    while let Some(entry) = stream.next().await {
        found.push(entry.context("list")?);
    }
    let totals = store.listing()?.count(filter, store.now()).await.context("count")?;
    let expected = Totals::new(found.len() as u64, found.iter().map(|f| f.len).sum());
    ensure_eq!(totals, expected, "the totals of what was listed");
    Ok(found)
}

async fn empty(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    ensure_eq!(list(&store, &Filter::all()).await?.len(), 0, "the entries of an empty namespace");
    Ok(())
}

async fn five_hundred(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..500 {
        store.put(&bench.draft(bench.key(number))).await?;
    }
    let mut times = HashMap::new();
    for found in list(&store, &Filter::all()).await? {
        *times.entry(found.key).or_insert(0) += 1;
    }
    for number in 0..500 {
        let listed = times.get(&bench.key(number)).copied().unwrap_or_default();
        ensure_eq!(listed, 1, "how often entry {number} of 500 was listed");
    }
    ensure_eq!(times.len(), 500, "the resources listed");
    Ok(())
}

async fn every_field(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored))).tags(&[tag("a")]).life(secs(500));
        draft.stored = stored;
        let stored_at = store.now();
        let written = store.put(&draft).await?;
        let found = list(&store, &Filter::all()).await?;
        let found = found.iter().find(|f| f.key == draft.key);
        let found = found.ok_or_else(|| Failure::new("expected the entry to be listed, found it not"))?;
        ensure_eq!(found.variant, draft.variant, "the variant listed");
        ensure_eq!(found.version, written.version, "the version listed");
        ensure_eq!(found.len, draft.payload.len(), "the length listed");
        ensure_eq!(*found.tags, *draft.tags, "the tags listed");
        ensure_eq!(found.stored_at, stored_at, "when the listed entry was stored");
        ensure_eq!(found.dead_at, written.dead_at, "dead_at listed");
        let place = store.place(found.key, found.variant, found.version.body);
        let head = found.head.decode(store.serializer(), &place).await.context("the head listed")?;
        ensure_eq!(*head, draft.head, "the head listed");
        bench.clock().advance(secs(1));
    }
    Ok(())
}

async fn variants(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..4 {
        store.put(&bench.draft(bench.key(1)).variant(variant(number))).await?;
    }
    let found = list(&store, &Filter::all()).await?;
    for number in 0..4 {
        let times = found.iter().filter(|f| f.variant == variant(number)).count();
        ensure_eq!(times, 1, "how often variant {number} was listed");
    }
    ensure_eq!(found.len(), 4, "the entries listed");
    Ok(())
}

async fn by_tag(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let tags: [&[_]; 5] = [&[], &[tag("a")], &[tag("b")], &[tag("a"), tag("b")], &[tag("b"), tag("c")]];
    for (number, tags) in (0..).zip(tags) {
        store.put(&bench.draft(bench.key(number)).tags(tags)).await?;
    }
    for (name, expected) in [("a", vec![1, 3]), ("b", vec![2, 3, 4]), ("c", vec![4]), ("none", vec![])] {
        let found = list(&store, &Filter::all().with_tag(tag(name))).await?;
        let mut keys: Vec<_> = found.iter().map(|f| f.key).collect();
        let mut expected: Vec<_> = expected.into_iter().map(|number| bench.key(number)).collect();
        keys.sort_unstable();
        expected.sort_unstable();
        ensure_eq!(keys, expected, "the entries with the tag {name:?}");
    }
    Ok(())
}

async fn by_time(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let start = store.now();
    let mut version = None;
    for number in 0..5 {
        let written = store.put(&bench.draft(bench.key(number))).await?;
        version.get_or_insert(written.version);
        bench.clock().advance(secs(10));
    }
    let before = |seconds| Filter::all().with_stored_before(crate::clock::later(start, secs(seconds)));
    for (seconds, expected) in [(0, 0), (1, 1), (10, 1), (11, 2), (40, 4), (41, 5)] {
        let found = list(&store, &before(seconds)).await?;
        ensure_eq!(found.len(), expected, "the entries stored before second {seconds}");
    }
    // A freshened entry counts from then.
    if let Some(version) = version {
        store.replace_head(&bench.draft(bench.key(0)), version).await?;
        ensure_eq!(
            list(&store, &before(1)).await?.len(),
            0,
            "the entries neither stored nor freshened since"
        );
    }
    Ok(())
}

async fn dead_ones(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let kept = bench.draft(bench.key(1)).tags(&[tag("a")]);
    store.put(&kept).await?;
    for stored in [false, true] {
        let mut short = bench.draft(bench.key(2 + u64::from(stored))).life(secs(5)).tags(&[tag("a")]);
        short.stored = stored;
        store.put(&short).await?;
    }
    store.put(&bench.draft(kept.key).variant(variant(2)).life(secs(5)).tags(&[tag("a")])).await?;
    ensure_eq!(list(&store, &Filter::all()).await?.len(), 4, "the entries before some died");
    bench.clock().advance(secs(5));
    for filter in [Filter::all(), Filter::all().with_tag(tag("a"))] {
        let found = list(&store, &filter).await?;
        ensure_eq!(found.len(), 1, "the entries after the others died");
    }
    Ok(())
}

async fn after_replacement(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let key = bench.key(1);
    store.put(&bench.draft(key).tags(&[tag("old")]).len(bench.seed(), 10).stored()).await?;
    let draft = bench.draft(key).tags(&[tag("new")]).len(bench.seed(), 20).stored();
    let written = store.put(&draft).await?;
    ensure_eq!(list(&store, &Filter::all()).await?.len(), 1, "the entries after a replacement");
    ensure_eq!(
        list(&store, &Filter::all().with_tag(tag("old"))).await?.len(),
        0,
        "the entries by an old tag"
    );
    ensure_eq!(list(&store, &Filter::all().with_tag(tag("new"))).await?.len(), 1, "the entries by a new tag");
    // A new head brings its own tags.
    store.replace_head(&draft.clone().tags(&[tag("newer")]), written.version).await?;
    ensure_eq!(
        list(&store, &Filter::all().with_tag(tag("new"))).await?.len(),
        0,
        "the entries by an old tag"
    );
    ensure_eq!(
        list(&store, &Filter::all().with_tag(tag("newer"))).await?.len(),
        1,
        "the entries by a new tag"
    );
    Ok(())
}

async fn after_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..3 {
        store.put(&bench.draft(bench.key(number)).tags(&[tag("a")])).await?;
    }
    store.remove(&bench.key(1)).await?;
    store.remove(&bench.key(77)).await?;
    for filter in [Filter::all(), Filter::all().with_tag(tag("a"))] {
        ensure_eq!(list(&store, &filter).await?.len(), 2, "the entries after a removal");
    }
    Ok(())
}

async fn totals(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let lens = [0, 1, 70_000, 300_000];
    for (number, len) in (0..).zip(lens) {
        store.put(&bench.draft(bench.key(number)).len(bench.seed(), len)).await?;
    }
    let found = store.listing()?.count(&Filter::all(), store.now()).await.context("count")?;
    ensure_eq!(found, Totals::new(4, lens.iter().sum()), "the totals");
    Ok(())
}

async fn clear(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut drafts = Vec::new();
    for number in 0..50 {
        let mut draft = bench.draft(bench.key(number / 2)).variant(variant(u8::from(number % 2 == 0)));
        draft.stored = number % 5 == 0;
        store.put(&draft).await?;
        drafts.push(draft);
    }
    ensure_eq!(store.listing()?.clear(store.now()).await.context("clear")?, 50, "the entries cleared");
    for draft in &drafts {
        store.absent(&draft.key, "a cleared namespace").await?;
    }
    ensure_eq!(list(&store, &Filter::all()).await?.len(), 0, "the entries after clear");
    for draft in &drafts {
        store.put_at_last(draft).await?;
        store.check(draft).await?;
    }
    Ok(())
}

async fn clear_of_nothing(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    ensure_eq!(store.listing()?.clear(store.now()).await.context("clear")?, 0, "the entries cleared");
    Ok(())
}

async fn clear_counts_the_living(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    store.put(&bench.draft(bench.key(1)).life(secs(5))).await?;
    store.put(&bench.draft(bench.key(2))).await?;
    bench.clock().advance(secs(5));
    ensure_eq!(store.listing()?.clear(store.now()).await.context("clear")?, 1, "the live entries cleared");
    Ok(())
}

/// A listing half read holds nothing that a writer needs; what stands throughout is listed once.
async fn while_writing(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..150 {
        store.put(&bench.draft(bench.key(number))).await?;
    }
    let all = Filter::all();
    let mut stream = store.listing()?.list(&all, store.now());
    let mut times = HashMap::new();
    let mut number = 1000;
    while let Some(found) = stream.next().await {
        *times.entry(found.context("list")?.key).or_insert(0) += 1;
        if number < 1050 {
            let draft = bench.draft(bench.key(number));
            super::bodies::quickly("a write during a listing", store.put(&draft)).await?;
            number += 1;
        }
    }
    for number in 0..150 {
        let listed = times.get(&bench.key(number)).copied().unwrap_or_default();
        ensure_eq!(listed, 1, "how often an entry that stood throughout was listed");
    }
    ensure!(times.values().all(|times| *times == 1), "an entry stored meanwhile was listed twice");
    Ok(())
}
