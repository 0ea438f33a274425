//! The join of `SqliteStorage`'s lookup; raw, a `SELECT` of head and body by row.

use std::ops::Range;

use bytes::Bytes;
use client_reqwest::cache_api::{BodyId, FRAME_SIZE, INLINE_MAX};
use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};

use super::idle::Idle;
use super::{Read, ReadFrames, Stored, nanos};
use crate::Result;

/// Where `SqliteStorage` has its statement.
const SOURCE: &str = include_str!("../../../../backends/sqlite/src/storage.rs");

pub(super) struct Lookup {
    file: File,
    sql: &'static str,
    namespace: String,
    key: Vec<u8>,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Lookup> {
    let sql = statement(SOURCE, "LOOKUP")?;
    let (namespace, key) = (stored.namespace.to_string(), stored.key.as_bytes().to_vec());
    Ok(Lookup { file: File::of(stored), sql, namespace, key })
}

/// The statement of that name in a source file.
fn statement(source: &'static str, name: &str) -> Result<&'static str> {
    let (_, from) = source.split_once(&format!("const {name}: &str = \"")).ok_or("the statement has gone")?;
    Ok(from.split_once("\";").ok_or("the statement has no end")?.0)
}

impl Read for Lookup {
    async fn read(&self) -> Result<Bytes> {
        let mut connection = self.file.connection().await?;
        let query = sqlx::query(self.sql)
            .bind(self.namespace.clone())
            .bind(self.key.clone())
            .bind(nanos())
            .bind(1024_i64 * 1024)
            .bind(i64::try_from(2 * INLINE_MAX + 4096)?);
        let row = first(&mut connection, query).await?;
        let body = Bytes::copy_from_slice(row.try_get(15)?);
        self.file.0.give_back(connection);
        Ok(body)
    }
}

pub(super) struct Raw {
    file: File,
    row: i64,
}

pub(super) async fn raw(stored: Stored<'_>) -> Result<Raw> {
    let file = File::of(stored);
    let mut connection = file.connection().await?;
    let row = sqlx::query(
        "SELECT v.id FROM variant v JOIN resource r ON r.id = v.resource JOIN namespace s ON s.id = r.namespace
        WHERE s.name = $1 AND s.cleared_at IS NULL AND r.key = $2",
    )
    .bind(stored.namespace.to_string())
    .bind(stored.key.as_bytes().to_vec())
    .fetch_one(&mut connection)
    .await?;
    file.0.give_back(connection);
    Ok(Raw { file, row: row.try_get(0)? })
}

impl Read for Raw {
    async fn read(&self) -> Result<Bytes> {
        let mut connection = self.file.connection().await?;
        let query = sqlx::query("SELECT head, inline FROM content WHERE variant = $1").bind(self.row);
        let row = first(&mut connection, query).await?;
        let body = Bytes::copy_from_slice(row.try_get(1)?);
        self.file.0.give_back(connection);
        Ok(body)
    }
}

/// The first row, without waiting to be told that there is no other: that is a hop between threads.
async fn first<'q>(
    connection: &mut SqliteConnection,
    query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
) -> Result<SqliteRow> {
    Ok(query.fetch(connection).try_next().await?.ok_or("the entry is not in the file")?)
}

struct File(Idle<SqliteConnection>, SqliteConnectOptions);

impl File {
    fn of(stored: Stored<'_>) -> Self {
        let path = stored.store.bare().trim_start_matches("sqlite:").trim_start_matches("//");
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(false)
            .pragma("temp_store", "MEMORY")
            .pragma("query_only", "ON")
            .disable_statement_logging();
        Self(Idle::new(), options)
    }

    async fn connection(&self) -> Result<SqliteConnection> {
        match self.0.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.1.connect().await?),
        }
    }
}

/// Where `SqliteStorage` has its statement for frames.
const FRAMES: &str = include_str!("../../../../backends/sqlite/src/bodies.rs");

pub(super) struct Frames {
    file: File,
    sql: &'static str,
    namespace: String,
    key: Vec<u8>,
    body: Vec<u8>,
}

pub(super) fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let sql = statement(FRAMES, "READ")?;
    let (namespace, key) = (stored.namespace.to_string(), stored.key.as_bytes().to_vec());
    Ok(Frames { file: File::of(stored), sql, namespace, key, body: body.as_bytes().to_vec() })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let mut connection = self.file.connection().await?;
        let query = sqlx::query(self.sql)
            .bind(self.namespace.clone())
            .bind(self.body.clone())
            .bind(i64::from(range.start))
            .bind(i64::from(range.end))
            .bind(i64::try_from(2 * FRAME_SIZE + 4096)?)
            .bind(self.key.clone());
        let rows = query.fetch_all(&mut connection).await?;
        self.file.0.give_back(connection);
        let lens = rows.iter().map(|row| Ok(row.try_get::<&[u8], _>(1)?.len()));
        lens.sum()
    }
}
