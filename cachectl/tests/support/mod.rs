//! Caches with entries in them, and the built program run over them.

#![allow(unreachable_pub, dead_code, reason = "each test file uses its part")]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use client_reqwest::CachedClient;
use tempfile::TempDir;

pub const BIG: usize = 700_000;

/// An origin whose paths say what it answers.
pub async fn origin() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(async |request: Request| answer(request.uri().path()));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

fn answer(path: &str) -> Response {
    let control = match path {
        "/stale" => "max-age=0, stale-while-revalidate=6000",
        "/expired" => "no-cache",
        _ => "public, max-age=3600",
    };
    let response = Response::builder().header("cache-control", control).header("etag", "\"1\"");
    let response = match path {
        "/vary" => response.header("vary", "accept-language"),
        "/tagged" => response.header("cache-tag", "news"),
        "/cookie" => response.header("set-cookie", "sid=hunter2"),
        _ => response,
    };
    let body = if path.starts_with("/big") { big() } else { format!("body of {path}").into_bytes() };
    response.body(Body::from(body)).unwrap()
}

pub fn big() -> Vec<u8> {
    (0..BIG).map(|at| u8::try_from((at / 7 + at / 4096) % 251).unwrap()).collect()
}

/// A URL of each kind of storage that is built in, in a directory of its own.
pub fn storages() -> Vec<(TempDir, String)> {
    let mut storages = Vec::new();
    if cfg!(feature = "sqlite") {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/cache.sqlite", directory.path().display());
        storages.push((directory, url));
    }
    if cfg!(feature = "object-store") {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("file://{}/cache", directory.path().display());
        storages.push((directory, url));
    }
    assert!(!storages.is_empty(), "no storage is built in");
    storages
}

/// Puts the answers to these paths into the storage, which is closed then.
pub async fn fill(storage: &str, origin: &str, paths: &[&str]) {
    let client = CachedClient::builder().storage_url(storage).build().await.unwrap();
    for path in paths {
        let (path, language) = path.split_once(' ').unwrap_or((path, "en"));
        let request = client.get(format!("{origin}{path}")).header("accept-language", language);
        request.send().await.unwrap().bytes().await.unwrap();
    }
    client.close().await;
}

/// A run of the program: its exit code and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cachectl"));
    for variable in ["STORAGE", "SERIALIZER", "KEYS", "KEY_FILE"] {
        command.env_remove(format!("CACHECTL_{variable}"));
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// The program with these arguments, without a terminal.
pub fn cachectl(args: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: status.code(), stdout: text(&stdout), stderr: text(&stderr) }
}

/// The same, which has to succeed.
pub fn succeeds(args: &[&str]) -> String {
    let ran = cachectl(args);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{args:?}: {ran:?}");
    assert!(!ran.stdout.contains('\u{1b}'), "colours without a terminal: {ran:?}");
    ran.stdout
}

/// The lines of the output as JSON.
pub fn json(args: &[&str]) -> Vec<serde_json::Value> {
    succeeds(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The paths of the URLs that `ls` finds, sorted.
pub fn listed(storage: &str, args: &[&str]) -> Vec<String> {
    let all = [&["--storage", storage, "ls", "--json"], args].concat();
    let path = |entry: &serde_json::Value| {
        let url: url::Url = entry["url"].as_str().unwrap().parse().unwrap();
        url.path().to_owned()
    };
    let mut paths: Vec<_> = json(&all).iter().map(path).collect();
    paths.sort();
    paths
}

/// All files below a directory, with their bytes.
pub fn files(below: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}
