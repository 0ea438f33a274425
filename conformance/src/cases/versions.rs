//! Heads are replaced by compare-and-set, and a version never comes back.

use cache_api::{BodyId, Refusal, Version};

use crate::{
    bench::{Bench, secs, variant},
    case::cases,
    clock::later,
    failure::{Outcome, ensure, ensure_eq},
    store::find,
};

cases!["versions";
    head_is_replaced, stored_body_is_kept, wrong_version, wrong_body, after_two_updates, of_two_only_one,
    of_an_absent_variant, dead_at_moves, dead_at_is_clamped, keep_is_clamped_to_the_body,
    revival, revival_with_original_ticket, revival_of_identical_content, revival_after_version_removal,
    removal_of_an_old_version,
];

async fn head_is_replaced(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let first = store.put(&draft).await?;
    ensure_eq!(first.version.head, 0, "the head counter of a body just stored");
    bench.clock().advance(secs(5));
    let fresh = draft.clone().header("x-fresh", http::HeaderValue::from_static("1"));
    let second = store.replace_head(&fresh, first.version).await?;
    ensure_eq!(second.version, Version { head: 1, ..first.version }, "the version after one update");
    let found = store.check(&fresh).await?;
    ensure_eq!(found.version, second.version, "the version looked up");
    ensure_eq!(found.stored_at, store.now(), "when the head was replaced");
    Ok(())
}

async fn stored_body_is_kept(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 600_000);
    let other = bench.draft(bench.key(1)).variant(variant(2));
    store.put(&other).await?;
    let mut version = store.put(&draft).await?.version;
    for _ in 0..3 {
        version = store.replace_head(&draft, version).await?.version;
        store.check(&draft).await?;
        store.check(&other).await?;
    }
    Ok(())
}

async fn wrong_version(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let version = store.put(&draft).await?.version;
    let found = store.lookup(&draft.key).await?;
    let fresh = draft.clone().header("x-fresh", http::HeaderValue::from_static("1"));
    let wrong = store.freshen(found.ticket(), &fresh, Version { head: version.head + 1, ..version });
    store.refuse(&wrong, Some(Refusal::VersionChanged), "a head counter never reached").await?;
    ensure_eq!(store.check(&draft).await?.version, version, "the version after a refusal");
    Ok(())
}

async fn wrong_body(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let version = store.put(&draft).await?.version;
    let found = store.lookup(&draft.key).await?;
    let wrong = store.freshen(found.ticket(), &draft, Version { body: BodyId::random()?, ..version });
    store.refuse(&wrong, Some(Refusal::VersionChanged), "a body that is not there").await?;
    ensure_eq!(store.check(&draft).await?.version, version, "the version after a refusal");
    Ok(())
}

async fn after_two_updates(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let zero = store.put(&draft).await?.version;
    let one = store.replace_head(&draft, zero).await?.version;
    let two = store.replace_head(&draft, one).await?.version;
    let fresh = draft.clone().header("x-fresh", http::HeaderValue::from_static("1"));
    for old in [zero, one] {
        let found = store.lookup(&draft.key).await?;
        let pending = store.freshen(found.ticket(), &fresh, old);
        store.refuse(&pending, Some(Refusal::VersionChanged), "a version that passed").await?;
    }
    ensure_eq!(store.check(&draft).await?.version, two, "the version after refusals");
    // Heads replaced in between do not refuse a new body (guarantee 5).
    let ticket = store.lookup(&draft.key).await?.ticket().clone();
    let three = store.replace_head(&draft, two).await?.version;
    ensure_eq!(three.head, 3, "the head counter");
    let next = bench.draft(draft.key);
    let pending = store.begin_with(ticket, &next).await?;
    store.complete(&pending).await?;
    store.check(&next).await?;
    Ok(())
}

/// Two at once with one version: one wins.
async fn of_two_only_one(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..20 {
        let draft = bench.draft(bench.key(number));
        let version = store.put(&draft).await?.version;
        let found = store.lookup(&draft.key).await?;
        let mut won = 0;
        let commits = (0..4_u64).map(|n| {
            let draft = draft.clone().header("x-writer", http::HeaderValue::from(n));
            let pending = store.freshen(found.ticket(), &draft, version);
            let store = store.clone();
            tokio::spawn(async move { store.commit(&pending).await })
        });
        for commit in futures_util::future::join_all(commits).await {
            match commit.map_err(|e| crate::Failure::new(e.to_string()))?? {
                cache_api::Committed::Stored { .. } => won += 1,
                cache_api::Committed::Refused(reason) => {
                    ensure_eq!(reason, Refusal::VersionChanged, "why a head that came second was refused");
                }
                other => ensure!(false, "expected stored or refused, found {other:?}"),
            }
        }
        ensure_eq!(won, 1, "the heads that replaced one version");
    }
    Ok(())
}

async fn of_an_absent_variant(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let ticket = store.lookup(&draft.key).await?.ticket().clone();
    let pending = store.freshen(&ticket, &draft, Version { body: BodyId::random()?, head: 0 });
    store.refuse(&pending, Some(Refusal::VersionChanged), "a head without a body").await?;
    store.absent(&draft.key, "a head without a body").await
}

