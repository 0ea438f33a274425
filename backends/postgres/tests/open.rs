//! What opening answers to bad input: an error that names the thing and the fix, and no password.

use crate::server::{Server, present};
use cache_api::{Committed, ErrorKind, Event, Filter, Namespace, Refusal, Result, Storage, Use, VariantId};
use cache_backend_postgres::{PostgresStorage, PostgresStorageBuilder};
use cache_conformance::sample::{self, key, put, start};
use cache_conformance::services::{Service, postgres};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, raw_sql};
use url::Url;

/// One server for all tests here, in schemas, databases and roles of their own.
fn server() -> Option<(Service, Url)> {
    let service = postgres::single();
    present(&service).then(|| {
        let url = Url::parse(service.url().unwrap()).unwrap();
        (service, url)
    })
}

async fn execute(url: &Url, sql: &str) {
    let mut raw = PgConnection::connect(url.as_str()).await.unwrap();
    raw_sql(AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

fn builder(url: &Url) -> PostgresStorageBuilder {
    PostgresStorageBuilder::from_url(url.as_str()).unwrap()
}

fn refusal(opened: Result<PostgresStorage>) -> (ErrorKind, String) {
    let error = opened.map(|storage| storage.to_string()).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("w%rd") && !shown.contains("hunter2") && !shown.contains("w%25rd"), "{shown}");
    assert_eq!(error.backend(), Some("postgres"));
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn what_does_not_answer_is_named() {
    for (url, kind, part) in [
        (
            "postgres://u:hunter2@127.0.0.1:1/db",
            ErrorKind::Unavailable,
            "127.0.0.1:1/db refuses the connection",
        ),
        (
            "postgres://u:hunter2@no-such-host.invalid/db",
            ErrorKind::Unavailable,
            "no-such-host.invalid:5432/db",
        ),
    ] {
        let url = Url::parse(url).unwrap();
        let (found, message) = refusal(builder(&url).build().await);
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(part), "{message}");
        let lazy = builder(&url).lazy(true).build().await.unwrap();
        let error = lazy.lookup(&key(1), start()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains(part)), (kind, true), "{error}");
    }
    let nothing = refusal(PostgresStorage::builder().build().await);
    assert!(nothing.0 == ErrorKind::Config && nothing.1.contains("no server is named"), "{nothing:?}");
}

#[tokio::test]
async fn wrong_passwords_and_databases() {
    let Some((_service, url)) = server() else { return };
    let mut wrong = url.clone();
    wrong.set_password(Some("hunter2")).unwrap();
    let (kind, message) = refusal(builder(&wrong).build().await);
    assert_eq!(kind, ErrorKind::Denied, "{message}");
    assert!(message.contains("refuses this user or password"), "{message}");

    let mut missing = url.clone();
    missing.set_path("/nowhere");
    let (kind, message) = refusal(builder(&missing).build().await);
    assert_eq!(kind, ErrorKind::Config, "{message}");
    assert!(message.contains("/nowhere: there is no such database"), "{message}");

    let (kind, message) = refusal(builder(&url).schema("pg_x").build().await);
    assert!(kind == ErrorKind::Config && message.contains("\"pg_x\" is no schema"), "{message}");
}

