//! Ways to the store, and what goes wrong on them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/wrapped.rs"]
mod wrapped;

use std::{error::Error as _, sync::Arc, time::Duration};

use cache_api::{ErrorKind, Namespace, Storage as _};
use cache_backend_object_store::{
    ObjectStoreStorage,
    object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, memory::InMemory, path::Path},
};
use cache_conformance::{
    sample::{is_stored, key, put, put_stored, start},
    services::{Trials, own, s3::Kind},
};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrapped::{Fault, Wrapped};

fn main() -> std::process::ExitCode {
    Trials::new("object-store", own(&Kind::Plain).presence())
        .case("s3", s3)
        .case("missing_bucket", missing_bucket)
        .case("refused_credentials", refused_credentials)
        .case("nobody_there", nobody_there)
        .case("no_answer", no_answer)
        .case("providers", providers)
        .case("ignored_conditional_puts", ignored_conditional_puts)
        .case("probes_are_deleted", probes_are_deleted)
        .case("own_store", own_store)
        .case("directories", directories)
        .case("nothing_is_created", nothing_is_created)
        .case("foreign_objects", foreign_objects)
        .case("namespaces_over_one_connection", namespaces_over_one_connection)
        .case("settings_that_cannot_work", settings_that_cannot_work)
        .run()
}

