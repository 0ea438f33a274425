//! No operation touches another namespace.

use cache_api::{Filter, Limits};
use futures_util::StreamExt;

use crate::{
    bench::{Bench, secs, tag},
    case::cases,
    draft::Draft,
    failure::{Context, Outcome, ensure, ensure_eq},
    store::Store,
};

cases!["isolation";
    one_key_in_two_namespaces, removal, clear [LISTING], clear_of_a_prefix [LISTING],
    clear_of_a_pattern [LISTING], purge [TAGS], listing [LISTING], sweep [LISTING], leases [LEASES],
    writes_under_way [LISTING],
];

/// Two namespaces that hold the same resources.
async fn twins(bench: &Bench, suffixes: [&str; 2]) -> Outcome<[(Store, Vec<Draft>); 2]> {
    let [one, two] = suffixes;
    Ok([filled(bench, one).await?, filled(bench, two).await?])
}

async fn filled(bench: &Bench, suffix: &str) -> Outcome<(Store, Vec<Draft>)> {
    let store = bench.open_with(suffix, Limits::default()).await?;
    let mut drafts = Vec::new();
    for number in 0..4 {
        let mut draft = bench.draft(bench.key(number)).tags(&[tag("common")]);
        draft.stored = number % 2 == 1;
        store.put(&draft).await?;
        drafts.push(draft);
    }
    Ok((store, drafts))
}

async fn untouched(store: &Store, drafts: &[Draft]) -> Outcome {
    for draft in drafts {
        store.check(draft).await.context("the other namespace")?;
    }
    Ok(())
}

async fn one_key_in_two_namespaces(bench: Bench) -> Outcome {
    let [(one, in_one), (two, in_two)] = twins(&bench, ["-a", "-b"]).await?;
    untouched(&one, &in_one).await?;
    untouched(&two, &in_two).await
}

async fn removal(bench: Bench) -> Outcome {
    let [(one, in_one), (two, in_two)] = twins(&bench, ["-a", "-b"]).await?;
    for draft in &in_one {
        ensure_eq!(one.remove(&draft.key).await?, 1, "the variants removed");
        one.absent(&draft.key, "a removed resource").await?;
    }
    untouched(&two, &in_two).await
}

async fn cleared(bench: Bench, suffixes: [&str; 2]) -> Outcome {
    let [(one, in_one), (two, in_two)] = twins(&bench, suffixes).await?;
    ensure_eq!(one.listing()?.clear(one.now()).await.context("clear")?, 4, "the entries cleared");
    for draft in &in_one {
        one.absent(&draft.key, "a cleared namespace").await?;
    }
    untouched(&two, &in_two).await
}

async fn clear(bench: Bench) -> Outcome {
    cleared(bench, ["-a", "-b"]).await
}

/// One name is the beginning of the other: a range or a pattern without a delimiter takes both.
async fn clear_of_a_prefix(bench: Bench) -> Outcome {
    cleared(bench.clone(), ["", "-b"]).await?;
    cleared(bench, ["-c-", "-c"]).await
}

/// `_` stands for any character in an SQL pattern.
async fn clear_of_a_pattern(bench: Bench) -> Outcome {
    cleared(bench, ["_a", "-a"]).await
}

async fn purge(bench: Bench) -> Outcome {
    let [(one, in_one), (two, in_two)] = twins(&bench, ["-a", "-b"]).await?;
    let purged = one.tags()?.purge(&[tag("common")], one.now()).await.context("purge")?;
    ensure_eq!(purged, 4, "the entries purged");
    for draft in &in_one {
        one.absent(&draft.key, "a purged entry").await?;
    }
    untouched(&two, &in_two).await
}

async fn listing(bench: Bench) -> Outcome {
    let [(one, _), (two, _)] = twins(&bench, ["-a", "-b"]).await?;
    two.put(&bench.draft(bench.key(99))).await?;
    for (store, expected) in [(one, 4), (two, 5)] {
        let all = Filter::all();
        let found = store.listing()?.list(&all, store.now()).collect::<Vec<_>>().await;
        ensure_eq!(found.len(), expected, "the entries listed");
        let totals = store.listing()?.count(&all, store.now()).await.context("count")?;
        ensure_eq!(totals.entries, expected as u64, "the entries counted");
    }
    Ok(())
}

async fn sweep(bench: Bench) -> Outcome {
    let [(one, _), (two, in_two)] = twins(&bench, ["-a", "-b"]).await?;
    // Far ahead of the clock of the other.
    let ahead = crate::clock::later(one.now(), secs(86_400));
    one.listing()?.sweep(ahead).await.context("sweep")?;
    untouched(&two, &in_two).await
}

async fn leases(bench: Bench) -> Outcome {
    let one = bench.open_with("-a", Limits::default()).await?;
    let two = bench.open_with("-b", Limits::default()).await?;
    for store in [&one, &two] {
        let acquired =
            store.leases()?.acquire(&bench.key(1), secs(30), store.now()).await.context("acquire")?;
        ensure!(
            matches!(acquired, cache_api::Acquired::Held(_)),
            "expected the lease of a namespace of its own, found {acquired:?}"
        );
    }
    Ok(())
}

/// A clear refuses no commit of another namespace.
async fn writes_under_way(bench: Bench) -> Outcome {
    let [(one, _), (two, _)] = twins(&bench, ["-a", "-b"]).await?;
    let draft = bench.draft(bench.key(50)).stored();
    let pending = two.begin(&draft).await?;
    one.listing()?.clear(one.now()).await.context("clear")?;
    one.remove(&draft.key).await?;
    two.complete(&pending).await?;
    two.check(&draft).await?;
    Ok(())
}
