//! Writers of a file that are killed: nothing is torn, and what they left behind is swept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::PathBuf, sync::Arc};

use cache_backend_sqlite::SqliteStorage;
use cache_conformance::{Kills, Opened};
use sqlx::{Connection, SqliteConnection, query_scalar, sqlite::SqliteConnectOptions};

fn main() -> std::process::ExitCode {
    Kills::new("sqlite", open, frames).run()
}

async fn open(directory: PathBuf) -> Opened {
    Ok(Arc::new(SqliteStorage::builder().path(directory.join("killed.sqlite")).build().await?))
}

async fn frames(directory: PathBuf) -> u64 {
    let options = SqliteConnectOptions::new().filename(directory.join("killed.sqlite"));
    let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
    let whole: String = query_scalar("PRAGMA integrity_check").fetch_one(&mut raw).await.unwrap();
    assert_eq!(whole, "ok");
    let frames: i64 = query_scalar("SELECT count(*) FROM frame").fetch_one(&mut raw).await.unwrap();
    frames.try_into().unwrap()
}
