//! Processes that share a directory: no update is lost between them, whatever becomes of one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use cache_api::{Change, Storage as _};
use cache_backend_object_store::ObjectStoreStorage;
use cache_conformance::{
    Presence,
    sample::{entry, is_stored, key, put, put_stored, start},
    services::Trials,
};

/// Makes this program a writer in that directory.
const WRITER: &str = "OBJECT_STORE_TEST_WRITER";

fn main() -> std::process::ExitCode {
    if let Ok(url) = std::env::var(WRITER) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(write(&url));
        return std::process::ExitCode::SUCCESS;
    }
    Trials::new("object-store-file", Presence::Here)
        .case("no_update_is_lost", no_update_is_lost)
        .case("a_killed_writer_holds_up_nobody", a_killed_writer_holds_up_nobody)
        .run()
}

/// Replaces the head 40 times, and says after each how often it came through.
async fn write(url: &str) {
    let storage = ObjectStoreStorage::from_url(url).await.unwrap();
    let (mut won, now) = (0, start());
    for _ in 0..40 {
        let found = storage.lookup(&key(1), now).await.unwrap();
        let change = Change::Keep(found.variants()[0].version);
        let committed =
            storage.commit(found.ticket(), entry(key(1), "head", now), change, now).await.unwrap();
        won += u32::from(is_stored(&committed));
        println!("{won}");
    }
}

fn writer(url: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(WRITER, url).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// What a writer said last.
fn won(writer: &mut Child) -> u32 {
    let output = BufReader::new(writer.stdout.take().unwrap());
    let last = output.lines().map_while(Result::ok).last().unwrap();
    assert!(writer.wait().unwrap().success());
    last.parse().unwrap()
}

async fn no_update_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let storage = ObjectStoreStorage::from_url(&url).await.unwrap();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], start()).await.unwrap()));
    let mut writers: Vec<Child> = (0..4).map(|_| writer(&url)).collect();
    let won: u32 = writers.iter_mut().map(won).sum();
    let found = storage.lookup(&key(1), start()).await.unwrap();
    assert_eq!(found.variants()[0].version.head, won, "each commit that came through, and no other");
    assert!(won >= 40);
}

async fn a_killed_writer_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let storage = ObjectStoreStorage::from_url(&url).await.unwrap();
    let now = start();
    for _ in 0..10 {
        assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
        let mut writer = writer(&url);
        // It is at work as soon as it says something.
        let mut line = String::new();
        BufReader::new(writer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = storage.lookup(&key(1), now).await.unwrap();
        assert_eq!(found.variants().len(), 1, "what it wrote is whole");
        assert!(is_stored(&put_stored(&storage, key(1), 1, 300_000, now).await.unwrap()));
    }
}
