//! What one storage changes, another on the same store hears of, and nothing else. Each case waits for what must
//! come, as long as the suite's patience lasts.

use std::collections::HashSet;

use cache_api::{CacheKey, Event, EventStream, Limits, TagDigest};
use futures_util::{
    StreamExt as _,
    future::{try_join, try_join_all},
};

use crate::{
    Failure,
    bench::{Bench, tag},
    case::cases,
    failure::{Context, Outcome, ensure},
    store::Store,
    suite::Ability,
};

cases!["events";
    heartbeat_first [Shared, EVENTS], commit [Shared, EVENTS], head_replacement [Shared, EVENTS],
    removal [Shared, EVENTS], removal_of_absent [Shared, EVENTS], removal_of_a_version [Shared, EVENTS],
    purge [Shared, EVENTS, TAGS], purge_of_many_tags [Shared, EVENTS, TAGS], clear [Shared, EVENTS, LISTING],
    own_changes [Shared, EVENTS], another_namespace [Shared, EVENTS], several_subscribers [Shared, EVENTS],
    dropped_streams [Shared, EVENTS], five_hundred_commits [Shared, EVENTS], slow_reader [Shared, EVENTS],
    close_ends_the_stream [Shared, EVENTS],
];

/// A subscription.
struct Listener(EventStream);

impl Listener {
    async fn of(store: &Store) -> Outcome<Self> {
        Ok(Self(store.events()?.subscribe().await.context("subscribe")?))
    }

    async fn next(&mut self) -> Outcome<Event> {
        match self.0.next().await {
            Some(event) => event.context("an event"),
            None => Err(Failure::new("the events ended, without an error")),
        }
    }

    /// Reads to the first event that says so, and returns all up to it.
    async fn until(&mut self, says_so: impl Fn(&Event) -> bool) -> Outcome<Vec<Event>> {
        let mut heard = Vec::new();
        loop {
            let event = self.next().await?;
            heard.push(event.clone());
            if says_so(&event) {
                return Ok(heard);
            }
        }
    }

    async fn hears_of(&mut self, key: &CacheKey) -> Outcome {
        self.until(|event| is_about(event, key)).await.map(drop)
    }

    async fn hears_of_tag(&mut self, tag: TagDigest) -> Outcome {
        let says_so = |event: &Event| match event {
            Event::Purged(tags) => tags.contains(&tag),
            event => *event == Event::Cleared,
        };
        self.until(says_so).await.map(drop)
    }

