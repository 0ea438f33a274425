//! Writers of a directory that are killed: nothing is torn, and what they left behind is swept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cache_backend_object_store::ObjectStoreStorage;
use cache_conformance::{Kills, Opened};

fn main() -> std::process::ExitCode {
    Kills::new("object-store-file", open, frames).run()
}

async fn open(directory: PathBuf) -> Opened {
    Ok(Arc::new(ObjectStoreStorage::builder().directory(directory).build().await?))
}

/// Those that are whole, and those that were being written.
async fn frames(directory: PathBuf) -> u64 {
    count(&directory.join("http-cache-1/default/b"))
}

fn count(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let count_one = |path: PathBuf| if path.is_dir() { count(&path) } else { 1 };
    entries.map(|entry| count_one(entry.unwrap().path())).sum()
}
