//! What opening answers to bad input: an error that names the thing and the fix, before any use.

use std::{fs, path::Path};

use cache_api::{ErrorKind, Filter, Storage, Use, VariantId};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::sample::{key, put, start};
use futures_util::TryStreamExt as _;
use sqlx::{Connection, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};

async fn refusal(path: &Path) -> (ErrorKind, String) {
    match SqliteStorage::builder().path(path).build().await {
        Ok(storage) => panic!("{storage} opened"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

async fn database(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
    raw_sql(sql).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let notes = "Dear diary, today I wrote an HTTP cache. ".repeat(100);
    fs::write(&path, &notes).unwrap();
    let (kind, message) = refusal(&path).await;
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(
        message.contains("notes.txt is not an SQLite database: give the cache a file of its own"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), notes, "the file was changed");
}

#[tokio::test]
async fn a_database_of_another_application() {
    let directory = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("tables.sqlite", "CREATE TABLE contacts (name TEXT)"),
        ("marked.sqlite", "PRAGMA application_id = 7; CREATE TABLE contacts (name TEXT)"),
        ("versioned.sqlite", "PRAGMA user_version = 3"),
    ] {
        let path = directory.path().join(name);
        database(&path, sql).await;
        let before = fs::read(&path).unwrap();
        let (kind, message) = refusal(&path).await;
        assert_eq!(kind, ErrorKind::Incompatible);
        assert!(message.contains(name) && message.contains("another application"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), before, "the file was changed");
    }
}

#[tokio::test]
async fn a_file_of_a_newer_release() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.sqlite");
    SqliteStorage::builder().path(&path).build().await.unwrap().close().await.unwrap();
    database(&path, "PRAGMA user_version = 3").await;
    let (kind, message) = refusal(&path).await;
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(
        message.contains("layout 3 of a newer release") && message.contains("update this program"),
        "{message}"
    );
}

/// What a release with layout 1 left is there, and goes on from where that was; two may begin at once.
#[tokio::test]
async fn a_file_of_an_older_release() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.sqlite");
    let url = format!("sqlite://{}?create=false", path.display());
    let storage = SqliteStorage::builder().path(&path).build().await.unwrap();
    let now = start();
    put(&storage, key(1), vec![1; 10], &[], now).await.unwrap();
    storage.close().await.unwrap();
    database(&path, "ALTER TABLE variant DROP COLUMN uses; PRAGMA user_version = 1").await;

    let (one, two) = tokio::join!(SqliteStorage::from_url(&url), SqliteStorage::from_url(&url));
    let storages = [one.unwrap(), two.unwrap()];
    for storage in &storages {
        assert_eq!(storage.lookup(&key(1), now).await.unwrap().variants().len(), 1);
        let used = Use { key: key(1), variant: VariantId::ONLY, at: now };
        storage.abilities().touch.unwrap().touch(&[used], now).await.unwrap();
    }
    let all = Filter::all();
    let found: Vec<_> = storages[0].abilities().listing.unwrap().list(&all, now).try_collect().await.unwrap();
    assert_eq!(found[0].uses, Some(2));
}

#[tokio::test]
async fn a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (kind, message) = refusal(directory.path()).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("is a directory: name a file in it"), "{message}");
}

#[tokio::test]
async fn a_path_through_a_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    let (kind, message) = refusal(&directory.path().join("file/below/cache.sqlite")).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("not a directory"), "{message}");
}

#[tokio::test]
async fn a_missing_directory_is_created_or_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b c/cache.sqlite");
    let refused = SqliteStorage::builder().path(&path).create_dir(false).build().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("b c is not there: create it"), "{refused}");
    let storage = SqliteStorage::builder().path(&path).build().await.unwrap();
    assert_eq!(storage.to_string(), format!("sqlite ({}, namespace default)", path.display()));
}

#[tokio::test]
async fn no_path() {
    let refused = SqliteStorage::builder().build().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("call `path` or `in_memory`"), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_and_a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let path = closed.join("cache.sqlite");
    SqliteStorage::builder().path(&path).build().await.unwrap().close().await.unwrap();
    let may_write_all = || fs::OpenOptions::new().write(true).open(&path).is_ok();

    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    if may_write_all() {
        eprintln!("not tried: this user (root) may write what is closed to writing");
        return;
    }
    let (kind, message) = refusal(&path).await;
    assert_eq!(kind, ErrorKind::Denied);
    assert!(message.contains("cannot be written: grant this user"), "{message}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let (kind, message) = refusal(&path).await;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(kind, ErrorKind::Denied);
    assert!(message.contains("its directory"), "{message}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_it_creates_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/cache.sqlite");
    let _storage = SqliteStorage::builder().path(&path).build().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(Path::new(&format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn urls_and_odd_names_open_what_they_name() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().display();
    for (url, name) in [
        (format!("sqlite://{base}/plain.sqlite?namespace=n&max_size=1GiB"), "plain.sqlite"),
        (format!("sqlite://{base}/with space.sqlite"), "with space.sqlite"),
        (format!("sqlite://{base}/with%20percent%3F.sqlite"), "with percent?.sqlite"),
        (format!("sqlite:{base}/file%3Ax"), "file:x"),
    ] {
        let storage = SqliteStorage::from_url(&url).await.unwrap();
        assert!(directory.path().join(name).is_file(), "{url}");
        storage.close().await.unwrap();
    }
    assert_eq!(
        SqliteStorage::from_url("sqlite::memory:").await.unwrap().to_string(),
        "sqlite (:memory:, namespace default)"
    );
}

#[tokio::test]
async fn an_empty_file_is_laid_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty");
    fs::write(&path, "").unwrap();
    SqliteStorage::builder().path(&path).build().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_created_only_if_it_is_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("below/cache.sqlite");
    let url = format!("sqlite://{}", path.display());
    let refused = async |parameters: &str| match SqliteStorage::from_url(&format!("{url}?{parameters}")).await
    {
        Ok(storage) => panic!("{storage} opened"),
        Err(error) => (error.kind(), error.to_string()),
    };
    let (kind, message) = refused("create=false").await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.ends_with("below/cache.sqlite is not there"), "{message}");
    assert!(!directory.path().join("below").exists(), "a directory was created");

    fs::create_dir(directory.path().join("below")).unwrap();
    fs::write(&path, "").unwrap();
    let (kind, message) = refused("create=false").await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("is empty: there is no cache in it"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"", "the file was laid out");

    SqliteStorage::from_url(&format!("{url}?namespace=here")).await.unwrap().close().await.unwrap();
    SqliteStorage::from_url(&format!("{url}?namespace=here&create=false")).await.unwrap();
    let (kind, message) = refused("namespace=there&create=false").await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("has no namespace there"), "{message}");
}

#[tokio::test]
async fn a_closed_storage_says_so() {
    let storage = SqliteStorage::builder().in_memory().build().await.unwrap();
    storage.close().await.unwrap();
    storage.close().await.unwrap();
    let key = cache_api::CacheKey::from_bytes([0; 32]);
    let refused = storage.remove(&key, None, std::time::SystemTime::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}
