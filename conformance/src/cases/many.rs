//! More entries than any page holds.

use std::collections::HashMap;

use cache_api::{Filter, Limits, Totals};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    bench::Bench,
    case::cases,
    failure::{Context, Failure, Outcome, ensure_eq},
};

// Ten times as patient as the others: a slow server takes a few milliseconds for each of the entries.
cases!["many", patience 10; listed_and_cleared_in_pages [LISTING]];

/// How many entries are written at once.
const AT_ONCE: usize = 16;

async fn listed_and_cleared_in_pages(bench: Bench) -> Outcome {
    let many = bench.many();
    let store = bench.open().await?;
    let other = bench.open_with("-b", Limits::default()).await?;
    let kept = bench.draft(bench.key(0));
    other.put(&kept).await?;
    let written = (0..many).map(|number| {
        let (store, draft) = (store.clone(), bench.draft(bench.key(number)));
        async move { store.put(&draft).await.map(|_| draft.payload.len()) }
    });
    let lens: Vec<u64> = stream::iter(written).buffer_unordered(AT_ONCE).try_collect().await?;

    let all = Filter::all();
    let mut times = HashMap::new();
    let mut listed = store.listing()?.list(&all, store.now());
    while let Some(found) = listed.next().await {
        *times.entry(found.context("list")?.key).or_insert(0) += 1;
    }
    drop(listed);
    if let Some((key, times)) = times.iter().find(|(_, times)| **times != 1) {
        return Err(Failure::new(format!(
            "expected each entry to be listed once, found {key} {times} times"
        )));
    }
    let missing = (0..many).filter(|number| !times.contains_key(&bench.key(*number))).count();
    ensure_eq!(missing, 0, "how many of {many} entries were not listed");
    ensure_eq!(times.len() as u64, many, "the entries listed");
    let totals = store.listing()?.count(&all, store.now()).await.context("count")?;
    ensure_eq!(totals, Totals::new(many, lens.iter().sum()), "the totals");

    ensure_eq!(store.listing()?.clear(store.now()).await.context("clear")?, many, "the entries cleared");
    let left: Vec<_> = store.listing()?.list(&all, store.now()).try_collect().await.context("list")?;
    ensure_eq!(left.len(), 0, "the entries listed after a clear");
    let totals = store.listing()?.count(&all, store.now()).await.context("count")?;
    ensure_eq!(totals, Totals::new(0, 0), "the totals after a clear");
    for number in (0..many).step_by(97) {
        store.absent(&bench.key(number), "a cleared namespace").await?;
    }
    other.check(&kept).await.context("the other namespace")?;
    Ok(())
}
