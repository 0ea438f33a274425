//! The server goes and comes back, and the way to it stalls and breaks: operations fail as what may be tried again,
//! nothing is torn, and the same storage works again.

use std::time::Duration;

use cache_api::{
    Body, BodyId, BodyWriter, Change, Committed, Error, FRAME_SIZE, Filter, Result, Ticket, Use,
};
use futures_util::{StreamExt, future::BoxFuture};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Remote,
    bench::{Bench, secs, tag},
    case::cases,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure, ensure_eq},
    proxy::{Direction, Proxy},
    step::step,
    store::{Store, find},
};

cases!["outage", patience 2;
    restarted [OwnServer], restarted_between_frames [OwnServer], killed_while_writing [OwnServer], killed_during_commit [OwnServer],
    unreachable [Remote], stalled [Remote], cut_while_writing [Remote], cut_while_reading [Remote],
];

const FRAME: u64 = FRAME_SIZE as u64;

/// Within that time an operation fails, where its server is gone.
const FAILS_WITHIN: Duration = secs(15);

/// Within that time a storage works again, when its server is back.
const WORKS_WITHIN: Duration = secs(15);

/// After that time a caller gives up, where the storage has no time limit of its own.
const GIVES_UP_AFTER: Duration = Duration::from_millis(500);

/// The same storage goes on over a server that was killed and started again.
async fn restarted(bench: Bench) -> Outcome {
    let server = bench.own_server()?;
    let subject = server.start().await.map_err(|e| Failure::of(&*e).while_doing("a server of its own"))?;
    let store = bench.open_on(&*subject).await?;
    let old = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME).tags(&[tag("a")]);
    store.put(&old).await?;
    kill(server.kill()).await?;
    each_fails(&bench, &store, &old).await?;
    kill(server.restart()).await?;
    whole_or_absent(&store, &[&old]).await?;
    works_again(&store, &bench.draft(old.key).stored()).await?;
    works_again(&store, &bench.draft(bench.key(2))).await
}

/// A writer does not notice that the server was another for a while: what it goes on to write is its own body's or nobody's.
async fn restarted_between_frames(bench: Bench) -> Outcome {
    let server = bench.own_server()?;
    let subject = server.start().await.map_err(|e| Failure::of(&*e).while_doing("a server of its own"))?;
    let store = bench.open_on(&*subject).await?;
    let (one, two) = (
        bench.draft(bench.key(1)).len(bench.seed(), 6 * FRAME),
        bench.draft(bench.key(2)).len(bench.seed(), 6 * FRAME),
    );
    let begin = async |draft: &Draft| {
        let ticket = until_it_works(|| store.storage.lookup(&draft.key, store.now())).await?.ticket().clone();
        let id = BodyId::random().map_err(|e| Failure::of(&e))?;
        let mut writer = until_it_works(|| store.storage.writer(&ticket, id, store.now())).await?;
        for index in 0..3 {
            writer.write(store.frame(draft, id, index)).await.context("write")?;
        }
        Ok::<_, Failure>((ticket, id, writer))
    };
    let (ticket, id, mut first) = begin(&one).await?;
    kill(server.kill()).await?;
    kill(server.restart()).await?;
    let (second_ticket, second_id, mut second) = begin(&two).await?;
    let mut goes_on = Ok(());
    for index in 3..6 {
        if goes_on.is_ok() {
            goes_on = first.write(store.frame(&one, id, index)).await;
        }
        second.write(store.frame(&two, second_id, index)).await.context("a write after the restart")?;
    }
    let commit = async |draft: &Draft, ticket: &Ticket, id, writer: Box<dyn BodyWriter>| {
        let body = Body::Stored(writer.finish(draft.payload.len()).await?);
        store.storage.commit(ticket, store.entry(draft, id), Change::Put(body), store.now()).await
    };
    if goes_on.is_ok() {
        // It may be refused, or have lost what was before the restart.
        let _ = commit(&one, &ticket, id, first).await;
    }
    // It may be refused, where the server came back without what the storage knew of it.
    let committed = commit(&two, &second_ticket, second_id, second).await.context("commit")?;
    if matches!(committed, Committed::Stored { .. }) {
        store.check(&two).await.context("what was begun after the restart")?;
    }
    whole_or_absent(&store, &[&two]).await?;
    whole_or_absent(&store, &[&one]).await?;
    works_again(&store, &bench.draft(two.key).len(bench.seed(), 3 * FRAME)).await
}