/// No credential is in what a user or a log sees.
fn without_secrets(shown: &str) {
    for secret in ["hunter", "conformance-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

async fn s3() {
    let service = own(&Kind::Plain);
    let url = service.url().unwrap();
    let with_prefix = url.replacen('?', "/a/prefix?", 1);
    for url in [url, &with_prefix] {
        let storage = ObjectStoreStorage::from_url(url).await.unwrap();
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
        assert!(is_stored(&put_stored(&storage, key(2), 1, 300_000, start()).await.unwrap()));
        without_secrets(&format!("{storage} {storage:?}"));
        storage.close().await.unwrap();
        assert_eq!(storage.lookup(&key(1), start()).await.unwrap_err().kind(), ErrorKind::Closed);
    }
    let storage = ObjectStoreStorage::from_url(&with_prefix).await.unwrap();
    assert_eq!(storage.to_string(), "object-store (s3://conformance/a/prefix, namespace default)");
}

async fn missing_bucket() {
    let service = own(&Kind::Plain);
    let url = service.url().unwrap().replacen("s3://conformance", "s3://no-such-bucket", 1);
    let error = ObjectStoreStorage::from_url(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let message = error.to_string();
    assert!(message.contains("s3://no-such-bucket") && message.contains("create it"), "{message}");
    without_secrets(&format!("{error} {error:?}"));
    let lazy = ObjectStoreStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
    let error = lazy.lookup(&key(1), start()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

/// A server on this machine that answers every request with that.
async fn answering(status: &'static str, body: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 65_536];
                let _ = stream.read(&mut request).await;
                let len = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    port
}

fn url(port: u16) -> String {
    format!(
        "s3://bucket?endpoint=http://127.0.0.1:{port}&allow_http=true&region=us-east-1&access_key_id=key\
         &secret_access_key=hunter2&session_token=hunter3&timeout=2s&connect_timeout=1s"
    )
}

async fn refused_credentials() {
    for (status, body, part) in [
        ("403 Forbidden", "<Error><Code>InvalidAccessKeyId</Code></Error>", "check the key"),
        ("403 Forbidden", "<Error><Code>SignatureDoesNotMatch</Code></Error>", "check the key"),
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>", "lack a permission"),
        ("400 Bad Request", "<Error><Code>ExpiredToken</Code></Error>", "session token"),
        ("401 Unauthorized", "", "credentials"),
    ] {
        let url = url(answering(status, body).await);
        let error = ObjectStoreStorage::from_url(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{status}: {error:?}");
        assert!(error.to_string().starts_with("object-store: connect: "), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        let lazy = ObjectStoreStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
        let late = lazy.lookup(&key(1), start()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Denied, "{late:?}");
        without_secrets(&format!("{error} {error:?} {late} {late:?} {lazy} {lazy:?}"));
    }
}

async fn nobody_there() {
    let error = ObjectStoreStorage::from_url(&url(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(error.source().is_some());
    without_secrets(&format!("{error} {error:?}"));
    let lazy = ObjectStoreStorage::from_url(&format!("{}&lazy=true", url(1))).await.unwrap();
    let error = lazy.lookup(&key(1), start()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let busy = url(answering("503 Slow Down", "<Error><Code>SlowDown</Code></Error>").await);
    let error = ObjectStoreStorage::from_url(&busy).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

async fn no_answer() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = url(listener.local_addr().unwrap().port());
    let error = ObjectStoreStorage::from_url(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    without_secrets(&format!("{error} {error:?}"));
}

/// Azure and Google Cloud Storage are reached, too: whoever answers in their place refuses.
async fn providers() {
    let port = answering("403 Forbidden", "no").await;
    for (url, place) in [
        (
            format!(
                "az://container/x?account_name=a&account_key=aHVudGVyMg==&endpoint=http://127.0.0.1:{port}\
                 &allow_http=true&timeout=2s"
            ),
            "az://container/x",
        ),
        (
            format!("gs://bucket?base_url=http://127.0.0.1:{port}&bearer_token=hunter2&timeout=2s"),
            "gs://bucket",
        ),
    ] {
        let error = ObjectStoreStorage::from_url(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        let lazy = ObjectStoreStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
        assert_eq!(lazy.to_string(), format!("object-store ({place}, namespace default)"));
        without_secrets(&format!("{error} {error:?} {lazy:?}"));
    }
}

async fn ignored_conditional_puts() {
    for (fault, part) in
        [(Fault::CreateOverwrites, "If-None-Match"), (Fault::UpdateOverwrites, "another version")]
    {
        let store = Wrapped::new(fault);
        let builder = ObjectStoreStorage::builder().store(Arc::clone(&store) as _);
        let error = builder.clone().build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        let lazy = builder.lazy(true).build().await.unwrap();
        for _ in 0..2 {
            let error = put(&lazy, key(1), vec![1], &[], start()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
        }
        assert_eq!(names(&*store).await, [], "a refused store is left as it was");
    }
    // One that says that it has none.
    let directory = tempfile::tempdir().unwrap();
    let local = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
    let error = ObjectStoreStorage::builder().store(Arc::new(local)).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
    assert!(error.to_string().contains("conditional puts"), "{error}");
}

async fn names(store: &dyn ObjectStore) -> Vec<Path> {
    store.list(Some(&Path::from("http-cache-1"))).map_ok(|meta| meta.location).try_collect().await.unwrap()
}

async fn probes_are_deleted() {
    let store = Arc::new(InMemory::new());
    let builder = ObjectStoreStorage::builder().store(Arc::clone(&store) as _);
    builder.clone().build().await.unwrap();
    let lazy = builder.lazy(true).build().await.unwrap();
    assert!(lazy.lookup(&key(1), start()).await.unwrap().variants().is_empty());
    assert_eq!(names(&*store).await, [Path::from("http-cache-1/default/s")]);
}

async fn own_store() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let builder = ObjectStoreStorage::builder().store(Arc::clone(&store)).prefix("/a/b/");
    let storage = builder.build().await.unwrap();
    assert_eq!(storage.to_string(), "object-store (own store/a/b, namespace default)");
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
    let names: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    assert!(names.iter().all(|name| name.as_ref().starts_with("a/b/http-cache-1/default/")), "{names:?}");
    let memory = ObjectStoreStorage::builder().memory().build().await.unwrap();
    assert!(is_stored(&put(&memory, key(1), vec![1], &[], start()).await.unwrap()));
}

async fn directories() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("not/yet there");
    let url = format!("file://{}", below.display().to_string().replace(' ', "%20"));
    let now = start();
    for _ in 0..2 {
        let storage = ObjectStoreStorage::from_url(&url).await.unwrap();
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
        assert!(is_stored(&put_stored(&storage, key(2), 1, 300_000, now).await.unwrap()));
        assert_eq!(
            storage.to_string(),
            format!("object-store (file://{}, namespace default)", below.display())
        );
        // What a sweep deletes leaves no empty directories.
        let listing = storage.abilities().listing.unwrap();
        listing.clear(now).await.unwrap();
        listing.sweep(now + Duration::from_secs(3 * 3600)).await.unwrap();
        listing.sweep(now + Duration::from_secs(6 * 3600)).await.unwrap();
        let root = below.join("http-cache-1/default");
        let left: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["s"]);
    }
    let file = directory.path().join("file");
    std::fs::write(&file, "something").unwrap();
    for path in [&file, &file.join("below")] {
        let error = ObjectStoreStorage::from_url(&format!("file://{}", path.display())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("no directory"), "{error}");
    }
}

/// What somebody else put among our objects is a miss, and stays.
async fn nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("below");
    let url = format!("file://{}?create=false", below.display());
    let refused = async |url: &str, part: &str| {
        let error = ObjectStoreStorage::from_url(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(&url, "is not there").await;
    assert!(!below.exists());
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("letter.txt"), "Dear").unwrap();
    for url in [&url, &format!("{url}&lazy=true")] {
        refused(url, "there is no cache of namespace default").await;
    }
    let names: Vec<_> = std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["letter.txt"]);

    let there = ObjectStoreStorage::from_url(&url.replace("create=false", "namespace=n")).await.unwrap();
    assert!(is_stored(&put(&there, key(1), vec![1], &[], start()).await.unwrap()));
    let seen = ObjectStoreStorage::from_url(&format!("{url}&namespace=n")).await.unwrap();
    assert_eq!(seen.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
    refused(&url, "there is no cache of namespace default").await;
}

async fn foreign_objects() {
    let store = Arc::new(InMemory::new());
    let storage = ObjectStoreStorage::builder().store(Arc::clone(&store) as _).build().await.unwrap();
    let now = start();
    put(&storage, key(1), vec![1], &[], now).await.unwrap();
    put_stored(&storage, key(2), 1, 10, now).await.unwrap();
    let mut foreign = Vec::new();
    for kind in ["r", "b", "t", "l", "d", "x"] {
        for rest in ["readme", "00/readme", "00/a/b/c", "00/a/b/c/d/e"] {
            foreign.push(Path::from(format!("http-cache-1/default/{kind}/{rest}")));
        }
    }
    let resource = names(&*store).await.into_iter().find(|name| name.as_ref().contains("/r/")).unwrap();
    foreign.push(Path::from(format!("{resource}/below")));
    for path in &foreign {
        store.put(path, "another program's".into()).await.unwrap();
    }
    let listing = storage.abilities().listing.unwrap();
    assert_eq!(listing.count(&cache_api::Filter::all(), now).await.unwrap().entries, 2);
    listing.sweep(now).await.unwrap();
    assert_eq!(listing.clear(now).await.unwrap(), 2);
    for hours in [3, 6, 100] {
        listing.sweep(now + Duration::from_secs(hours * 3600)).await.unwrap();
    }
    let mut left = names(&*store).await;
    left.retain(|name| !name.as_ref().ends_with("/s"));
    foreign.sort();
    assert_eq!(left, foreign);
}

async fn namespaces_over_one_connection() {
    let one = ObjectStoreStorage::builder().memory().build().await.unwrap();
    let two = one.in_namespace(Namespace::new("two").unwrap());
    let now = start();
    put(&one, key(1), vec![1], &[], now).await.unwrap();
    assert!(two.lookup(&key(1), now).await.unwrap().variants().is_empty());
    one.close().await.unwrap();
    assert!(is_stored(&put(&two, key(1), vec![1], &[], now).await.unwrap()));
}

async fn settings_that_cannot_work() {
    assert_eq!(ObjectStoreStorage::builder().build().await.unwrap_err().kind(), ErrorKind::Config);
    for prefix in ["a//b", "../up", "a b", "a/.hidden", "a?b"] {
        let builder = ObjectStoreStorage::builder().memory().prefix(prefix);
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{prefix}: {error:?}");
    }
    for url in ["s3://b?region=x&allow_http=maybe", "az://c?", "gs://b?service_account_key=hunter2"] {
        let error = ObjectStoreStorage::from_url(&format!("{url}&lazy=true")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
        without_secrets(&format!("{error} {error:?}"));
    }
}
