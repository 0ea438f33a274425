//! How many commands each operation sends, as the driver reports them.

use crate::own;
use cache_conformance::services::Trials;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_api::{
    Acquired, Body, BodyId, Change, Committed, Entry, FRAME_SIZE, Filter, Outcome, Storage, TagDigest,
};
use cache_backend_mongo::{
    MongoStorage,
    mongodb::{
        Client,
        event::{EventHandler, command::CommandEvent},
        options::ClientOptions,
    },
};
use cache_conformance::sample::{HOUR, entry, inline, key, start, stored};
use futures_util::TryStreamExt;

pub(crate) fn trials(trials: Trials) -> Trials {
    trials.case("each_operation", each_operation).case("reads_and_writes_are_of_majorities", majorities)
}

/// The commands that were sent.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<(String, String)>>>);

impl Sent {
    async fn client(&self) -> Client {
        let mut options = ClientOptions::parse(own::url()).await.unwrap();
        let sent = Arc::clone(&self.0);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                sent.lock().unwrap().push((started.command_name, started.command.to_string()));
            }
        }));
        Client::with_options(options).unwrap()
    }

    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

async fn open(sent: &Sent) -> MongoStorage {
    let storage = MongoStorage::builder().client(sent.client().await).namespace(own::namespace());
    let storage = storage.build().await.unwrap();
    sent.take();
    storage
}

async fn each_operation() {
    let sent = Sent::default();
    let storage = open(&sent).await;
    let now = start();
    let count = |what: &str, expected: usize| {
        let sent: Vec<String> = sent.take().into_iter().map(|(name, _)| name).collect();
        assert_eq!(sent.len(), expected, "{what}: {sent:?}");
    };
    let tag = TagDigest::of("t");
    let small = |head: &str| entry(key(1), head, now).with_tags([tag]);
    let body = |byte| Change::Put(inline(vec![byte; 1024]).unwrap());

    let miss = storage.lookup(&key(1), now).await.unwrap();
    count("a lookup of nothing", 1);
    stored_as(&storage, &miss, small("first"), body(1)).await;
    count("a first store", 3);
    let hit = storage.lookup(&key(1), now).await.unwrap();
    assert!(matches!(hit.variants()[0].body, Body::Inline(_)));
    count("a small hit", 1);
    stored_as(&storage, &hit, small("second"), body(2)).await;
    count("a store over another", 1);
    let hit = storage.lookup(&key(1), now).await.unwrap();
    let version = hit.variants()[0].version;
    sent.take();
    let version = stored_as(&storage, &hit, small("third"), Change::Keep(version)).await;
    count("a head replacement", 1);
    // By a ticket that is not the last.
    stored_as(&storage, &hit, small("fourth"), Change::Keep(version)).await;
    count("a head replacement by an older ticket", 3);
    stored_as(&storage, &hit, small("fifth"), body(3)).await;
    count("a store over another by an older ticket", 4);
    storage.remove(&key(1), Some(version), now).await.unwrap();
    count("a removal of a version that is not there", 1);

    let miss = storage.lookup(&key(2), now).await.unwrap();
    sent.take();
    let large = stored(&storage, miss.ticket(), 1, 3 * FRAME_SIZE, now).await.unwrap();
    count("three frames written, and the first noted", 4);
    let id: BodyId = large.id;
    let put = Change::Put(Body::Stored(large));
    let version = stored_as(&storage, &miss, entry(key(2), "head", now), put).await;
    count("a first commit of them", 4);
    storage.read(&key(2), id, 0..3).await.unwrap();
    count("three frames read", 1);
    let hit = storage.lookup(&key(2), now).await.unwrap();
    sent.take();
    let version = stored_as(&storage, &hit, entry(key(2), "same", now), Change::Keep(version)).await;
    count("a head replacement over frames", 1);
    let hit = storage.lookup(&key(2), now).await.unwrap();
    sent.take();
    let mut later = entry(key(2), "later", now);
    later.dead_at = now + 10 * HOUR;
    stored_as(&storage, &hit, later, Change::Keep(version)).await;
    count("a head replacement that moves the frames' dates", 2);
    let hit = storage.lookup(&key(2), now).await.unwrap();
    let large = stored(&storage, hit.ticket(), 1, 3 * FRAME_SIZE, now).await.unwrap();
    sent.take();
    stored_as(&storage, &hit, entry(key(2), "head", now), Change::Put(Body::Stored(large))).await;
    count("a commit of frames over others", 3);

    let abilities = storage.abilities();
    abilities.listing.unwrap().list(&Filter::all(), now).try_collect::<Vec<_>>().await.unwrap();
    count("a page of a listing", 1);
    let leases = abilities.leases.unwrap();
    let ttl = Duration::from_secs(9);
    let Acquired::Held(lease) = leases.acquire(&key(1), ttl, now).await.unwrap() else { panic!() };
    count("a lease", 1);
    assert!(matches!(leases.acquire(&key(1), ttl, now).await.unwrap(), Acquired::Busy { .. }));
    count("a lease that another holds", 2);
    assert!(leases.extend(&lease, ttl, now).await.unwrap());
    count("a lease prolonged", 1);
    leases.release(&lease, Outcome::Done, now).await.unwrap();
    count("a lease given back", 1);
    assert_eq!(abilities.tags.unwrap().purge(&[tag], now).await.unwrap(), 1);
    count("a purge: a mark, a page, an entry", 3);
    storage.remove(&key(9), None, now).await.unwrap();
    count("a removal of nothing", 2);
    storage.remove(&key(1), None, now).await.unwrap();
    count("a removal", 2);
}

async fn stored_as(
    storage: &MongoStorage,
    found: &cache_api::Resource,
    entry: Entry,
    change: Change,
) -> cache_api::Version {
    match storage.commit(found.ticket(), entry, change, start()).await.unwrap() {
        Committed::Stored { version, .. } => version,
        refused => panic!("{refused:?}"),
    }
}

/// Whatever the client says: no command relies on less.
async fn majorities() {
    let sent = Sent::default();
    let storage = open(&sent).await;
    let now = start();
    let miss = storage.lookup(&key(1), now).await.unwrap();
    stored_as(&storage, &miss, entry(key(1), "head", now), Change::Put(inline(vec![1]).unwrap())).await;
    storage.remove(&key(1), None, now).await.unwrap();
    storage.abilities().listing.unwrap().clear(now).await.unwrap();
    storage.abilities().listing.unwrap().sweep(now).await.unwrap();
    storage.abilities().leases.unwrap().acquire(&key(1), HOUR, now).await.unwrap();
    let all = sent.take();
    assert!(all.len() > 10);
    for (name, command) in all {
        let concern = if name == "find" { "\"readConcern\"" } else { "\"writeConcern\"" };
        assert!(command.contains(concern) && command.contains("\"majority\""), "{name}: {command}");
    }
}