/// A frame is on its way when the server dies. The old body is whole or gone, as much as the server keeps.
async fn killed_while_writing(bench: Bench) -> Outcome {
    let server = bench.own_server()?;
    let subject = server.start().await.map_err(|e| Failure::of(&*e).while_doing("a server of its own"))?;
    let store = bench.open_on(&*subject).await?;
    let (old, new) =
        (bench.draft(bench.key(1)).stored(), bench.draft(bench.key(1)).len(bench.seed(), 40 * FRAME));
    store.put(&old).await?;
    let ticket = store.lookup(&new.key).await?.ticket().clone();
    let id = BodyId::random()?;
    let mut writer = store.writer(&ticket, id).await?;
    for index in 0..8 {
        writer.write(store.frame(&new, id, index)).await.context("write")?;
    }
    let goes_on = async {
        for index in 8..new.payload.frames() {
            writer.write(store.frame(&new, id, index)).await?;
        }
        let body = writer.finish(new.payload.len()).await?;
        store
            .storage
            .commit(&ticket, store.entry(&new, id), Change::Put(Body::Stored(body)), store.now())
            .await
    };
    let (killed, written) = tokio::join!(server.kill(), timeout(FAILS_WITHIN, goes_on));
    killed.map_err(|e| Failure::of(&*e).while_doing("killing the server"))?;
    match written {
        Err(_) => return Err(stuck("a write whose server was killed")),
        Ok(Err(error)) => may_be_tried_again("a write whose server was killed", &error)?,
        // It was faster than the kill.
        Ok(Ok(_)) => {}
    }
    kill(server.restart()).await?;
    whole_or_absent(&store, &[&old, &new]).await?;
    works_again(&store, &bench.draft(new.key).len(bench.seed(), 3 * FRAME)).await
}

/// The commit got to another point each time when the server dies: the entry is the old one or the new one, or gone.
async fn killed_during_commit(bench: Bench) -> Outcome {
    let server = bench.own_server()?;
    let subject = server.start().await.map_err(|e| Failure::of(&*e).while_doing("a server of its own"))?;
    let store = bench.open_on(&*subject).await?;
    for polls in 1..4 {
        let old = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME);
        works_again(&store, &old).await?;
        let new = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME);
        let pending = store.begin(&new).await?;
        let mut commit: BoxFuture<'_, _> = Box::pin(store.try_commit(&pending));
        let early = step(&mut commit, polls).await;
        kill(server.kill()).await?;
        let committed = match early {
            Some(committed) => committed,
            None => {
                timeout(FAILS_WITHIN, commit).await.map_err(|_| stuck("a commit whose server was killed"))?
            }
        };
        if let Err(error) = committed {
            may_be_tried_again("a commit whose server was killed", &error)?;
        }
        kill(server.restart()).await?;
        whole_or_absent(&store, &[&old, &new]).await?;
    }
    works_again(&store, &bench.draft(bench.key(1)).stored()).await
}

/// Connections are reset, and nobody takes new ones, for a while.
async fn unreachable(bench: Bench) -> Outcome {
    let (direct, proxy, store) = through_a_proxy(&bench).await?;
    let old = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME).tags(&[tag("a")]);
    store.put(&old).await?;
    proxy.refuse(true);
    proxy.cut();
    each_fails(&bench, &store, &old).await?;
    direct.check(&old).await.context("an entry that nothing reached")?;
    proxy.refuse(false);
    works_again(&store, &bench.draft(old.key).stored()).await
}

/// Nothing comes and nothing goes, and connections stay open: an operation ends by the storage's own time limit, or
/// with its caller.
async fn stalled(bench: Bench) -> Outcome {
    let (direct, proxy, store) = through_a_proxy(&bench).await?;
    let limit = bench.remote()?.timeout();
    let old = bench.draft(bench.key(1)).len(bench.seed(), 2 * FRAME);
    let version = store.put(&old).await?.version;
    let pending = store.begin(&bench.draft(old.key)).await?;
    proxy.stall(&Direction::BOTH);
    // Not of what was looked up before: of that the storage may have a copy.
    gets_no_answer("lookup", limit, store.storage.lookup(&bench.key(2), store.now())).await?;
    gets_no_answer("read", limit, store.read(&old.key, version.body, 0..2)).await?;
    gets_no_answer("commit", limit, store.try_commit(&pending)).await?;
    direct.lookup(&old.key).await.context("another client meanwhile")?;
    proxy.resume();
    let next = bench.draft(old.key).stored();
    works_again(&store, &next).await?;
    direct.check(&next).await.context("another client afterwards")?;
    Ok(())
}

async fn gets_no_answer<T>(
    what: &str,
    limit: Option<Duration>,
    operation: impl Future<Output = Result<T>> + Send,
) -> Outcome {
    let patience = limit.map_or(GIVES_UP_AFTER, |limit| limit.saturating_add(FAILS_WITHIN));
    match timeout(patience, operation).await {
        Ok(Ok(_)) => Err(Failure::new(format!("{what}: succeeded without an answer"))),
        Ok(Err(error)) => may_be_tried_again(what, &error),
        Err(_) if limit.is_none() => Ok(()),
        Err(_) => Err(stuck(&format!("{what}, which was to end after {limit:?}"))),
    }
}

