//! Two storages on one store, as two replicas have: all the races, across both.

use std::collections::HashMap;

use cache_api::{Acquired, BodyId, Filter, Outcome as Came, Refusal};
use futures_util::StreamExt;

use super::{
    bodies, leases,
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
    leases_at_once [Shared, LEASES], body_replaced_by_the_other [Shared], body_removed_by_the_other [Shared],
    never_mixed [Shared], listed_while_the_other_writes [Shared, LISTING],
    cleared_while_the_other_writes [Shared, LISTING],
];

async fn pair(bench: &Bench) -> Outcome<[Store; 2]> {
    Ok([bench.open_replica().await?, bench.open_replica().await?])
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

/// Who reads an old body gets its bytes to the end, though another client replaced it.
async fn body_replaced_by_the_other(bench: Bench) -> Outcome {
    read_while(bench, false).await
}

async fn body_removed_by_the_other(bench: Bench) -> Outcome {
    read_while(bench, true).await
}

async fn read_while(bench: Bench, removed: bool) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 700_000);
    one.put(&draft).await?;
    let reading = two.check(&draft).await?;
    let first = two.frames(draft.key, draft.variant, &reading.body, 0..1).await?;
    if removed {
        one.remove(&draft.key).await?;
        two.absent(&draft.key, "an entry that the other removed").await?;
    } else {
        let new = bench.draft(draft.key).len(bench.seed(), 700_000);
        one.put(&new).await?;
        two.check(&new).await?;
    }
    let rest = two.frames(draft.key, draft.variant, &reading.body, 1..3).await;
    let rest = rest.context("the old body within its read grace")?;
    crate::store::check_bytes(&[first, rest].concat(), draft.payload)
}

/// While one client replaces an entry again and again, the other finds one of its forms, whole.
async fn never_mixed(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let forms: Vec<_> = (0..6)
        .map(|n| bench.draft(bench.key(1)).len(bench.seed(), if n % 2 == 0 { 500 } else { 280_000 + n }))
        .collect();
    for form in forms.iter().take(1) {
        one.put(form).await?;
    }
    let drafts = forms.clone();
    let writing = tokio::spawn(async move {
        for draft in drafts.iter().cycle().take(24) {
            one.put(draft).await?;
        }
        Ok(())
    });
    bodies::watch(&two, &forms, writing).await
}

/// What stands throughout is listed once, whatever another client stores and removes meanwhile.
async fn listed_while_the_other_writes(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    for number in 0..150 {
        one.put(&bench.draft(bench.key(number))).await?;
    }
    let all = Filter::all();
    let mut listed = two.listing()?.list(&all, two.now());
    let mut times = HashMap::new();
    let mut number = 100;
    while let Some(found) = listed.next().await {
        *times.entry(found.context("list")?.key).or_insert(0) += 1;
        if number < 150 {
            one.remove(&bench.key(number)).await?;
            one.put_at_last(&bench.draft(bench.key(1000 + number))).await?;
            number += 1;
        }
    }
    for number in 0..100 {
        let listed = times.get(&bench.key(number)).copied().unwrap_or_default();
        ensure_eq!(listed, 1, "how often an entry that stood throughout was listed");
    }
    ensure!(times.values().all(|times| *times == 1), "an entry stored or removed meanwhile was listed twice");
    Ok(())
}

/// What is there after a clear was begun after it.
async fn cleared_while_the_other_writes(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let before: Vec<_> = (0..20).map(|number| bench.draft(bench.key(number))).collect();
    let mut pending = Vec::new();
    for draft in &before {
        pending.push(one.begin(draft).await?);
    }
    let commits = async {
        for pending in &pending {
            one.commit(pending).await?;
        }
        Ok(())
    };
    let clears = async { two.listing()?.clear(two.now()).await.context("clear") };
    let (committed, cleared) = tokio::join!(commits, clears);
    committed.and(cleared)?;
    for draft in &before {
        for store in [&one, &two] {
            store.absent(&draft.key, "an entry whose write began before a clear").await?;
        }
    }
    let after = bench.draft(bench.key(1));
    one.put_at_last(&after).await?;
    two.check(&after).await?;
    Ok(())
}
