//! A purge takes every entry that has any of the tags, and no other.

use crate::{
    bench::{Bench, secs, tag, variant},
    case::cases,
    failure::{Context, Outcome, ensure_eq},
    store::Store,
};

cases!["tags";
    purge [TAGS], several_at_once [TAGS], unknown [TAGS], none [TAGS], one_variant_of_several [TAGS],
    old_tags_of_a_replaced_head [TAGS], old_tags_of_a_replaced_body [TAGS], counts_the_living [TAGS],
    many_tags [TAGS], two_hundred_entries [TAGS], new_tag_under_way [TAGS], store_after_purge [TAGS],
    body_after_purge [TAGS],
];

async fn purged(store: &Store, tags: &[cache_api::TagDigest]) -> Outcome<u64> {
    store.tags()?.purge(tags, store.now()).await.context("purge")
}

async fn purge(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let (tagged, other) =
        (bench.draft(bench.key(1)).tags(&[tag("a")]), bench.draft(bench.key(2)).tags(&[tag("b")]));
    let plain = bench.draft(bench.key(3));
    for draft in [&tagged, &other, &plain] {
        store.put(draft).await?;
    }
    ensure_eq!(purged(&store, &[tag("a")]).await?, 1, "the entries purged");
    ensure_eq!(purged(&store, &[tag("a")]).await?, 0, "the entries purged again");
    store.absent(&tagged.key, "a purged entry").await?;
    store.check(&other).await?;
    store.check(&plain).await?;
    Ok(())
}

/// An entry with two of them counts once.
async fn several_at_once(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let tags: [&[_]; 4] = [&[tag("a")], &[tag("b")], &[tag("a"), tag("b")], &[tag("c")]];
    for (number, tags) in (0..).zip(tags) {
        store.put(&bench.draft(bench.key(number)).tags(tags)).await?;
    }
    ensure_eq!(purged(&store, &[tag("a"), tag("b"), tag("none")]).await?, 3, "the entries purged");
    for number in 0..3 {
        store.absent(&bench.key(number), "a purged entry").await?;
    }
    ensure_eq!(store.lookup(&bench.key(3)).await?.variants().len(), 1, "the variants with another tag");
    Ok(())
}

async fn unknown(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("a")]);
    store.put(&draft).await?;
    ensure_eq!(purged(&store, &[tag("none")]).await?, 0, "the entries with a tag that none has");
    store.check(&draft).await?;
    Ok(())
}

async fn none(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1));
    store.put(&draft).await?;
    ensure_eq!(purged(&store, &[]).await?, 0, "the entries purged by no tag at all");
    store.check(&draft).await?;
    Ok(())
}

async fn one_variant_of_several(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let gone = bench.draft(bench.key(1)).variant(variant(1)).tags(&[tag("a")]);
    let kept = bench.draft(bench.key(1)).variant(variant(2)).tags(&[tag("b")]).stored();
    store.put(&gone).await?;
    store.put(&kept).await?;
    ensure_eq!(purged(&store, &[tag("a")]).await?, 1, "the entries purged");
    let found = store.lookup(&kept.key).await?;
    ensure_eq!(found.variants().len(), 1, "the variants left");
    store.check_in(&found, &kept).await?;
    Ok(())
}

async fn old_tags_of_a_replaced_head(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("old"), tag("both")]);
    let version = store.put(&draft).await?.version;
    let fresh = draft.clone().tags(&[tag("both"), tag("new")]);
    store.replace_head(&fresh, version).await?;
    ensure_eq!(purged(&store, &[tag("old")]).await?, 0, "the entries with a tag that a new head dropped");
    store.check(&fresh).await?;
    ensure_eq!(purged(&store, &[tag("new")]).await?, 1, "the entries with a tag that a new head brought");
    store.absent(&draft.key, "a purged entry").await
}

async fn old_tags_of_a_replaced_body(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    store.put(&bench.draft(bench.key(1)).tags(&[tag("old")])).await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("new")]);
    store.put(&draft).await?;
    ensure_eq!(purged(&store, &[tag("old")]).await?, 0, "the entries with a tag of a replaced body");
    store.check(&draft).await?;
    ensure_eq!(purged(&store, &[tag("new")]).await?, 1, "the entries with a new tag");
    Ok(())
}

async fn counts_the_living(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    store.put(&bench.draft(bench.key(1)).tags(&[tag("a")]).life(secs(5))).await?;
    store.put(&bench.draft(bench.key(2)).tags(&[tag("a")])).await?;
    bench.clock().advance(secs(5));
    ensure_eq!(purged(&store, &[tag("a")]).await?, 1, "the live entries purged");
    Ok(())
}

async fn many_tags(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let tags: Vec<_> = (0..200).map(|n| tag(&format!("tag-{n}"))).collect();
    let draft = bench.draft(bench.key(1)).tags(&tags);
    store.put(&draft).await?;
    store.check(&draft).await?;
    ensure_eq!(purged(&store, &[tag("tag-199")]).await?, 1, "the entries with the last of 200 tags");
    store.absent(&draft.key, "a purged entry").await
}

async fn two_hundred_entries(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for number in 0..200 {
        store.put(&bench.draft(bench.key(number)).tags(&[tag("a")])).await?;
    }
    ensure_eq!(purged(&store, &[tag("a")]).await?, 200, "the entries purged");
    for number in 0..200 {
        store.absent(&bench.key(number), "a purged entry").await?;
    }
    Ok(())
}

/// What counts are the tags of the entry under way, not those of the entry that it would replace.
async fn new_tag_under_way(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let old = bench.draft(bench.key(1)).tags(&[tag("old")]);
    let version = store.put(&old).await?.version;
    let found = store.lookup(&old.key).await?;
    let new = bench.draft(old.key).tags(&[tag("new")]);
    let pending = store.begin(&new).await?;
    let keep = store.freshen(found.ticket(), &old.clone().tags(&[tag("new")]), version);
    ensure_eq!(purged(&store, &[tag("new")]).await?, 0, "the entries purged");
    store.refuse(&pending, None, "a body under way with a purged tag").await?;
    store.refuse(&keep, None, "a head under way with a purged tag").await?;
    store.check(&old).await?;
    Ok(())
}

async fn store_after_purge(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("a")]);
    for _ in 0..3 {
        store.put_at_last(&draft).await?;
        store.check(&draft).await?;
        ensure_eq!(purged(&store, &[tag("a")]).await?, 1, "the entries purged");
        store.absent(&draft.key, "a purged entry").await?;
    }
    Ok(())
}

/// A purged stored body is readable for the grace, as any removed one.
async fn body_after_purge(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("a")]).len(bench.seed(), 600_000);
    store.put(&draft).await?;
    let found = store.check(&draft).await?;
    purged(&store, &[tag("a")]).await?;
    bench.clock().advance(secs(60));
    store.check_body(&found, &draft).await.context("a purged body within its read grace")
}