async fn dead_at_moves(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).life(secs(100));
    let version = store.put(&draft).await?.version;
    bench.clock().advance(secs(50));
    let longer = store.replace_head(&draft.clone().life(secs(500)), version).await?;
    ensure_eq!(longer.dead_at, later(store.now(), secs(500)), "dead_at after it was put off");
    bench.clock().advance(secs(400));
    store.check(&draft).await?;
    let shorter = store.replace_head(&draft.clone().life(secs(10)), longer.version).await?;
    ensure_eq!(shorter.dead_at, later(store.now(), secs(10)), "dead_at after it was brought forward");
    ensure_eq!(store.check(&draft).await?.dead_at, shorter.dead_at, "dead_at looked up");
    bench.clock().advance(secs(10));
    store.absent(&draft.key, "an entry whose death was brought forward").await
}

async fn dead_at_is_clamped(bench: Bench) -> Outcome {
    let limits = cache_api::Limits::default().with_max_retention(secs(1000));
    let store = bench.open_with("", limits).await?;
    for stored in [false, true] {
        let mut draft = bench.draft(bench.key(u64::from(stored))).life(secs(5000));
        draft.stored = stored;
        let limit = later(store.now(), secs(1000));
        let written = store.put(&draft).await?;
        ensure_eq!(written.dead_at, limit, "dead_at of a commit (stored body: {stored})");
        ensure_eq!(store.check(&draft).await?.dead_at, limit, "dead_at looked up (stored body: {stored})");
    }
    bench.clock().advance(secs(1000));
    store.absent(&bench.key(0), "an entry past max_retention").await?;
    store.absent(&bench.key(1), "an entry past max_retention").await
}

/// Neither a late commit nor a new head lets a body outlive its limit, fixed when its writing began.
async fn keep_is_clamped_to_the_body(bench: Bench) -> Outcome {
    let limits = cache_api::Limits::default().with_max_retention(secs(1000));
    let store = bench.open_with("", limits).await?;
    let (small, large) = (bench.draft(bench.key(1)).life(secs(100)), bench.draft(bench.key(2)).stored());
    let limit = later(store.now(), secs(1000));
    let small_version = store.put(&small).await?.version;
    let pending = store.begin(&large).await?;
    bench.clock().advance(secs(50));
    let late = crate::store::Pending { entry: store.entry(&large, pending.body), ..pending };
    let written = store.complete(&late).await?;
    ensure_eq!(written.dead_at, limit, "dead_at of a stored body committed late");

    bench.clock().advance(secs(20));
    for (draft, version) in [(small, small_version), (large, written.version)] {
        let draft = draft.life(secs(100_000));
        let kept = store.replace_head(&draft, version).await?;
        ensure_eq!(kept.dead_at, limit, "dead_at of a new head for a body with that limit");
        ensure_eq!(store.check(&draft).await?.dead_at, limit, "dead_at looked up");
    }
    Ok(())
}

/// Store, look up A, remove, store the same variant, commit `Keep(A)`: refused.
async fn revival(bench: Bench) -> Outcome {
    revived(bench, false, false).await
}

/// The same with the ticket that saw A.
async fn revival_with_original_ticket(bench: Bench) -> Outcome {
    revived(bench, true, false).await
}

/// The same where the new entry has the very content of the old one, and so an equal `ETag`.
async fn revival_of_identical_content(bench: Bench) -> Outcome {
    revived(bench.clone(), false, true).await?;
    revived(bench, true, true).await
}

async fn revived(bench: Bench, original_ticket: bool, identical: bool) -> Outcome {
    let store = bench.open().await?;
    for stored in [false, true] {
        let key = bench.key(bench.seed());
        let mut first = bench.draft(key).header("etag", http::HeaderValue::from_static("\"v1\""));
        first.stored = stored;
        store.put(&first).await?;
        let seen = store.lookup(&key).await?;
        let version = find(&seen, first.variant)?.version;
        store.remove(&key).await?;
        let second = if identical { first.clone() } else { bench.draft(key) };
        let now = store.put(&second).await?.version;
        ensure!(now != version, "a version came back: {version:?}");

        let stale = first.clone().header("x-stale", http::HeaderValue::from_static("1"));
        let ticket =
            if original_ticket { seen.ticket().clone() } else { store.lookup(&key).await?.ticket().clone() };
        store.refuse(&store.freshen(&ticket, &stale, version), None, "a removed version").await?;
        ensure_eq!(store.check(&second).await?.version, now, "the version after a refusal");
    }
    Ok(())
}

/// Removing one version moves no generation: the version alone must tell.
async fn revival_after_version_removal(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let version = store.put(&draft).await?.version;
    let ticket = store.lookup(&draft.key).await?.ticket().clone();
    ensure_eq!(store.remove_version(&draft.key, version).await?, 1, "the variants removed");
    let keep = store.freshen(&ticket, &draft, version);
    store.refuse(&keep, Some(Refusal::VersionChanged), "a removed version").await?;
    store.absent(&draft.key, "a removed version").await?;
    store.put(&draft).await?;
    store.refuse(&keep, Some(Refusal::VersionChanged), "a removed version").await?;
    store.check(&draft).await?;
    Ok(())
}

async fn removal_of_an_old_version(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    let old = store.put(&draft).await?.version;
    let new = store.replace_head(&draft, old).await?.version;
    ensure_eq!(store.remove_version(&draft.key, old).await?, 0, "the variants of a version that passed");
    ensure_eq!(store.check(&draft).await?.version, new, "the version left");
    Ok(())
}
