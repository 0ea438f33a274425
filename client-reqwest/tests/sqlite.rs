//! A cache in a SQLite file: across clients and runs, large bodies, and what cannot be opened.

#![cfg(feature = "sqlite")]

use std::error::Error as _;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use crate::support::{Origin, builder, response, source};
use cache_api::{CborSerializer, Serializer};
use cache_serializers::{Encrypted, Key, Keyring, Signed};
use client_reqwest::{
    CachedClient, CachedClientBuilder, ResponseExt, Source, SqliteStorage, storage_from_url,
};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

fn over(file: &Path) -> CachedClientBuilder {
    builder().storage_builder(SqliteStorage::builder().path(file))
}

#[tokio::test]
async fn what_one_run_stored_the_next_one_finds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("http.sqlite");
    let origin = Origin::with(|_| response(200, &[FRESH, ("x-two", "1"), ("x-two", "2")], "kept")).await;
    let first = over(&file).build().await.unwrap();
    assert_eq!(first.get(origin.url("/")).send().await.unwrap().text().await.unwrap(), "kept");
    first.close().await;
    let by_url = builder().storage_url(format!("sqlite://{}", file.display())).build().await.unwrap();
    for client in [over(&file).build().await.unwrap(), by_url] {
        let hit = client.get(origin.url("/")).send().await.unwrap();
        assert_eq!(source(&hit), Source::Store);
        assert_eq!(hit.headers().get_all("x-two").iter().count(), 2);
        assert_eq!(hit.text().await.unwrap(), "kept");
    }
    assert_eq!(origin.seen().len(), 1);
}

/// A key that was changed, or another wrapper: what lies there is fetched anew, and nobody is told an error.
#[tokio::test]
async fn what_was_stored_under_another_key_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("http.sqlite");
    let origin = Origin::with(|_| response(200, &[FRESH], "kept")).await;
    let keyring = |byte: u8| Keyring::new(1, Key::from_bytes(&[byte; 32]));
    let serializers: [Arc<dyn Serializer>; 4] = [
        Arc::new(Signed::new(CborSerializer::new(), &keyring(1))),
        Arc::new(Signed::new(CborSerializer::new(), &keyring(2))),
        Arc::new(Encrypted::new(CborSerializer::new(), &keyring(2))),
        Arc::new(Encrypted::new(CborSerializer::new(), &keyring(3))),
    ];
    for (nth, serializer) in serializers.into_iter().enumerate() {
        let client = over(&file).serializer(serializer).build().await.unwrap();
        for expected in [Source::Origin, Source::Store] {
            let answer = client.get(origin.url("/")).send().await.unwrap();
            assert_eq!(source(&answer), expected, "serializer {nth}");
            assert_eq!(answer.text().await.unwrap(), "kept");
        }
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_streamed_into_the_file_and_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let client = over(&dir.path().join("http.sqlite")).build().await.unwrap();
    let body: Vec<u8> = (0..20_u32 << 20).map(|byte| (byte % 251) as u8).collect();
    let sent = bytes::Bytes::from(body);
    let served = sent.clone();
    let origin = Origin::with(move |_| response(200, &[FRESH], served.clone())).await;
    for from in [Source::Origin, Source::Store] {
        let mut response = client.get(origin.url("/")).send().await.unwrap();
        assert_eq!((source(&response), response.content_length()), (from, Some(20 << 20)));
        let mut received = Vec::new();
        let mut largest = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            largest = largest.max(chunk.len());
            received.extend_from_slice(&chunk);
        }
        assert!(received == sent, "{} bytes differ from what was sent", received.len());
        assert!(largest <= 1 << 20, "a chunk of {largest} bytes");
    }
    let part = client.get(origin.url("/")).header("range", "bytes=10485760-10485769").send().await.unwrap();
    assert_eq!((part.status().as_u16(), source(&part)), (206, Source::Store));
    assert_eq!(part.bytes().await.unwrap(), sent[10 << 20..(10 << 20) + 10]);
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_on_one_file_work_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("http.sqlite");
    let origin = Origin::with(|seen| response(200, &[FRESH], seen.path.clone())).await;
    let clients = [over(&file).build().await.unwrap(), over(&file).build().await.unwrap()];
    let requests = (0..100).flat_map(|n| clients.iter().map(move |client| (n, client)));
    let answers = futures_util::future::join_all(requests.map(|(n, client)| {
        let path = format!("/{}", n % 20);
        let request = client.get(origin.url(&path));
        async move { (path, request.send().await.unwrap().text().await.unwrap()) }
    }));
    assert!(answers.await.into_iter().all(|(path, body)| path == body));
    for n in 0..20 {
        let hit = clients[n % 2].get(origin.url(&format!("/{n}"))).send().await.unwrap();
        assert_eq!(source(&hit), Source::Store);
    }
    for client in clients {
        client.close().await;
    }
}

