//! Several processes on one file: none sees it locked, and each finds whole entries alone.

use std::{env, path::Path, process::Stdio, time::Duration};

use cache_api::{Body, Change, Committed, FRAME_SIZE, Storage, TagDigest};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::sample::{entry, inline, key, start, stored};
use tokio::process::{Child, Command};

/// Names the file in the processes that the tests start.
const FILE: &str = "CACHE_SQLITE_TEST_FILE";
const ROUNDS: u64 = 150;
const KEYS: u64 = 8;

fn spawn(test: &str, file: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn succeeded(child: Child) {
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn they_hammer_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shared.sqlite");
    // The file is not there yet: they create it at the same time, too.
    let children: Vec<_> = (0..6).map(|_| spawn("processes::child_hammers", &file)).collect();
    for child in children {
        succeeded(child).await;
    }
    let storage = SqliteStorage::builder().path(&file).build().await.unwrap();
    let listing = storage.abilities().listing.unwrap();
    listing.sweep(start() + Duration::from_secs(3 * 24 * 3600)).await.unwrap();
    assert_eq!(listing.count(&cache_api::Filter::all(), start()).await.unwrap().entries, 0);
}

#[tokio::test]
async fn child_hammers() {
    let Some(file) = env::var_os(FILE) else { return };
    let mut stored_of_mine = 0;
    let seed = u64::from(std::process::id());
    for round in 0..ROUNDS {
        // Each opens and closes now and then, as short-lived processes do.
        let storage = SqliteStorage::builder().path(&file).build().await.unwrap();
        for step in 0..4 {
            let number = seed.wrapping_mul(31).wrapping_add(round * 7 + step) % KEYS;
            stored_of_mine += u64::from(work(&storage, number, round).await);
        }
        if round % 50 == 0 {
            storage.abilities().listing.unwrap().sweep(start()).await.unwrap();
        }
        if round % 2 == 0 {
            storage.close().await.unwrap();
        }
    }
    assert!(stored_of_mine > 0);
}

/// Checks what is there, and replaces or removes it.
async fn work(storage: &SqliteStorage, number: u64, round: u64) -> bool {
    let (now, key) = (start(), key(number));
    let found = storage.lookup(&key, now).await.unwrap();
    for variant in found.variants() {
        let head = variant.head.bytes().await.unwrap();
        let byte = head[0];
        match &variant.body {
            Body::Inline(body) => {
                let bytes = body.frame.bytes().await.unwrap();
                assert!(bytes.len() as u64 == body.len && bytes.iter().all(|b| *b == byte), "a torn entry");
            }
            Body::Stored(body) => {
                let frames = storage.read(&key, body.id, 0..body.frames).await.unwrap();
                for frame in frames {
                    assert!(frame.bytes().await.unwrap().iter().all(|b| *b == byte), "a torn body");
                }
            }
        }
    }
    let byte = b'a' + u8::try_from((number + round + u64::from(std::process::id())) % 26).unwrap();
    let entry = entry(key, &(byte as char).to_string(), now).with_tags([TagDigest::of("all")]);
    let committed = match round % 8 {
        0 => {
            let len = FRAME_SIZE + 1000;
            let body = stored(storage, found.ticket(), byte, len, now).await.unwrap();
            storage.commit(found.ticket(), entry, Change::Put(Body::Stored(body)), now).await.unwrap()
        }
        1 if number == 0 => {
            storage.abilities().tags.unwrap().purge(&[TagDigest::of("all")], now).await.unwrap();
            return false;
        }
        2 if number == 1 => {
            storage.abilities().listing.unwrap().clear(now).await.unwrap();
            return false;
        }
        3 if number % 2 == 1 => {
            storage.remove(&key, None, now).await.unwrap();
            return false;
        }
        _ => {
            let body = inline(vec![byte; 5000]).unwrap();
            storage.commit(found.ticket(), entry, Change::Put(body), now).await.unwrap()
        }
    };
    matches!(committed, Committed::Stored { .. })
}

#[tokio::test]
async fn they_are_killed_while_writing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("killed.sqlite");
    for round in 0..12 {
        let mut children: Vec<_> = (0..2).map(|_| spawn("processes::child_hammers", &file)).collect();
        tokio::time::sleep(Duration::from_millis(150 + 20 * round)).await;
        for child in &mut children {
            child.start_kill().unwrap();
            child.wait().await.unwrap();
        }
        let storage = SqliteStorage::builder().path(&file).build().await.unwrap();
        for number in 0..KEYS {
            work(&storage, number, round).await;
        }
        storage.close().await.unwrap();
    }
}
