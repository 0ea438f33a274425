//! Ways to the server, and what goes wrong on them.

use std::{path::Path, time::Duration};

use crate::own::{self, builder, client, database, open};
use cache_api::{Error, ErrorKind, Filter, Namespace, Outcome, Storage, TagDigest};
use cache_backend_mongo::{
    MongoStorage, MongoStorageBuilder,
    mongodb::{
        Client,
        bson::{Document, doc},
        options::ClientOptions,
    },
};
use cache_conformance::services::Trials;
use cache_conformance::{
    sample::{is_stored, key, put, put_stored, start},
    services::{Process, directory, free_port, mongo::on_port},
};

pub(crate) fn trials(trials: Trials) -> Trials {
    trials
        .case("nobody_there", nobody_there)
        .case("server_restarted", server_restarted)
        .case("password", password)
        .case("permissions", permissions)
        .case("collections_of_others", collections_of_others)
        .case("indexes_that_are_there", indexes_that_are_there)
        .case("own_clients", own_clients)
        .case("settings_that_cannot_work", settings_that_cannot_work)
        .case("namespaces_over_one_connection", namespaces_over_one_connection)
        .case("many_replicas_at_once", many_replicas_at_once)
}

/// No credential is in what a user or a log sees.
fn without_secrets(shown: &str) {
    assert!(!shown.contains("hunter2") && !shown.contains("a@s/s") && !shown.contains("a%40s"), "{shown}");
}

fn refusal(built: cache_api::Result<MongoStorage>) -> Error {
    let error = built.unwrap_err();
    without_secrets(&format!("{error} {error:?}"));
    assert!(error.to_string().starts_with("mongo: connect: "), "{error}");
    error
}

async fn lazily(url: &str) -> Error {
    let lazy = MongoStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
    without_secrets(&format!("{lazy} {lazy:?}"));
    let error = lazy.lookup(&key(1), start()).await.unwrap_err();
    without_secrets(&format!("{error} {error:?}"));
    error
}

async fn nobody_there() {
    for hosts in ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2"] {
        let url = format!("mongodb://u:hunter2@{hosts}/app?connect_timeout=500ms");
        let error = refusal(MongoStorage::from_url(&url).await);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_eq!(lazily(&url).await.kind(), ErrorKind::Unavailable);
    }
    let url = "mongodb://127.0.0.1:1/app?timeout=100ms";
    assert!(refusal(MongoStorage::from_url(url).await).is_transient());
}

/// A server of the test's own, over a directory that outlives it.
async fn server(data: &Path, passwords: bool) -> (u16, Process) {
    let port = free_port().unwrap();
    (port, again(port, data, passwords).await)
}

async fn again(port: u16, data: &Path, passwords: bool) -> Process {
    let data = data.to_owned();
    tokio::task::spawn_blocking(move || on_port(port, &data, passwords).unwrap()).await.unwrap()
}

async fn server_restarted() {
    let data = directory().unwrap();
    let (port, mut process) = server(data.path(), false).await;
    let url = format!("mongodb://127.0.0.1:{port}/app?timeout=2s&connect_timeout=1s");
    let storage = MongoStorage::from_url(&url).await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
    process.kill().unwrap();
    drop(process);
    let error = storage.lookup(&key(1), now).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let _again = again(port, data.path(), false).await;
    let mut found = storage.lookup(&key(1), now).await;
    for _ in 0..100 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = storage.lookup(&key(1), now).await;
    }
    found.unwrap();
    assert!(is_stored(&put(&storage, key(2), vec![1], &[], now).await.unwrap()));
}

const PASSWORD: &str = "p:a@s/s w%rd";
const ENCODED: &str = "p%3Aa%40s%2Fs%20w%25rd";

async fn command(url: &str, database: &str, command: Document) {
    let client = Client::with_uri_str(url).await.unwrap();
    client.database(database).run_command(command).await.unwrap();
}

/// A server that wants passwords, with a user of this role.
async fn with_user(data: &Path, role: Document) -> (u16, Process) {
    let (port, process) = server(data, false).await;
    let url = format!("mongodb://127.0.0.1:{port}/");
    if role.contains_key("createRole") {
        command(&url, "app", role.clone()).await;
    }
    let role = role.get_str("createRole").unwrap_or("readWrite");
    let create = doc! { "createUser": "cache", "pwd": PASSWORD, "roles": [{ "role": role, "db": "app" }] };
    command(&url, "app", create).await;
    // It may be killed before it has written all.
    command(&url, "admin", doc! { "fsync": 1 }).await;
    drop(process);
    let process = again(port, data, true).await;
    (port, process)
}