    /// Reads to where all of these were told of.
    async fn hears_of_all(&mut self, keys: impl IntoIterator<Item = CacheKey>) -> Outcome {
        let mut left: HashSet<_> = keys.into_iter().collect();
        while !left.is_empty() {
            match self.next().await? {
                Event::Changed(key) => drop(left.remove(&key)),
                Event::Cleared => left.clear(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// An event may be wider than what happened.
fn is_about(event: &Event, key: &CacheKey) -> bool {
    matches!(event, Event::Changed(changed) if changed == key) || *event == Event::Cleared
}

async fn pair(bench: &Bench) -> Outcome<[Store; 2]> {
    Ok([bench.open().await?, bench.open().await?])
}

/// Everything that a storage can change.
async fn change_all(bench: &Bench, store: &Store) -> Outcome {
    let draft = bench.draft(bench.key(bench.seed())).tags(&[tag("a")]);
    let version = store.put_at_last(&draft).await?.version;
    store.replace_head(&draft, version).await?;
    store.remove_version(&draft.key, version).await?;
    store.remove(&draft.key).await?;
    if bench.declares(Ability::Tags) {
        store.tags()?.purge(&[tag("a")], store.now()).await.context("purge")?;
    }
    if bench.declares(Ability::Listing) {
        store.listing()?.clear(store.now()).await.context("clear")?;
    }
    Ok(())
}

async fn heartbeat_first(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let first = Listener::of(&store).await?.next().await?;
    ensure!(first == Event::Heartbeat, "expected a heartbeat first, found {first:?}");
    Ok(())
}

/// A lookup after the event sees what happened.
async fn commit(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    for number in 0..20 {
        let mut draft = bench.draft(bench.key(number));
        draft.stored = number % 2 == 0;
        let looks = async {
            listener.hears_of(&draft.key).await?;
            two.check(&draft).await.context("after the event")
        };
        try_join(one.put(&draft), looks).await?;
    }
    let other = bench.draft(bench.key(1));
    one.put(&other).await?;
    listener.hears_of(&other.key).await.context("after another body")
}

async fn head_replacement(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let draft = bench.draft(bench.key(1));
    let version = one.put(&draft).await?.version;
    listener.hears_of(&draft.key).await?;
    let fresh = draft.header("x-fresh", http::HeaderValue::from_static("1"));
    one.replace_head(&fresh, version).await?;
    listener.hears_of(&fresh.key).await.context("after a head replacement")?;
    two.check(&fresh).await?;
    Ok(())
}

async fn removal(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let draft = bench.draft(bench.key(1));
    two.put(&draft).await?;
    one.remove(&draft.key).await?;
    listener.hears_of(&draft.key).await.context("after a removal")?;
    two.absent(&draft.key, "a removed entry").await
}

/// What is not in the store may be in a copy of it.
async fn removal_of_absent(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    one.remove(&bench.key(1)).await?;
    listener.hears_of(&bench.key(1)).await.context("after a removal of nothing")?;
    let version = two.put(&bench.draft(bench.key(2))).await?.version;
    two.remove(&bench.key(2)).await?;
    one.remove_version(&bench.key(2), version).await?;
    listener.hears_of(&bench.key(2)).await.context("after a removal of a version that was gone")
}

async fn removal_of_a_version(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let draft = bench.draft(bench.key(1));
    let version = two.put(&draft).await?.version;
    one.remove_version(&draft.key, version).await?;
    listener.hears_of(&draft.key).await.context("after a removal of a version")?;
    two.absent(&draft.key, "a removed version").await
}

async fn purge(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let drafts: Vec<_> = (0..20).map(|number| bench.draft(bench.key(number)).tags(&[tag("a")])).collect();
    for draft in &drafts {
        two.put(draft).await?;
    }
    one.tags()?.purge(&[tag("a")], one.now()).await.context("purge")?;
    listener.hears_of_tag(tag("a")).await.context("after a purge")?;
    for draft in &drafts {
        two.absent(&draft.key, "a purged entry").await?;
    }
    // A tag that no entry of the store has may be in a copy of it.
    one.tags()?.purge(&[tag("none")], one.now()).await.context("purge")?;
    listener.hears_of_tag(tag("none")).await.context("after a purge of nothing")
}

async fn purge_of_many_tags(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let tags: Vec<_> = (0..600).map(|number| tag(&format!("tag-{number}"))).collect();
    one.tags()?.purge(&tags, one.now()).await.context("purge")?;
    let mut left: HashSet<_> = tags.into_iter().collect();
    while !left.is_empty() {
        match listener.next().await.context("after a purge of 600 tags")? {
            Event::Purged(tags) => left.retain(|tag| !tags.contains(tag)),
            Event::Cleared => left.clear(),
            _ => {}
        }
    }
    Ok(())
}

async fn clear(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    let draft = bench.draft(bench.key(1));
    two.put(&draft).await?;
    one.listing()?.clear(one.now()).await.context("clear")?;
    listener.until(|event| *event == Event::Cleared).await.context("after a clear")?;
    two.absent(&draft.key, "a cleared entry").await
}

/// Only what another changes is told.
async fn own_changes(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&one).await?;
    change_all(&bench, &one).await?;
    only_the_next(&bench, &mut listener, &two, "its own changes").await
}

async fn another_namespace(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&one).await?;
    for suffix in ["-x", "x"] {
        let other = bench.open_with(suffix, Limits::default()).await?;
        change_all(&bench, &other).await?;
    }
    only_the_next(&bench, &mut listener, &two, "changes of another namespace").await
}

/// Changes something, and expects the listener to hear of that and of nothing before.
async fn only_the_next(bench: &Bench, listener: &mut Listener, by: &Store, not: &str) -> Outcome {
    let draft = bench.draft(bench.key(bench.seed()));
    by.put_at_last(&draft).await?;
    let heard = listener.until(|event| is_about(event, &draft.key)).await?;
    let other = heard.iter().find(|event| !matches!(event, Event::Heartbeat | Event::Changed(_)));
    let other =
        other.or(heard.iter().find(|event| matches!(event, Event::Changed(key) if *key != draft.key)));
    ensure!(other.is_none(), "expected to hear nothing of {not}, found {other:?}");
    Ok(())
}

async fn several_subscribers(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let three = bench.open().await?;
    let mut listeners = [Listener::of(&two).await?, Listener::of(&two).await?, Listener::of(&three).await?];
    for number in 0..5 {
        one.put(&bench.draft(bench.key(number))).await?;
    }
    for listener in &mut listeners {
        listener.hears_of_all((0..5).map(|number| bench.key(number))).await?;
    }
    // One that goes away takes nothing from the others.
    let [first, mut second, mut third] = listeners;
    drop(first);
    one.remove(&bench.key(9)).await?;
    second.hears_of(&bench.key(9)).await?;
    third.hears_of(&bench.key(9)).await
}

/// Subscriptions that are left are given back.
async fn dropped_streams(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    for _ in 0..50 {
        let mut listener = Listener::of(&two).await?;
        listener.next().await?;
    }
    let mut listener = Listener::of(&two).await?;
    one.remove(&bench.key(1)).await?;
    listener.hears_of(&bench.key(1)).await
}

async fn five_hundred_commits(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    for part in 0..50 {
        let drafts = (0..10).map(|number| bench.draft(bench.key(10 * part + number))).collect::<Vec<_>>();
        try_join_all(drafts.iter().map(|draft| one.put(draft))).await?;
    }
    listener.hears_of_all((0..500).map(|number| bench.key(number))).await
}

/// Who does not read holds up nobody, and knows in the end that there was something.
async fn slow_reader(bench: Bench) -> Outcome {
    let [one, two] = pair(&bench).await?;
    let mut listener = Listener::of(&two).await?;
    for part in 0..100 {
        let keys = (0..10).map(|number| bench.key(10 * part + number)).collect::<Vec<_>>();
        let removals = try_join_all(keys.iter().map(|key| one.remove(key)));
        super::bodies::quickly("a change that nobody hears of yet", removals).await?;
    }
    let draft = bench.draft(bench.key(1000));
    super::bodies::quickly("a commit that nobody hears of yet", one.put(&draft)).await?;
    listener.hears_of_all((0..=1000).map(|number| bench.key(number))).await
}

async fn close_ends_the_stream(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let mut stream = store.events()?.subscribe().await.context("subscribe")?;
    store.storage.close().await.context("close")?;
    loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break,
            None => return Err(Failure::new("expected an error at the end of the events, found none")),
        }
    }
    ensure!(stream.next().await.is_none(), "expected nothing after the error that ends the events");
    Ok(())
}
