//! What a storage says of itself.

use cache_api::Limits;

use crate::{
    bench::{Bench, secs},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    suite::Ability,
};

cases!["contract"; names_itself, keeps_its_limits, declares_its_abilities, closes_twice];

async fn names_itself(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    ensure_eq!(*store.storage.namespace(), bench.namespace("")?, "the namespace");
    ensure!(!store.storage.to_string().is_empty(), "expected a name for logs, found none");
    Ok(())
}

async fn keeps_its_limits(bench: Bench) -> Outcome {
    let limits = Limits::default()
        .with_max_write(secs(100))
        .with_read_grace(secs(50))
        .with_max_retention(secs(86_400));
    let store = bench.open_with("", limits).await?;
    ensure_eq!(store.storage.limits(), limits, "the limits that it was opened with");
    Ok(())
}

/// A wrapper that forgot to pass an ability on, or a suite that was told the wrong thing.
async fn declares_its_abilities(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let found = store.storage.abilities();
    for (ability, has) in [
        (Ability::Leases, found.leases.is_some()),
        (Ability::Tags, found.tags.is_some()),
        (Ability::Listing, found.listing.is_some()),
        (Ability::Touch, found.touch.is_some()),
        (Ability::Events, found.events.is_some()),
    ] {
        ensure_eq!(has, bench.declares(ability), "whether the storage has the ability {ability:?}");
    }
    Ok(())
}

async fn closes_twice(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    store.put(&bench.draft(bench.key(1))).await?;
    store.storage.close().await.context("close")?;
    store.storage.close().await.context("a second close")?;
    Ok(())
}