async fn cut_while_writing(bench: Bench) -> Outcome {
    let (direct, proxy, store) = through_a_proxy(&bench).await?;
    let old = bench.draft(bench.key(1)).stored();
    store.put(&old).await?;
    for frame in [0, 2] {
        let before = store.lookup(&old.key).await?;
        let new = bench.draft(old.key).len(bench.seed(), 4 * FRAME);
        let id = BodyId::random()?;
        let mut writer = store.writer(before.ticket(), id).await?;
        let writes = async {
            for index in 0..new.payload.frames() {
                if index == frame {
                    proxy.cut_after(Direction::ToServer, FRAME / 3);
                }
                writer.write(store.frame(&new, id, index)).await?;
            }
            let body = writer.finish(new.payload.len()).await?;
            let change = Change::Put(Body::Stored(body));
            store.storage.commit(before.ticket(), store.entry(&new, id), change, store.now()).await
        };
        match timeout(FAILS_WITHIN, writes).await {
            Err(_) => return Err(stuck("a write whose connection was cut")),
            Ok(Err(error)) => {
                may_be_tried_again("a write whose connection was cut", &error)?;
                direct.check(&old).await.context("what was there before a write that was cut")?;
            }
            // It was sent again over another connection, whole.
            Ok(Ok(_)) => drop(direct.check(&new).await?),
        }
        works_again(&store, &old).await?;
    }
    Ok(())
}

async fn cut_while_reading(bench: Bench) -> Outcome {
    let (_direct, proxy, store) = through_a_proxy(&bench).await?;
    let draft = bench.draft(bench.key(1)).len(bench.seed(), 8 * FRAME);
    let id = store.put(&draft).await?.version.body;
    for frames in [0..4, 2..3] {
        proxy.cut_after(Direction::ToClient, FRAME / 3);
        let read = timeout(FAILS_WITHIN, store.read(&draft.key, id, frames.clone())).await;
        match read.map_err(|_| stuck("a read whose connection was cut"))? {
            Err(error) => may_be_tried_again("a read whose connection was cut", &error)?,
            // It was asked again over another connection.
            Ok(read) => {
                ensure_eq!(read.len(), frames.len(), "the frames read over a connection that was cut");
            }
        }
        until_it_works(|| store.read(&draft.key, id, frames.clone())).await.context("a read afterwards")?;
        store.check(&draft).await.context("a body whose reading was cut")?;
    }
    Ok(())
}

/// A storage straight on the store, and another through a proxy, in one namespace.
async fn through_a_proxy(bench: &Bench) -> Outcome<(Store, Proxy, Store)> {
    let remote: &dyn Remote = bench.remote()?;
    let direct = bench.open_replica().await?;
    let proxy = Proxy::to(remote.address()).await.map_err(|e| Failure::of(&e).while_doing("no proxy"))?;
    let store = bench.open_at(remote, &proxy.address().to_string()).await?;
    Ok((direct, proxy, store))
}

async fn kill(done: impl Future<Output = std::result::Result<(), crate::ServerError>>) -> Outcome {
    done.await.map_err(|e| Failure::of(&*e).while_doing("killing the server, or starting it again"))
}

fn stuck(what: &str) -> Failure {
    Failure::new(format!("{what}: no end within {FAILS_WITHIN:?}"))
}

/// Fails the case unless that is an error of a server that is not there.
fn may_be_tried_again(what: &str, error: &Error) -> Outcome {
    let why = Failure::of(error);
    ensure!(error.is_transient(), "{what}: expected Unavailable or Timeout, found {:?}: {why}", error.kind());
    Ok(())
}