async fn password() {
    let data = directory().unwrap();
    let (port, _process) = with_user(data.path(), doc! {}).await;
    let url = format!("mongodb://cache:{ENCODED}@127.0.0.1:{port}/app?timeout=60s&connect_timeout=60s");
    let storage = MongoStorage::from_url(&url).await.unwrap();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
    without_secrets(&format!("{storage} {storage:?} {:?}", MongoStorageBuilder::from_url(&url).unwrap()));
    for user in ["", "cache:hunter2@", "somebody:hunter2@"] {
        // The driver asks again until its time is up.
        let url = format!("mongodb://{user}127.0.0.1:{port}/app?timeout=10s&connect_timeout=10s");
        let error = refusal(MongoStorage::from_url(&url).await);
        assert_eq!(error.kind(), ErrorKind::Denied, "{user}: {error:?}");
        assert_eq!(lazily(&url).await.kind(), ErrorKind::Denied, "{user}");
    }
}

/// The actions that the documentation lists.
fn role(actions: &[&str]) -> Document {
    let privileges = ["resources", "frames", "leases", "purges"].map(|kind| {
        let resource = doc! { "db": "app", "collection": format!("http_cache.{kind}") };
        doc! { "resource": resource, "actions": actions }
    });
    doc! { "createRole": "httpCache", "roles": [], "privileges": privileges.to_vec() }
}

/// The permissions that the documentation lists are enough, and each is needed.
async fn permissions() {
    let listed = include_str!("../README.md").split("actions: [").nth(1).unwrap().split(']').next().unwrap();
    let actions: Vec<&str> = listed.split(", ").map(|action| action.trim_matches('"')).collect();
    assert_eq!(actions.len(), 6, "{actions:?}");
    let data = directory().unwrap();
    let (port, _process) = with_user(data.path(), role(&actions)).await;
    let url = format!("mongodb://cache:{ENCODED}@127.0.0.1:{port}/app?timeout=60s&connect_timeout=60s");
    let storage = MongoStorage::from_url(&url).await.unwrap();
    let now = start();
    let tags = [TagDigest::of("a")];
    put(&storage, key(1), vec![1], &tags, now).await.unwrap();
    put_stored(&storage, key(2), 1, 10, now).await.unwrap();
    put_stored(&storage, key(2), 1, 10, now).await.unwrap();
    storage.remove(&key(1), None, now).await.unwrap();
    let abilities = storage.abilities();
    abilities.tags.unwrap().purge(&tags, now).await.unwrap();
    let listing = abilities.listing.unwrap();
    listing.sweep(now + Duration::from_secs(86_400)).await.unwrap();
    listing.count(&Filter::all(), now).await.unwrap();
    listing.clear(now).await.unwrap();
    let leases = abilities.leases.unwrap();
    let acquired = leases.acquire(&key(1), Duration::from_secs(1), now).await.unwrap();
    let cache_api::Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
    leases.release(&lease, Outcome::Done, now).await.unwrap();
    // And no more than that: other collections are none of its business, where the server tells them apart.
    let user = Client::with_uri_str(format!("mongodb://cache:{ENCODED}@127.0.0.1:{port}/app")).await.unwrap();
    if user.database("app").collection::<Document>("other").insert_one(doc! {}).await.is_err() {
        let error = refusal(MongoStorage::from_url(&format!("{url}&prefix=other")).await);
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    } else {
        eprintln!("permissions: this server knows no permissions of one collection");
    }

    // Without the indexes' permissions, as they are there.
    for (missing, works) in [("createIndex", true), ("update", false), ("remove", false), ("insert", false)] {
        let data = directory().unwrap();
        let (port, process) = server(data.path(), false).await;
        MongoStorage::from_url(&format!("mongodb://127.0.0.1:{port}/app")).await.unwrap();
        drop(process);
        let fewer: Vec<&str> = actions.iter().copied().filter(|action| *action != missing).collect();
        let (port, _process) = with_user(data.path(), role(&fewer)).await;
        let url = format!("mongodb://cache:{ENCODED}@127.0.0.1:{port}/app?timeout=60s&connect_timeout=60s");
        match MongoStorage::from_url(&url).await {
            Ok(storage) if works => {
                assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
            }
            built => assert_eq!(refusal(built).kind(), ErrorKind::Denied, "{missing}"),
        }
    }
}

