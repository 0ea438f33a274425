//! Two storages on one store, as two replicas have: all the races, across both.

use cache_api::{Acquired, BodyId, Outcome as Came, Refusal};

use super::{
    leases,
    writers::{self, race_of_many, race_of_one},
};
use crate::{
    bench::{Bench, secs},
    case::cases,
    failure::{Context, Outcome, ensure, ensure_eq},
    interleave::{Before, By, at_once, in_turn, removal_stepwise, stepwise},
    store::Store,
};

cases!["two_handles";
    one_sees_the_other [Shared], pending_body_of_the_other [Shared], one_variant_at_once [Shared],
    one_variant_stepwise [Shared], two_variants_stepwise [Shared], two_variants_at_once [Shared], eight_variants_at_once [Shared], overtaken [Shared],
    head_replaced_by_the_other [Shared],
    removal_before_commit [Shared], removal_of_absent_before_commit [Shared],
    purge_before_commit [Shared, TAGS], clear_before_commit [Shared, LISTING],
    removal_during_commit [Shared], removal_during_commit_absent [Shared],
    removal_during_commit_by_tag [Shared, TAGS], removal_during_commit_by_clear [Shared, LISTING],
    commit_during_removal [Shared], commit_during_removal_by_tag [Shared, TAGS],
    commit_during_removal_by_clear [Shared, LISTING], removal_during_commit_at_once [Shared], removal_during_commit_by_tag_at_once [Shared, TAGS],
    removal_during_commit_by_clear_at_once [Shared, LISTING], lease [Shared, LEASES],
    leases_at_once [Shared, LEASES],
];

async fn pair(bench: &Bench) -> Outcome<[Store; 2]> {
    Ok([bench.open().await?, bench.open().await?])
}

async fn one_sees_the_other(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored))).len(bench.seed(), 60_000);
        draft.stored = stored;
        two.absent(&draft.key, "an entry not stored yet").await?;
        let version = one.put(&draft).await?.version;
        two.check(&draft).await?;
        let fresh = draft.header("x-fresh", http::HeaderValue::from_static("1"));
        two.replace_head(&fresh, version).await?;
        one.check(&fresh).await?;
        two.remove(&fresh.key).await?;
        one.absent(&fresh.key, "an entry that the other removed").await?;
    }
    Ok(())
}

/// A follower on another replica reads what the leader has written so far.
async fn pending_body_of_the_other(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let draft = bench.draft(bench.key(1)).stored();
    let ticket = one.lookup(&draft.key).await?.ticket().clone();
    let id = BodyId::random()?;
    let mut writer = one.writer(&ticket, id).await?;
    writer.write(one.frame(&draft, id, 0)).await.context("write")?;
    let frames = two.read(&draft.key, id, 0..1).await.context("the other's pending body")?;
    ensure_eq!(frames.len(), 1, "the frames of the other's pending body");
    two.absent(&draft.key, "the other's pending entry").await
}

async fn one_variant_at_once(bench: Bench) -> Outcome {
    race_of_one(&bench, &pair(&bench).await?).await
}

async fn one_variant_stepwise(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    writers::stepwise(&bench, [&one, &two], [1, 1]).await
}

async fn two_variants_stepwise(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    writers::stepwise(&bench, [&one, &two], [1, 2]).await
}

async fn two_variants_at_once(bench: Bench) -> Outcome {
    race_of_many(&bench, &pair(&bench).await?, 2).await
}

async fn eight_variants_at_once(bench: Bench) -> Outcome {
    race_of_many(&bench, &pair(&bench).await?, 8).await
}

async fn overtaken(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let (first, second) = (bench.draft(bench.key(1)).stored(), bench.draft(bench.key(1)).stored());
    let pending = one.begin(&first).await?;
    two.put(&second).await?;
    one.refuse(&pending, Some(Refusal::Replaced), "a writer that the other overtook").await?;
    one.check(&second).await?;
    two.check(&second).await?;
    Ok(())
}

async fn head_replaced_by_the_other(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let draft = bench.draft(bench.key(1));
    let version = one.put(&draft).await?.version;
    let found = one.lookup(&draft.key).await?;
    let fresh = draft.clone().header("x-fresh", http::HeaderValue::from_static("2"));
    let new = two.replace_head(&fresh, version).await?.version;
    let pending = one.freshen(found.ticket(), &draft, version);
    one.refuse(&pending, Some(Refusal::VersionChanged), "a head that the other replaced").await?;
    ensure_eq!(one.check(&fresh).await?.version, new, "the version of the other's head");
    Ok(())
}

async fn removal_before_commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    in_turn(&bench, [&one, &two], Before::Body, By::Key).await?;
    in_turn(&bench, [&one, &two], Before::Head, By::Key).await
}

async fn removal_of_absent_before_commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    in_turn(&bench, [&one, &two], Before::Nothing, By::Key).await
}

async fn purge_before_commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    in_turn(&bench, [&one, &two], Before::Nothing, By::Tag).await?;
    in_turn(&bench, [&one, &two], Before::Body, By::Tag).await
}

async fn clear_before_commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    in_turn(&bench, [&one, &two], Before::Nothing, By::Clear).await?;
    in_turn(&bench, [&one, &two], Before::Body, By::Clear).await
}

async fn removal_during_commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    stepwise(&bench, [&one, &two], Before::Body, By::Key).await?;
    stepwise(&bench, [&one, &two], Before::Head, By::Key).await
}

async fn removal_during_commit_absent(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    stepwise(&bench, [&one, &two], Before::Nothing, By::Key).await
}

async fn removal_during_commit_by_tag(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    stepwise(&bench, [&one, &two], Before::Nothing, By::Tag).await
}

async fn removal_during_commit_by_clear(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    stepwise(&bench, [&one, &two], Before::Nothing, By::Clear).await
}

async fn commit_during_removal(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    removal_stepwise(&bench, [&one, &two], Before::Nothing, By::Key).await?;
    removal_stepwise(&bench, [&one, &two], Before::Body, By::Key).await
}

async fn commit_during_removal_by_tag(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    removal_stepwise(&bench, [&one, &two], Before::Nothing, By::Tag).await
}

async fn commit_during_removal_by_clear(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    removal_stepwise(&bench, [&one, &two], Before::Nothing, By::Clear).await
}

async fn removal_during_commit_at_once(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    at_once(&bench, [&one, &two], By::Key).await
}

async fn removal_during_commit_by_tag_at_once(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    at_once(&bench, [&one, &two], By::Tag).await
}

async fn removal_during_commit_by_clear_at_once(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    at_once(&bench, [&one, &two], By::Clear).await
}

async fn lease(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let (key, ttl) = (bench.key(1), secs(30));
    let acquired = one.leases()?.acquire(&key, ttl, one.now()).await.context("acquire")?;
    let Acquired::Held(lease) = acquired else {
        return Err(crate::Failure::new(format!("expected to get the lease, found {acquired:?}")));
    };
    let other = two.leases()?.acquire(&key, ttl, two.now()).await.context("acquire")?;
    ensure!(matches!(other, Acquired::Busy { .. }), "expected the lease to be the other's, found {other:?}");
    one.leases()?.release(&lease, Came::Done, one.now()).await.context("release")?;
    let other = two.leases()?.acquire(&key, ttl, two.now()).await.context("acquire")?;
    ensure!(matches!(other, Acquired::Held(_)), "expected to get a lease that was released, found {other:?}");
    Ok(())
}

async fn leases_at_once(bench: Bench) -> Outcome {
    leases::race(&bench, &pair(&bench).await?).await
}
