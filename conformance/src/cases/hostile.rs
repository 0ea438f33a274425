//! Names made of what means something to a store: they are bytes, and no two of them are the same.

use std::collections::HashMap;

use cache_api::{Acquired, CacheKey, Filter, Outcome as Came, TagDigest, VariantId};
use futures_util::TryStreamExt;
use http::HeaderValue;

use super::heads::survives;
use crate::{
    bench::{Bench, secs},
    case::cases,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure, ensure_eq},
    store::Store,
};

cases!["hostile";
    keys, variants, tags [TAGS], tags_listed [LISTING], listed_and_cleared [LISTING], leases [LEASES], heads,
];

/// Delimiters, wildcards, quotes, escapes, ends of strings and of lines, bytes that are no UTF-8, and what a store
/// might put in the place of them.
const PATTERNS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"{}",
    b"*",
    b"%",
    b"_",
    b"?",
    b"/../",
    b".",
    b":",
    b"#",
    b"$",
    b",",
    b"'\";--",
    b"\\",
    b"&=+",
    b"[^a-z]",
    b"\x80",
    b"\xc3\x28",
    b"\xef\xbf\xbd",
    b"\x1b[2J",
    b"<a/>",
    b"K",
    b"k",
];

/// The patterns over and over, and some that differ from another in their end alone.
fn names<const N: usize>() -> Vec<[u8; N]> {
    let filled = |pattern: &[u8]| {
        let mut name = [0; N];
        for (to, from) in name.iter_mut().zip(pattern.iter().cycle()) {
            *to = *from;
        }
        name
    };
    let ends: [(u8, u8); 5] = [(0, 1), (0xff, 0xfe), (b'a', 0), (b'a', b' '), (b'a', b'*')];
    let ends = ends.map(|(all, end)| {
        let mut name = [all; N];
        if let Some(last) = name.last_mut() {
            *last = end;
        }
        name
    });
    PATTERNS.iter().map(|pattern| filled(pattern)).chain(ends).collect()
}

/// An entry of each resource; every other body is a stored one.
async fn filled(bench: &Bench, store: &Store) -> Outcome<Vec<Draft>> {
    let mut drafts = Vec::new();
    for (number, key) in names().into_iter().enumerate() {
        let mut draft = bench.draft(CacheKey::from_bytes(key));
        draft.stored = number % 2 == 1;
        store.put(&draft).await.context(format!("the resource {}", draft.key))?;
        drafts.push(draft);
    }
    Ok(drafts)
}

fn each_second(drafts: &[Draft]) -> (Vec<&Draft>, Vec<&Draft>) {
    let (gone, kept): (Vec<_>, Vec<_>) = drafts.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    (gone.into_iter().map(|(_, draft)| draft).collect(), kept.into_iter().map(|(_, draft)| draft).collect())
}

async fn keys(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let drafts = filled(&bench, &store).await?;
    for draft in &drafts {
        store.check(draft).await.context(format!("the resource {}", draft.key))?;
    }
    let (gone, kept) = each_second(&drafts);
    for draft in &gone {
        let removed = store.remove(&draft.key).await?;
        ensure_eq!(removed, 1, "the variants removed of the resource {}", draft.key);
    }
    for draft in &gone {
        store.absent(&draft.key, &format!("the removed resource {}", draft.key)).await?;
    }
    for draft in kept {
        store.check(draft).await.context(format!("the resource {}, others having gone", draft.key))?;
    }
    Ok(())
}

async fn variants(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let ids: Vec<_> = names().into_iter().map(VariantId::from_bytes).collect();
    let drafts: Vec<_> = ids.iter().map(|id| bench.draft(bench.key(1)).variant(*id)).collect();
    for draft in &drafts {
        store.put(draft).await.context(format!("the variant {}", draft.variant))?;
    }
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), drafts.len(), "the variants");
    let (gone, kept) = each_second(&drafts);
    for draft in &drafts {
        store.check_in(&found, draft).await.context(format!("the variant {}", draft.variant))?;
    }
    for draft in &gone {
        let version = crate::store::find(&found, draft.variant)?.version;
        let removed = store.remove_version(&draft.key, version).await?;
        ensure_eq!(removed, 1, "the variants removed of the variant {}", draft.variant);
    }
    let found = store.lookup(&bench.key(1)).await?;
    ensure_eq!(found.variants().len(), kept.len(), "the variants left");
    for draft in kept {
        store.check_in(&found, draft).await.context(format!("the variant {}, others gone", draft.variant))?;
    }
    Ok(())
}