/// A prefix that no other test has.
fn prefix() -> String {
    format!("c{}", cache_api::BodyId::random().unwrap())
}

async fn drop_all(prefix: &str) {
    for kind in ["resources", "frames", "leases", "purges"] {
        database().await.collection::<Document>(&format!("{prefix}.{kind}")).drop().await.unwrap();
    }
}

async fn collections_of_others() {
    let database = database().await;
    let view = |name: &str| doc! { "create": name, "viewOn": "something", "pipeline": [] };
    let index = |name: &str, index: Document| doc! { "createIndexes": name, "indexes": [index] };
    for (kind, part) in [("resources", "a view"), ("frames", "unique index"), ("leases", "another index")] {
        let prefix = prefix();
        let name = format!("{prefix}.{kind}");
        let command = match kind {
            "resources" => view(&name),
            "frames" => index(&name, doc! { "key": { "x": 1 }, "name": "x", "unique": true }),
            _ => index(&name, doc! { "key": { "gone": 1 }, "name": "gone_1", "expireAfterSeconds": 100 }),
        };
        database.run_command(command).await.unwrap();
        let error = refusal(builder().prefix(&prefix).build().await);
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{kind}: {error:?}");
        let message = error.to_string();
        assert!(message.contains(&name) && message.contains(part), "{message}");
        let lazy = builder().prefix(&prefix).lazy(true).build().await.unwrap();
        assert_eq!(lazy.remove(&key(1), None, start()).await.unwrap_err().kind(), ErrorKind::Incompatible);
        drop_all(&prefix).await;
    }
}

/// Somebody else's indexes do no harm, nor do ours under another name.
async fn indexes_that_are_there() {
    let database = database().await;
    let prefix = prefix();
    let name = format!("{prefix}.resources");
    let index = doc! { "key": { "n": 1 }, "name": "by_namespace" };
    let ours = doc! { "key": { "gone": 1 }, "name": "gone_1", "expireAfterSeconds": 0 };
    let create = doc! { "createIndexes": name, "indexes": [index, ours] };
    database.run_command(create).await.unwrap();
    for _ in 0..2 {
        let storage = builder().prefix(&prefix).build().await.unwrap();
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
    }
    drop_all(&prefix).await;
}

async fn own_clients() {
    let now = start();
    let client = client().await;
    let database = client.database(database().await.name());
    for builder in [builder().client(client.clone()), builder().database(database)] {
        let storage = builder.build().await.unwrap();
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
        storage.close().await.unwrap();
        storage.close().await.unwrap();
        assert_eq!(storage.lookup(&key(1), now).await.unwrap_err().kind(), ErrorKind::Closed);
    }
    client.list_database_names().await.expect("the user's client was closed");
    let mut options = ClientOptions::parse(own::url()).await.unwrap();
    options.default_database = None;
    let without = Client::with_options(options).unwrap();
    let error = refusal(builder().client(without).build().await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no database"), "{error}");
}

async fn settings_that_cannot_work() {
    assert_eq!(refusal(MongoStorage::builder().build().await).kind(), ErrorKind::Config);
    for prefix in ["", "a$b", "system.x", ".a", "a b", &"x".repeat(65)] {
        let error = refusal(builder().prefix(prefix).lazy(true).build().await);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("cannot begin"), "{error}");
    }
}

async fn namespaces_over_one_connection() {
    let one = open().await;
    let two = one.in_namespace(Namespace::new(&format!("{}-two", one.namespace())).unwrap());
    let now = start();
    put(&one, key(1), vec![1], &[], now).await.unwrap();
    assert!(two.lookup(&key(1), now).await.unwrap().variants().is_empty());
    one.close().await.unwrap();
    assert!(is_stored(&put(&two, key(1), vec![1], &[], now).await.unwrap()));
}

/// None of them minds that others create the same collections.
async fn many_replicas_at_once() {
    let prefix = prefix();
    let opened = (0..8).map(|_| {
        let builder = builder().prefix(&prefix).timeout(Duration::from_secs(30));
        tokio::spawn(async move { builder.build().await.map(drop) })
    });
    for opened in futures_util::future::join_all(opened).await {
        opened.unwrap().unwrap();
    }
    drop_all(&prefix).await;
}