/// Why a file cannot be opened.
async fn why(file: &Path) -> String {
    let error = over(file).build().await.unwrap_err();
    assert!(error.is_builder() && error.is_cache() && !error.is_request(), "{error:?}");
    let by_url = storage_from_url(&format!("sqlite://{}", file.display())).await.unwrap_err();
    assert!(by_url.is_builder() && by_url.is_cache());
    let cause = error.source().unwrap();
    assert!(cause.is::<cache_api::Error>());
    cause.to_string()
}

#[tokio::test]
async fn what_cannot_be_opened_is_said_when_building() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "not a database, and longer than the header of one\n".repeat(20)).unwrap();
    let shown = why(&text).await;
    assert!(shown.contains("notes.txt") && shown.contains("not an SQLite database"), "{shown}");

    let shown = why(dir.path()).await;
    assert!(shown.contains("is a directory"), "{shown}");

    let below_a_file = text.join("http.sqlite");
    let shown = why(&below_a_file).await;
    assert!(shown.contains("not a directory"), "{shown}");

    let newer = dir.path().join("newer.sqlite");
    over(&newer).build().await.unwrap().close().await;
    // The version that SQLite keeps for its users, at byte 60 of the file.
    let mut file = std::fs::File::options().write(true).open(&newer).unwrap();
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&9_999_u32.to_be_bytes()).unwrap();
    drop(file);
    let shown = why(&newer).await;
    assert!(shown.contains("newer.sqlite") && shown.contains("newer release"), "{shown}");

    let error = builder().storage_url("sqlite://x.sqlite?size=1").build().await.unwrap_err();
    assert!(error.is_builder() && error.source().unwrap().to_string().contains("max_size"), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_unwritable_path_is_said_when_building() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write anywhere; /proc takes files from nobody.
    let own = dir.path().join("http.sqlite");
    let file = if std::fs::File::create(&own).is_ok() { Path::new("/proc/http.sqlite") } else { &own };
    let shown = why(file).await;
    assert!(shown.contains("http.sqlite") && shown.contains("name another path"), "{shown}");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Runs [`within_for_app`] as a process of its own, whose cache directory is a temporary one.
#[cfg(target_os = "linux")]
#[test]
fn an_application_keeps_its_file_in_the_users_cache_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut inner = std::process::Command::new(std::env::current_exe().unwrap());
    inner.args(["--ignored", "--exact", "sqlite::within_for_app"]).env("XDG_CACHE_HOME", dir.path());
    assert!(inner.output().unwrap().status.success());
    assert!(dir.path().join("my-app/http.sqlite").is_file());
}

#[tokio::test]
#[ignore = "writes into the user's cache directory: the test above gives it another"]
async fn within_for_app() {
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/missing" => response(404, &[], "no"),
        "/no-store" => response(200, &[("cache-control", "no-store")], "ok"),
        "/private" => response(200, &[("cache-control", "private, max-age=60")], "ok"),
        _ => response(200, &[], "says nothing"),
    })
    .await;
    for run in 0..2 {
        let client = CachedClient::for_app("my-app").await.unwrap();
        for path in ["/", "/private", "/missing", "/no-store"] {
            let response = client.get(origin.url(path)).send().await.unwrap();
            let hit = run == 1 && matches!(path, "/" | "/private");
            assert_eq!(source(&response) == Source::Store, hit, "{path}");
            let ttl = response.cache_info().unwrap().ttl;
            assert!(path != "/" || ttl.is_some_and(|ttl| (500..=600).contains(&ttl)), "{ttl:?}");
            response.bytes().await.unwrap();
        }
        client.close().await;
    }
}

#[tokio::test]
async fn an_application_is_named_by_a_plain_file_name() {
    for name in ["", ".", "..", "a/b", "../x", "/etc", "a\\b"] {
        let error = CachedClient::for_app(name).await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(error.is_builder() && cause.contains("plain file name"), "{name:?}: {cause}");
    }
}