/// An entry for each tag, with that tag alone.
async fn tagged(bench: &Bench, store: &Store) -> Outcome<Vec<Draft>> {
    let mut drafts = Vec::new();
    for (number, tag) in (0..).zip(names()) {
        let draft = bench.draft(bench.key(number)).tags(&[TagDigest::from_bytes(tag)]);
        store.put(&draft).await?;
        drafts.push(draft);
    }
    Ok(drafts)
}

async fn tags(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let drafts = tagged(&bench, &store).await?;
    let (gone, kept) = each_second(&drafts);
    for draft in &gone {
        let purged = store.tags()?.purge(&draft.tags, store.now()).await.context("purge")?;
        ensure_eq!(purged, 1, "the entries purged by the tags {:?}", draft.tags);
        store.absent(&draft.key, "a purged entry").await?;
    }
    for draft in kept {
        store.check(draft).await.context("an entry of another tag than those purged")?;
        let purged = store.tags()?.purge(&draft.tags, store.now()).await.context("purge")?;
        ensure_eq!(purged, 1, "the entries purged by the tags {:?}", draft.tags);
    }
    Ok(())
}

async fn tags_listed(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    for draft in tagged(&bench, &store).await? {
        for tag in draft.tags.iter() {
            let filter = Filter::all().with_tag(*tag);
            let found: Vec<_> =
                store.listing()?.list(&filter, store.now()).try_collect().await.context("list")?;
            let keys: Vec<_> = found.iter().map(|found| found.key).collect();
            ensure_eq!(keys, [draft.key], "the entries with the tag {tag}");
        }
    }
    Ok(())
}

async fn listed_and_cleared(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let drafts = filled(&bench, &store).await?;
    let other = bench.open_with("-b", cache_api::Limits::default()).await?;
    let in_other = filled(&bench, &other).await?;
    let mut times = HashMap::new();
    let found: Vec<_> =
        store.listing()?.list(&Filter::all(), store.now()).try_collect().await.context("list")?;
    for found in &found {
        *times.entry(found.key).or_insert(0) += 1;
    }
    for draft in &drafts {
        let listed = times.get(&draft.key).copied().unwrap_or_default();
        ensure_eq!(listed, 1, "how often the resource {} was listed", draft.key);
    }
    ensure_eq!(times.len(), drafts.len(), "the resources listed");
    let cleared = store.listing()?.clear(store.now()).await.context("clear")?;
    ensure_eq!(cleared, drafts.len() as u64, "the entries cleared");
    for draft in &drafts {
        store.absent(&draft.key, "a cleared namespace").await?;
    }
    for draft in &in_other {
        other.check(draft).await.context("the other namespace")?;
    }
    Ok(())
}

async fn leases(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut held = Vec::new();
    for key in names() {
        let key = CacheKey::from_bytes(key);
        let acquired = store.leases()?.acquire(&key, secs(30), store.now()).await.context("acquire")?;
        let Acquired::Held(lease) = acquired else {
            return Err(Failure::new(format!("expected the lease of {key}, found {acquired:?}")));
        };
        held.push(lease);
    }
    for (number, lease) in held.iter().enumerate().step_by(2) {
        store.leases()?.release(lease, Came::Done, store.now()).await.context("release")?;
        if let Some(other) = held.get(number + 1) {
            let acquired = store.leases()?.acquire(&other.key, secs(30), store.now()).await;
            let acquired = acquired.context("acquire")?;
            ensure!(matches!(acquired, Acquired::Busy { .. }), "the lease of {}: {acquired:?}", other.key);
        }
    }
    Ok(())
}

async fn heads(bench: Bench) -> Outcome {
    let values = [
        "{}*%_?",
        "/../../etc/passwd",
        "'; DROP TABLE variant; --",
        "\\0\\x00\\",
        "${jndi:ldap://a}",
        "\t\t",
        "<!--",
        "{\"$gt\": \"\"}",
        "a, b; c=\"d, e\"",
        "%00%0d%0a",
    ];
    survives(bench, |draft| {
        let draft = values
            .into_iter()
            .fold(draft, |draft, value| draft.header("x-hostile", HeaderValue::from_static(value)));
        let mut draft =
            draft.header("x-hostile.$a~b'c", HeaderValue::from_static("a name of such characters"));
        // No URL has these; a store may not care.
        draft.head.url = "https://origin.example/\0\r\n{}*%'\"\\?\u{fffd}=\u{1f4a9}".into();
        draft
    })
    .await
}