/// Each operation fails in time while the server is not there, the writing of a body at its first frame.
async fn each_fails(bench: &Bench, store: &Store, draft: &Draft) -> Outcome {
    let (storage, now) = (&store.storage, store.now());
    let id = BodyId::random()?;
    // As if it had been looked up before.
    let (generation, epoch) = (cache_api::Generation::NONE, cache_api::Epoch::NONE);
    let found = cache_api::Resource::new(draft.key, generation, epoch, [], now);
    let ticket = found.ticket();
    let writes = async {
        let mut writer = storage.writer(ticket, id, now).await?;
        writer.write(store.frame(draft, id, 0)).await
    };
    fails("lookup", async { storage.lookup(&draft.key, now).await.map(drop) }).await?;
    fails("read", async { storage.read(&draft.key, id, 0..1).await.map(drop) }).await?;
    fails("write", writes).await?;
    let small = bench.draft(draft.key);
    let frame = store.frame(&small, id, 0);
    let body = Body::Inline(cache_api::InlineBody { id, frame, len: small.payload.len() });
    let entry = store.entry(&small, id);
    fails("commit", async { storage.commit(ticket, entry, Change::Put(body), now).await.map(drop) }).await?;
    fails("remove", async { storage.remove(&draft.key, None, now).await.map(drop) }).await?;
    let abilities = storage.abilities();
    if let Some(tags) = abilities.tags {
        fails("purge", async { tags.purge(&draft.tags, now).await.map(drop) }).await?;
    }
    if let Some(listing) = abilities.listing {
        let all = Filter::all();
        let first =
            async { listing.list(&all, now).next().await.unwrap_or_else(|| Err(nothing())).map(drop) };
        fails("list", first).await?;
        fails("count", async { listing.count(&all, now).await.map(drop) }).await?;
        fails("sweep", async { listing.sweep(now).await.map(drop) }).await?;
        fails("clear", async { listing.clear(now).await.map(drop) }).await?;
    }
    if let Some(leases) = abilities.leases {
        fails("acquire", async { leases.acquire(&draft.key, secs(9), now).await.map(drop) }).await?;
    }
    if let Some(touch) = abilities.touch {
        // Uses may be dropped: that is no failure, but it must end.
        let used = [Use { key: draft.key, variant: draft.variant, at: now }];
        let touched = timeout(FAILS_WITHIN, touch.touch(&used, now)).await.map_err(|_| stuck("touch"))?;
        touched.or_else(|error| may_be_tried_again("touch", &error))?;
    }
    Ok(())
}

fn nothing() -> Error {
    Error::new(cache_api::ErrorKind::Other, "list").with_message("ended as if there were no entries")
}

async fn fails(what: &str, operation: impl Future<Output = Result<()>> + Send) -> Outcome {
    match timeout(FAILS_WITHIN, operation).await {
        Err(_) => Err(stuck(&format!("{what}, the server not being there"))),
        Ok(Ok(())) => Err(Failure::new(format!("{what}: expected an error, the server not being there"))),
        Ok(Err(error)) => may_be_tried_again(what, &error),
    }
}

/// Asks again until there is an answer: until then it fails as what may be tried again.
async fn until_it_works<T, Fut>(mut operation: impl FnMut() -> Fut) -> Outcome<T>
where
    Fut: Future<Output = Result<T>>,
{
    let end = Instant::now() + WORKS_WITHIN;
    loop {
        match timeout(FAILS_WITHIN, operation()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => {
                may_be_tried_again("an operation, the server being back", &error)?;
                ensure!(
                    Instant::now() < end,
                    "does not work again after {WORKS_WITHIN:?}: {}",
                    Failure::of(&error)
                );
            }
            Err(_) => return Err(stuck("an operation, the server being back")),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Stores the draft at last, and finds it whole.
async fn works_again(store: &Store, draft: &Draft) -> Outcome {
    for _ in 0..20 {
        // What lost its answer may have happened meanwhile: that refuses one that is sent again.
        if let Committed::Stored { .. } = until_it_works(|| put(store, draft)).await.context("a new write")? {
            until_it_works(|| store.storage.lookup(&draft.key, store.now())).await.context("a new lookup")?;
            return store.check(draft).await.context("a new entry").map(drop);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::new("each of 20 fresh writes was refused"))
}

async fn put(store: &Store, draft: &Draft) -> Result<Committed> {
    let found = store.storage.lookup(&draft.key, store.now()).await?;
    let id = BodyId::random()?;
    let body = if draft.stored || draft.payload.len() > cache_api::INLINE_MAX as u64 {
        let mut writer = store.storage.writer(found.ticket(), id, store.now()).await?;
        for index in 0..draft.payload.frames() {
            writer.write(store.frame(draft, id, index)).await?;
        }
        Body::Stored(writer.finish(draft.payload.len()).await?)
    } else {
        let len = draft.payload.len();
        Body::Inline(cache_api::InlineBody { id, frame: store.frame(draft, id, 0), len })
    };
    store.storage.commit(found.ticket(), store.entry(draft, id), Change::Put(body), store.now()).await
}

/// The entry is one of these, whole, or not there.
async fn whole_or_absent(store: &Store, drafts: &[&Draft]) -> Outcome {
    for draft in drafts {
        let found = until_it_works(|| store.storage.lookup(&draft.key, store.now())).await?;
        let Ok(variant) = find(&found, draft.variant) else { return Ok(()) };
        let place = store.place(draft.key, draft.variant, variant.version.body);
        let head = variant.head.decode(store.serializer(), &place).await.context("head")?;
        if *head == draft.head {
            return store.check_body(variant, draft).await.context("what a dead server left behind");
        }
    }
    Err(Failure::new("expected what was stored or nothing, found another entry"))
}