#[tokio::test]
async fn permissions_are_asked_for_by_name_and_those_of_the_readme_suffice() {
    let Some((_service, url)) = server() else { return };
    let role = format!("app_{}", &cache_api::BodyId::random().unwrap().to_string()[..12]);
    execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let mut app = url.clone();
    app.set_username(&role).unwrap();
    app.set_password(Some("hunter2")).unwrap();
    let in_schema = |url: &Url| builder(url).schema(&role);

    let (kind, message) = refusal(in_schema(&app).build().await);
    assert_eq!(kind, ErrorKind::Denied, "{message}");
    assert!(message.contains("may not create the schema") && message.contains("GRANT CREATE"), "{message}");

    execute(&url, &format!("CREATE SCHEMA {role}")).await;
    let (kind, message) = refusal(in_schema(&app).build().await);
    assert_eq!(kind, ErrorKind::Denied, "{message}");
    assert!(message.contains("may not create tables in the schema"), "{message}");

    let (kind, message) = refusal(in_schema(&url).create(false).build().await);
    assert!(kind == ErrorKind::Config && message.contains("is not laid out"), "{message}");
    execute(&url, &in_schema(&url).layout().unwrap()).await;
    let (kind, message) = refusal(in_schema(&app).create(false).build().await);
    assert_eq!(kind, ErrorKind::Denied, "{message}");
    assert!(message.contains("lacks a permission"), "{message}");

    let readme = include_str!("../README.md");
    let grants = readme.split("```sql").nth(1).unwrap().split("```").next().unwrap();
    execute(&url, &grants.replace("http_cache", &role).replace("app_role", &role)).await;
    let storage = in_schema(&app).create(false).build().await.unwrap();
    put(&storage, key(1), vec![1; 10], &[cache_api::TagDigest::of("t")], start()).await.unwrap();
    sample::put_stored(&storage, key(2), 1, 300_000, start()).await.unwrap();
    storage.abilities().tags.unwrap().purge(&[cache_api::TagDigest::of("t")], start()).await.unwrap();
    assert_eq!(storage.abilities().listing.unwrap().clear(start()).await.unwrap(), 1);
    storage.abilities().listing.unwrap().sweep(start() + sample::HOUR).await.unwrap();

    execute(&url, &format!("ALTER ROLE {role} SET default_transaction_isolation = 'serializable'")).await;
    let (kind, message) = refusal(in_schema(&app).build().await);
    assert!(kind == ErrorKind::Config && message.contains("READ COMMITTED"), "{message}");
    assert!(in_schema(&app).prepared_statements(false).build().await.is_ok());
    storage.close().await.unwrap();
    execute(&url, &format!("DROP SCHEMA {role} CASCADE; DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn schemas_of_others_are_left_alone() {
    let Some((_service, url)) = server() else { return };
    for (sql, part) in [
        ("CREATE TABLE open_x.contacts (name text)", "another application's (it has contacts)"),
        ("CREATE TABLE open_x.layout (colour text)", "another application's (it has layout)"),
        (
            "CREATE TABLE open_x.layout (application text, version bigint);
             INSERT INTO open_x.layout VALUES ('shop', 1)",
            "another application's",
        ),
        (
            "CREATE TABLE open_x.layout (application text, version bigint);
             INSERT INTO open_x.layout VALUES ('http-cache', 3)",
            "layout 3 of another release",
        ),
    ] {
        execute(&url, &format!("CREATE SCHEMA open_x; {sql}")).await;
        let (kind, message) = refusal(builder(&url).schema("open_x").build().await);
        execute(&url, "DROP SCHEMA open_x CASCADE").await;
        assert_eq!(kind, ErrorKind::Incompatible, "{message}");
        assert!(message.contains("schema open_x") && message.contains(part), "{message}");
    }
}

/// What a release with layout 1 laid out is brought up to date by who may, while a replica of that release works in it.
#[tokio::test]
async fn a_schema_of_an_older_release() {
    let Some((_service, url)) = server() else { return };
    let in_schema = || builder(&url).schema("open_older");
    let mut old = in_schema().layout().unwrap();
    for (new, was) in [
        ("    uses bigint NOT NULL DEFAULT 0,\n", ""),
        (", uses = 0", ""),
        ("VALUES ('http-cache', 2)", "VALUES ('http-cache', 1)"),
    ] {
        assert!(old.contains(new), "{new}");
        old = old.replace(new, was);
    }
    let used = Use { key: key(1), variant: VariantId::ONLY, at: start() };
    for by_owner in [false, true] {
        execute(&url, &old).await;
        let (kind, message) = refusal(in_schema().create(false).build().await);
        assert!(kind == ErrorKind::Config && message.contains("layout_upgrade"), "{message}");
        if by_owner {
            execute(&url, &in_schema().layout_upgrade().unwrap()).await;
        }
        let (one, two) =
            tokio::join!(in_schema().create(!by_owner).build(), in_schema().create(!by_owner).build());
        let (one, two) = (one.unwrap(), two.unwrap());
        for expected in [2, 4] {
            // The function is the new one: what replaces an entry begins anew.
            assert!(sample::is_stored(&put(&one, key(1), vec![1; 10], &[], start()).await.unwrap()));
            for storage in [&one, &two].repeat(expected / 2) {
                storage.abilities().touch.unwrap().touch(&[used], start()).await.unwrap();
            }
            let all = Filter::all();
            let found: Vec<_> =
                two.abilities().listing.unwrap().list(&all, start()).try_collect().await.unwrap();
            assert_eq!(found[0].uses, Some(expected as u64));
        }
        execute(&url, "DROP SCHEMA open_older CASCADE").await;
    }
}

#[tokio::test]
async fn many_replicas_may_start_at_once() {
    let Some((_service, url)) = server() else { return };
    for create_before in [false, true] {
        if create_before {
            execute(&url, "CREATE SCHEMA open_many").await;
        }
        let opened = (0..16).map(|_| {
            let builder = builder(&url).schema("open_many").max_connections(1);
            tokio::spawn(async move { builder.build().await })
        });
        for opened in futures_util::future::join_all(opened).await {
            opened.unwrap().unwrap();
        }
        execute(&url, "DROP SCHEMA open_many CASCADE").await;
    }
}

#[tokio::test]
async fn over_a_pool_and_without_prepared_statements() {
    let Some((_service, url)) = server() else { return };
    let pool = PgPool::connect(url.as_str()).await.unwrap();
    let over_pool = PostgresStorage::builder().pool(pool.clone()).schema("open_pool").build().await.unwrap();
    assert!(!format!("{over_pool} {over_pool:?}").contains("w%rd"));
    put(&over_pool, key(1), vec![1; 10], &[], start()).await.unwrap();
    let plain = builder(&url).schema("open_pool").prepared_statements(false).build().await.unwrap();
    assert_eq!(plain.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
    sample::put_stored(&plain, key(2), 1, 300_000, start()).await.unwrap();
    let other = plain.in_namespace(Namespace::new("other").unwrap()).await.unwrap();
    assert_eq!(other.abilities().listing.unwrap().count(&Filter::all(), start()).await.unwrap().entries, 0);
    assert_eq!(plain.abilities().listing.unwrap().clear(start()).await.unwrap(), 2);

    over_pool.close().await.unwrap();
    over_pool.close().await.unwrap();
    assert_eq!(over_pool.lookup(&key(1), start()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(!pool.is_closed(), "the user's pool was closed");
    plain.close().await.unwrap();
    assert_eq!(plain.remove(&key(1), None, start()).await.unwrap_err().kind(), ErrorKind::Closed);
    raw_sql("DROP SCHEMA open_pool CASCADE").execute(&pool).await.unwrap();
}

/// The head counts, too.
#[tokio::test]
async fn an_entry_over_the_limit_is_refused() {
    let Some((_service, url)) = server() else { return };
    let storage = builder(&url).schema("open_limit").max_entry_size(2000).build().await.unwrap();
    let now = start();
    assert!(sample::is_stored(&put(&storage, key(1), vec![1; 1000], &[], now).await.unwrap()));
    let refused = put(&storage, key(2), vec![1; 2001], &[], now).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refusal::TooLarge));
    let error = sample::put_stored(&storage, key(3), 1, 2001, now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    storage.close().await.unwrap();
    execute(&url, "DROP SCHEMA open_limit CASCADE").await;
}

#[tokio::test]
async fn unlogged_tables_that_a_crash_emptied() {
    let Some((_service, url)) = server() else { return };
    let storage =
        Server::at(Some(url.as_str())).in_schema("open_unlogged").unlogged().builder().build().await;
    let storage = storage.unwrap();
    put(&storage, key(1), vec![1; 10], &[], start()).await.unwrap();
    let before = storage.lookup(&key(2), start()).await.unwrap();
    execute(
        &url,
        "TRUNCATE open_unlogged.namespace, open_unlogged.resource, open_unlogged.variant, open_unlogged.content,
         open_unlogged.body, open_unlogged.frame, open_unlogged.tag, open_unlogged.tag_tombstone,
         open_unlogged.lease",
    )
    .await;
    assert!(storage.lookup(&key(1), start()).await.unwrap().variants().is_empty());
    storage.remove(&key(1), None, start()).await.unwrap();
    let late = storage
        .commit(
            before.ticket(),
            sample::entry(key(2), "head", start()),
            cache_api::Change::Put(sample::inline(vec![1]).unwrap()),
            start(),
        )
        .await;
    assert_eq!(late.unwrap(), Committed::Refused(Refusal::Removed));
    assert!(sample::is_stored(&put(&storage, key(2), vec![1; 10], &[], start()).await.unwrap()));
    execute(&url, "DROP SCHEMA open_unlogged CASCADE").await;
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced() {
    let Some((_service, url)) = server() else { return };
    let mut named = url.clone();
    named.query_pairs_mut().append_pair("application_name", "open_ended");
    let storage = builder(&named).schema("open_ended").max_connections(3).build().await.unwrap();
    // What is told of a commit comes some milliseconds later: it is waited for.
    let other = builder(&url).schema("open_ended").build().await.unwrap();
    let mut events = other.abilities().events.unwrap().subscribe().await.unwrap();
    let mut told = async || while events.next().await.unwrap().unwrap() == Event::Heartbeat {};
    put(&storage, key(1), vec![1; 10], &[], start()).await.unwrap();
    told().await;
    let end =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'open_ended'";

    execute(&url, end).await;
    let found = storage.lookup(&key(1), start()).await.unwrap();
    execute(&url, end).await;
    let entry = |head| sample::entry(key(1), head, start());
    let again = cache_api::Change::Put(sample::inline(vec![2; 10]).unwrap());
    let committed = storage.commit(found.ticket(), entry("put"), again, start()).await.unwrap();
    let Committed::Stored { version, .. } = committed else { panic!("{committed:?}") };
    told().await;
    execute(&url, end).await;
    // Nobody knows whether this happened, and once more it would be another change.
    let keep = cache_api::Change::Keep(version);
    let lost = storage.commit(found.ticket(), entry("keep"), keep.clone(), start()).await.unwrap_err();
    assert!(lost.is_transient(), "{lost:?}");
    assert!(sample::is_stored(&storage.commit(found.ticket(), entry("keep"), keep, start()).await.unwrap()));
    execute(&url, "DROP SCHEMA open_ended CASCADE").await;
}
